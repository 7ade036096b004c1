"""The values that stand in for official weights in a parity case: a function of name, shape and salt."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SPREAD = 0.1


def fill(name: str, shape: tuple[int, ...], salt: str) -> NDArray[np.float32]:
    """Return the values of one parameter: variances around 1, vectors around 0 or 1, kernels of variance 1/fan-in."""
    seed = int.from_bytes(hashlib.sha256(f"{salt}{name}".encode()).digest()[:8], "little")
    random = np.random.default_rng(seed)
    if name.endswith("running_var"):
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    noise = np.asarray(random.standard_normal(shape))
    if len(shape) <= 1:
        return np.asarray(float(name.endswith("weight")) + _SPREAD * noise, dtype=np.float32)
    return np.asarray(noise / np.sqrt(int(np.prod(shape[1:]))), dtype=np.float32)


def fill_state(keys: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """Return every floating-point entry of a case's `keys.json`, in order, with its value."""
    values = {}
    for name, shape, dtype in keys["keys"]:
        if "float" not in dtype:
            continue
        source = name
        for left, right in keys.get("tied", {}).items():
            if source.startswith(left):
                source = right + source[len(left) :]
        salt = keys.get("salt", "")
        for pattern, other in keys.get("salt_overrides", {}).items():
            salt = other if re.fullmatch(pattern, source) else salt
        value = fill(source, tuple(shape), salt)
        for pattern, factor in keys.get("overrides", {}).items():
            if re.fullmatch(pattern, source):
                value = value * np.float32(factor)
        values[name] = value
    return values
