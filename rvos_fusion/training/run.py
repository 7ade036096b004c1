"""One training from its configuration to its checkpoint."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import torch

from rvos.errors import ConfigError
from rvos_fusion.training.config import TrainingConfig
from rvos_fusion.training.logs.loggers import check_loggers
from rvos_fusion.training.running.checkpoints import start_from
from rvos_fusion.training.running.distributed import join_ranks
from rvos_fusion.training.running.loop import LAST, Summary, Trainer
from rvos_fusion.training.tasks import build_task


def run_training(
    config: TrainingConfig,
    folder: Path,
    *,
    resume: bool = False,
    export: Path | None = None,
    device: str | None = None,
    quiet: bool = False,
) -> Summary:
    """Train as `config` says; states, curve and best weights lie in `folder`.

    Args:
        resume: go on from the state in `folder`, if there is one.
        export: where to write the final weights (the averaged ones, where there are any).
        device: `cpu` or `cuda`; None: what the machine has.

    Raises:
        ConfigError: `folder` holds a state and `resume` is false, or a logger that is not there.
    """
    if (folder / LAST).is_file() and not resume:
        raise ConfigError(f"{folder}: holds a training already; add --resume or name another --out")
    check_loggers(config.loop.loggers)
    with join_ranks(device) as ranks:
        # The weights of a fresh network depend on the seed alone; dropout differs between processes.
        torch.manual_seed(config.loop.seed)
        task = build_task(config)
        for initial in config.initial:
            start_from(task.network, initial)
        torch.manual_seed(config.loop.seed + ranks.rank)
        trainer = Trainer(task, config, folder, ranks=ranks, quiet=quiet)
        if resume:
            trainer.resume()
        summary = trainer.run()
        if export and ranks.is_first:
            average = trainer.average
            with average.applied_to(task.network) if average else nullcontext():
                task.export(export)
        return summary
