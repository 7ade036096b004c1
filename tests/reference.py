"""Recorded cases of the official code: what the tests compare with, all of it inside the project.

Cases of networks stand condensed in `parity_cases` and, where they need more room, in `larger_cases`; a whole case is
taken instead where it lies beside the checkout, or where RVOS_REFERENCE points. The rest is whole: `released_case` has
masks and dumps of the 2023 recipe, `official_lists` names of weights.
"""

from __future__ import annotations

import json
import lzma
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rvos_fusion.parity.cases import Case, read_case
from rvos_fusion.parity.condensed import read_condensed

TESTS = Path(__file__).resolve().parent
RELEASED = TESTS / "released_case"
LISTS = TESTS / "official_lists"


def reference(name: str) -> Path:
    """Return a case such as `aot/aott`: the folder of the whole one where there is one, else the condensed file."""
    whole = Path(os.environ.get("RVOS_REFERENCE", TESTS.parents[1] / "shared")) / "parity" / name
    condensed = [TESTS / folder / f"{name}.npz" for folder in ("parity_cases", "larger_cases")]
    return next(path for path in (whole, *condensed) if path.exists())


def read_reference(name: str) -> Case:
    """Return the arrays and keys of a case."""
    path = reference(name)
    return read_condensed(path) if path.is_file() else read_case(path)


def read_list(name: str) -> Any:
    """Return an official list of names."""
    return json.loads(lzma.decompress((LISTS / f"{name}.json.xz").read_bytes()))


def assert_agrees(found: Tensor, expected: NDArray[np.float32], *, atol: float) -> None:
    """Compare with an output of a case; a condensed one has NaN where it keeps no value."""
    kept = ~np.isnan(expected)
    assert kept.any()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy()[kept], expected[kept], atol=atol, rtol=0)
