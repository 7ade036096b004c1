"""Bidirectional propagation against the official evaluators' arrays, through `rvos parity`'s own path."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reference import reference

from parity.checking import check_case
from parity.forced_labels import ForcedEngine
from propagate.features import FeatureCache

CASES = {
    "bidirectional_r50_aotl": {"fresh.masks", "carry.masks", "legacy.labels", "legacy.written"},
    "tta_deaott": {"fresh.masks", "own.masks", "own.fed_labels"},
}


@pytest.mark.parametrize("name", CASES)
def test_every_variant_is_within_its_limits(name: str) -> None:
    outputs, _ = check_case(reference(f"parity/propagation/{name}"))
    found = {row.name: row for row in outputs}
    assert CASES[name] <= found.keys()
    assert {"input_sizes", "key_input_first"} <= found.keys()
    assert [row.name for row in outputs if not row.passes] == []
    assert all(found[mask].absolute == 0 for mask in CASES[name])


class _Recorder:
    """An engine whose sessions write down what they are fed."""

    device = torch.device("cpu")
    align_corners = False

    def __init__(self) -> None:
        self.features = FeatureCache(0)
        self.fed: list[list[int]] = []

    def open(self, *, active_objects: int | None, legacy: bool) -> _Recorder._Session:
        self.fed.append([])
        return _Recorder._Session(self.fed[-1])

    class _Session:
        def __init__(self, fed: list[int]) -> None:
            self._fed = fed

        def remember(self, labels: torch.Tensor) -> None:
            self._fed.append(int(labels.max()))


@pytest.mark.parametrize(
    ("sessions", "expected"),
    [(2, [[3, 4, 1, 0], [13, 14, 11, 10]]), (4, [[3, 4], [13, 14], [1, 0], [11, 10]])],
    ids=["memory carried over", "a session for each direction"],
)
def test_forced_sessions_are_fed_the_given_labels(sessions: int, expected: list[list[int]]) -> None:
    labels = np.zeros((5, 2, 4, 4), dtype=np.int64)
    labels[:, 0] += np.arange(5)[:, None, None]
    labels[:, 1] += np.arange(10, 15)[:, None, None]
    recorder = _Recorder()
    engine = ForcedEngine(recorder, labels, 2, mirrored=(False, True))  # type: ignore[arg-type]
    opened = [engine.open(active_objects=1, legacy=sessions == 2) for _ in range(sessions)]
    for session, frames in zip(opened, expected, strict=True):
        for _ in frames:
            session.remember(torch.zeros(1, 4, 4, dtype=torch.int64))
    assert recorder.fed == expected
