"""What a training loop needs from a network and its data, and the tasks by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from rvos.errors import ConfigError
from rvos_fusion.training.config import TrainingConfig
from rvos_fusion.training.logs.pictures import MaskPictures

TASKS = {
    "aot": "rvos_fusion.training.engines.aot",
    "words": "rvos_fusion.training.words",
    "grounding": "rvos_fusion.training.grounding",
    "tracklets": "rvos_fusion.training.tracklets.task",
    "referformer": "rvos_fusion.training.members.referformer",
    "mutr": "rvos_fusion.training.members.mutr",
    "soc": "rvos_fusion.training.members.soc",
    "uninext": "rvos_fusion.training.members.uninext",
}


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
        ...

    def losses(self, batch: Any, progress: float) -> Mapping[str, Tensor]:
        """Return the losses of a batch on any device; `total` is the one to descend.

        Args:
            progress: part of the training that is done, 0 to 1.
        """
        ...

    def validate(self, folder: Path) -> Mapping[str, float]:
        """Return the scores of the network as it is, among them `score`.

        Args:
            folder: for temporary files.
        """
        ...

    def export(self, path: Path) -> None:
        """Write the network as a checkpoint that the runners or engines load."""
        ...


@runtime_checkable
class ShowsMasks(Protocol):
    """A task whose validations leave pictures of masks."""

    pictures: MaskPictures


def build_task(config: TrainingConfig) -> Task:
    """Return the task that `config` names; each task module has `build(config)`.

    Raises:
        ConfigError: no task of that name, or settings that do not fit it.
    """
    if config.task not in TASKS:
        raise ConfigError(f"task {config.task!r} is unknown; choose one of {', '.join(TASKS)}")
    build: Callable[[TrainingConfig], Task] = import_module(TASKS[config.task]).build
    return build(config)
