"""Bidirectional propagation against the official evaluators' arrays, through `rvos parity`'s own path."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from reference import reference
from torch import Tensor

from propagate.engines.aot.engine import AotRules
from propagate.engines.aot.settings import AotSettings
from propagate.engines.protocol import list_augmentations
from propagate.propagator import Propagator, Source
from rvos.masks.mask_sequences import MaskSequence
from rvos_fusion.parity.checking import check_case
from rvos_fusion.parity.networks.propagation import write_video
from rvos_fusion.parity.recording import RecordingEngine

CASES = {
    "bidirectional_r50_aotl": {"fresh.masks", "carry.masks", "legacy.labels", "legacy.written"},
    "tta_deaott": {"fresh.masks", "own.masks", "own.fed_labels"},
}


@pytest.mark.parametrize("name", CASES)
def test_every_variant_is_within_its_limits(name: str) -> None:
    outputs, _ = check_case(reference(f"propagation/{name}"))
    found = {row.name: row for row in outputs}
    assert CASES[name] <= found.keys()
    assert {"input_sizes", "key_input_first"} <= found.keys()
    assert [row.name for row in outputs if not row.passes] == []
    assert all(found[mask].absolute == 0 for mask in CASES[name])


class _Core:
    """A memory that writes down what it is fed."""

    def __init__(self, fed: list[int], of_all: list[list[int]]) -> None:
        self._fed = fed
        self._of_all = of_all

    def copy(self) -> _Core:
        self._of_all.append([*self._fed])
        return _Core(self._of_all[-1], self._of_all)

    def reference(self, features: Any, labels: Tensor, n_objects: int | None = None) -> None:
        self._fed.append(-1)

    def propagate(self, features: Any) -> Tensor:
        return torch.zeros(1, 2, 4, 4)

    def remember(self, labels: Tensor) -> None:
        self._fed.append(int(labels.max()))


class _Recorder(RecordingEngine):
    """Makes memories without a network."""

    align_corners = False

    def __init__(self, rules: AotRules, labels: NDArray[np.int64]) -> None:
        both = list_augmentations([1.0], flip=True)
        super().__init__(None, AotSettings("toy", Path("toy")), rules=rules, augmentations=both, key=2, labels=labels)
        self.fed: list[list[int]] = []

    def open_core(self) -> _Core:
        self.fed.append([])
        return _Core(self.fed[-1], self.fed)

    def encode(self, image: Tensor) -> Any:
        return SimpleNamespace(size=image.shape[2:], n_bytes=1)

    def input_size(self, frame_size: tuple[int, int], scale: float) -> tuple[int, int]:
        return frame_size


@pytest.mark.parametrize(
    ("carry", "expected"),
    [
        (True, [[-1, 3, 4, -1, 1, 0], [-1, 13, 14, -1, 11, 10]]),
        (False, [[-1, 3, 4], [-1, 13, 14], [-1, 1, 0], [-1, 11, 10]]),
    ],
    ids=["memory carried over", "a session for each direction"],
)
def test_recorded_sessions_are_fed_the_given_labels(tmp_path: Path, carry: bool, expected: list[list[int]]) -> None:
    labels = np.zeros((5, 2, 4, 4), dtype=np.int64)
    labels[:, 0] += np.arange(5)[:, None, None]
    labels[:, 1] += np.arange(10, 15)[:, None, None]
    engine = _Recorder(AotRules(carry, active_objects=1), labels)
    video = write_video(tmp_path, np.zeros((5, 4, 4, 3), np.uint8))
    masks, scores = np.ones((5, 4, 4), np.bool_), np.eye(5, dtype=np.float32)[2]
    sequence = MaskSequence.from_masks(masks, video=video.id, expression="0", frames=video.frames, scores=scores)
    assert len(list(Propagator(engine).predict(video, [Source([sequence])]))) == len(engine.means) == 4
    assert engine.fed == expected
