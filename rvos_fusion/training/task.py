"""What a training loop needs from a network and its data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from rvos_fusion.training.logs.pictures import MaskPictures


class Task(Protocol):
    """One network with its data and losses.

    Attributes:
        network: what is trained.
        n_samples: samples of one epoch.
        score: name of the validation score that decides which weights are best, 0 to 100, higher is better.
    """

    network: nn.Module
    n_samples: int
    score: str

    def batch(self, indices: list[int], seeds: list[int]) -> Any:
        """Return the samples `indices` as one batch on the CPU; sample i draws only from `seeds[i]`."""

    def losses(self, batch: Any, progress: float) -> Mapping[str, Tensor]:
        """Return a batch's losses after `progress` of 0 to 1, on any device; `total` is the one to descend."""

    def validate(self, folder: Path) -> Mapping[str, float]:
        """Return the scores of the network as it is, among them `score`; `folder` is for temporary files."""

    def export(self, path: Path) -> None:
        """Write the network as a checkpoint that the runners or engines load."""


@runtime_checkable
class ShowsMasks(Protocol):
    """A task whose validations leave pictures of masks."""

    pictures: MaskPictures
