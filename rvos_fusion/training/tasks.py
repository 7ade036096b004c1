"""The tasks of training by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from rvos.errors import ConfigError
from rvos_fusion.training.config import TrainingConfig
from rvos_fusion.training.task import Task

TASKS = {
    "aot": "rvos_fusion.training.engines.aot",
    "cfbi": "rvos_fusion.training.engines.cfbi",
    "words": "rvos_fusion.training.pretraining.words",
    "grounding": "rvos_fusion.training.pretraining.grounding",
    "tracklets": "rvos_fusion.training.tracklets.task",
    "referformer": "rvos_fusion.training.members.referformer",
    "mutr": "rvos_fusion.training.members.mutr",
    "soc": "rvos_fusion.training.members.soc",
    "uninext": "rvos_fusion.training.members.uninext.task",
    "sam3": "rvos_fusion.training.sam3.task",
}


def build_task(config: TrainingConfig) -> Task:
    """Return the task that `config` names; ConfigError: no such task, or settings that do not fit it."""
    if config.task not in TASKS:
        raise ConfigError(f"task {config.task!r} is unknown; choose one of {', '.join(TASKS)}")
    build: Callable[[TrainingConfig], Task] = import_module(TASKS[config.task]).build
    return build(config)
