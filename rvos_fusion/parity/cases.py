"""A parity case: a folder of official inputs and outputs, and the comparison that decides it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rvos.errors import InputError, explain
from rvos.files.json_files import read_json
from rvos_fusion.parity.filling import fill_state

Arrays = dict[str, NDArray[Any]]
Found = dict[str, Tensor | NDArray[Any]]
DEFAULT_GATE = {"float": 1e-4, "mask_pixels": 2e-4, "not_compared": [], "integer_slack": {}}
_SMALLEST_SCALE = 1e-6


@dataclass(frozen=True, slots=True)
class Case:
    """One case folder, read.

    Args:
        keys: `keys.json`: model, configuration, checkpoint names, gate.
        inputs, outputs, stages: arrays by name; stages may be empty.
    """

    folder: Path
    keys: Mapping[str, Any]
    inputs: Mapping[str, NDArray[Any]]
    outputs: Mapping[str, NDArray[Any]]
    stages: Mapping[str, NDArray[Any]]

    @property
    def gate(self) -> Mapping[str, Any]:
        """The stated tolerances; a case whose gate is prose is decided by its adapter."""
        gate = self.keys.get("gate")
        return gate if isinstance(gate, Mapping) else DEFAULT_GATE

    def write_checkpoint(self, path: Path) -> None:
        """Write the case's weights in the official envelope, as a torch file."""
        state = {name: torch.from_numpy(value) for name, value in fill_state(self.keys).items()}
        envelope = self.keys.get("checkpoint_envelope", "")
        names = [*envelope, *envelope.get("also_accepted", ())] if isinstance(envelope, Mapping) else []
        entry = next((name for name in ("model", "model_state_dict", "state_dict") if name in names), "")
        if not entry and "state_dict" in str(envelope):
            entry = "state_dict"
        torch.save({entry: state} if entry else state, path)


@dataclass(frozen=True, slots=True)
class ArrayDifference:
    """One compared array: `relative` is what the gate judges (share of pixels for masks)."""

    name: str
    absolute: float
    relative: float
    limit: float

    @property
    def passes(self) -> bool:
        """Whether the array is within its limit."""
        return self.relative <= self.limit


@dataclass(frozen=True, slots=True)
class Results:
    """What our network gives for a case.

    Args:
        arrays: by the names of `outputs.npz` and `stages.npz`; whole also where a case keeps samples.
        judged: differences that the adapter decided itself, for cases whose README states other limits;
            they replace the ordinary comparison of the arrays of the same name.
    """

    arrays: Mapping[str, Tensor | NDArray[Any]]
    judged: tuple[ArrayDifference, ...] = field(default=())


def read_case(folder: Path) -> Case:
    """Return the case in `folder`; InputError: not a case folder, or a damaged file."""
    try:
        keys = read_json(folder / "keys.json")
        arrays = [_read_arrays(folder / name) for name in ("inputs.npz", "outputs.npz")]
        stages = _read_arrays(folder / "stages.npz") if (folder / "stages.npz").exists() else {}
    except FileNotFoundError as error:
        raise InputError(f"{folder}: no parity case, {Path(error.filename).name} is missing") from None
    except (ValueError, OSError) as error:
        raise InputError(f"{folder}: a damaged parity case ({explain(error)}); copy it again") from None
    return Case(folder, keys, arrays[0], arrays[1], stages)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as content:
        return {name: content[name] for name in content.files}


def compare(gate: Mapping[str, Any], name: str, expected: NDArray[Any], found: NDArray[Any] | None) -> ArrayDifference:
    """Return the difference of one array under the case's gate; an absent array differs infinitely."""
    if any(re.fullmatch(pattern, name) for pattern in gate["not_compared"]):
        return ArrayDifference(name, 0.0, 0.0, 0.0)
    if found is None or expected.shape != found.shape:
        return ArrayDifference(name, float("inf"), float("inf"), 0.0)
    if expected.dtype.kind in "US":
        differs = float(np.any(expected != found))
        return ArrayDifference(name, differs, differs, 0.0)
    if expected.dtype in (np.uint8, np.bool_):
        share = float(np.mean(expected != found)) if expected.size else 0.0
        return ArrayDifference(name, float(share > 0), share, float(gate["mask_pixels"]))
    if expected.dtype.kind in "iu":
        slack = max((s for p, s in gate["integer_slack"].items() if re.fullmatch(p, name)), default=0)
        return judge(name, expected, found, limit=float(slack))
    return judge(name, expected, found, limit=float(gate["float"]), scale=scale_of(expected))


def judge(
    name: str, expected: NDArray[Any], found: NDArray[Any] | None, *, limit: float, scale: float | NDArray[Any] = 1.0
) -> ArrayDifference:
    """Return the largest difference, in units of `scale` (of all values, or one each); infinite where it is none."""
    if found is None or expected.shape != found.shape:
        return ArrayDifference(name, float("inf"), float("inf"), limit)
    # NaN stands where a condensed case kept no value.
    kept = ~np.isnan(np.asarray(expected, np.float64))
    absolute = np.abs(np.asarray(found, np.float64) - expected)[kept]
    relative = float((absolute / np.broadcast_to(scale, expected.shape)[kept]).max(initial=0))
    return ArrayDifference(
        name, float(absolute.max(initial=0)), relative if np.isfinite(relative) else float("inf"), limit
    )


def scale_of(expected: NDArray[Any]) -> float:
    """Return the largest magnitude of an array, which differences are judged by."""
    return max(float(np.nanmax(np.abs(expected), initial=0)), _SMALLEST_SCALE)


def as_stored(case: Case, arrays: Mapping[str, Tensor | NDArray[Any]]) -> Arrays:
    """Return arrays as the case stores them: condensed where it has samples of them, else whole."""
    stored: Arrays = {}
    for name, value in arrays.items():
        array = value.detach().contiguous().numpy() if isinstance(value, Tensor) else value
        samples = case.outputs.get(f"{name}.values", case.stages.get(f"{name}.values"))
        if samples is not None:
            # The number of samples follows from what is stored, not from a convention.
            stored.update({f"{name}.{part}": content for part, content in summarise(array, len(samples)).items()})
        if samples is None or name in case.outputs or name in case.stages:
            stored[name] = array
    return stored


def summarise(array: NDArray[Any], samples: int = 256) -> dict[str, NDArray[Any]]:
    """Return the condensed form of a large array: shape, mean, std, evenly spaced index and values."""
    flat = np.asarray(array, dtype=np.float64).ravel()
    index = np.unique(np.linspace(0, flat.size - 1, min(samples, flat.size)).astype(np.int64))
    return {
        "shape": np.asarray(np.shape(array)),
        "mean": np.asarray(flat.mean()),
        "std": np.asarray(flat.std()),
        "index": index,
        "values": flat[index].astype(np.float32),
    }
