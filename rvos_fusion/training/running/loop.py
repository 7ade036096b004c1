"""The training loop: steps, validation, saved states, exact resume; any task, one process or many."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from rvos.errors import ConfigError, PipelineError
from rvos_fusion.training.config import TrainingConfig, to_plain
from rvos_fusion.training.logs.loggers import LoggedTraining, open_loggers
from rvos_fusion.training.logs.records import Records
from rvos_fusion.training.running.averaging import AveragedWeights, decay_for
from rvos_fusion.training.running.batches import BatchStream, batches
from rvos_fusion.training.running.checkpoints import Position, Trainable, load_state, save_state
from rvos_fusion.training.running.distributed import Ranks, wait_for_all
from rvos_fusion.training.running.optimiser import build_optimiser, clip_gradients, set_rates
from rvos_fusion.training.running.time_left import TimeLeft, count_due, show_time, timed
from rvos_fusion.training.task import ShowsMasks, Task

LAST = "last.safetensors"
BEST = "best.safetensors"
# No time left of tqdm's own: it takes a validation for a slow step.
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]"
_PRECISIONS = {"float16": torch.float16, "bfloat16": torch.bfloat16}


class TrainingError(PipelineError):
    """A training that cannot go on."""


@dataclass(frozen=True, slots=True)
class Summary:
    """How a training ended.

    Args:
        steps: optimiser steps that were done in all.
        seconds: wall time of all its runs.
        best: best validation score, 0 to 100; negative without validation.
        complete: whether the training reached its end (steps or wall budget).
    """

    steps: int
    seconds: float
    best: float
    complete: bool


class _Losses(nn.Module):
    """The task's losses behind a `forward`, so that DistributedDataParallel sees every backward pass."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.network = task.network
        self._task = [task]

    def forward(self, batch: Any, progress: float) -> dict[str, Tensor]:
        """Return the task's losses."""
        return dict(self._task[0].losses(batch, progress))


class Trainer:
    """One training in one folder: the states `last.safetensors` and `best.safetensors`, the curve, TensorBoard files.

    Raises:
        ConfigError: a wall budget for several processes, or optimiser rules that do not fit.
    """

    def __init__(self, task: Task, config: TrainingConfig, folder: Path, *, ranks: Ranks, quiet: bool = False) -> None:
        self.task, self.config, self.folder = task, config, folder
        self.ranks, self.quiet = ranks, quiet
        loop = config.loop
        if loop.minutes and ranks.world > 1:
            raise ConfigError(f"{config.name}: processes would end at different steps; leave loop.minutes out")
        task.network.to(ranks.device)
        self.n_steps = loop.steps or _steps_of_epochs(task, config, ranks.world, epochs=loop.epochs or 0)
        self._epoch = _steps_of_epochs(task, config, ranks.world, epochs=1) if loop.each_epoch else 0
        self.optimiser = build_optimiser(task.network, config.optimiser)
        self.average = (
            AveragedWeights(task.network, decay=decay_for(loop.average, self.n_steps)) if loop.average else None
        )
        self.parts = Trainable(task.network, self.optimiser, self.average)
        self.position = Position()
        self._left = TimeLeft(self.n_steps, budget=loop.minutes * 60 if loop.minutes else None)
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=loop.precision == "float16")
        self.losses: nn.Module = _Losses(task)

    def resume(self) -> bool:
        """Go on from the saved state, if there is one; return whether there is."""
        path = self.folder / LAST
        if not path.is_file():
            return False
        self.position, scale = load_state(path, self.parts, name=self.config.name)
        if self.scaler.is_enabled():
            self.scaler.load_state_dict({**self.scaler.state_dict(), "scale": scale})
        return True

    def run(self, *, until: int | None = None) -> Summary:
        """Train to the end, or to `until`, and save; TrainingError: a loss not finite, or too little memory."""
        records = self._open_records() if self.ranks.is_first else None
        started, before = time.monotonic(), self.position.seconds
        alone = self.losses
        if self.ranks.world > 1:
            self.losses = DistributedDataParallel(alone, find_unused_parameters=True)
        last = min(self.n_steps, until or self.n_steps)
        bar = self._open_bar(last)
        try:
            loop, first, ranks = self.config.loop, self.position.step * self.config.loop.accumulate, self.ranks
            samples = BatchStream(self.task, batch=loop.batch, rank=ranks.rank, world=ranks.world, seed=loop.seed)
            stream = batches(samples, first=first, last=last * loop.accumulate, workers=loop.workers)
            for step in bar:
                self.position.seconds = before + time.monotonic() - started
                with timed(self._left.step):
                    shown = self._step(stream, step)
                self.position.step = step + 1
                self._bookkeeping(records, shown, last)
                bar.set_postfix_str(self._show_time(last), refresh=False)
                if self._spent():
                    break
        finally:
            bar.close()
            if records:
                records.close()
            self.losses = alone  # what holds the process group must not outlive it
        complete = self.position.step >= self.n_steps or self._spent()
        return Summary(self.position.step, self.position.seconds, self.position.best, complete)

    def _open_records(self) -> Records:
        """Return what the training writes down."""
        self.folder.mkdir(parents=True, exist_ok=True)
        loggers = self.config.loop.loggers
        training = LoggedTraining(self.config.name, self.folder, self.position.step, to_plain(self.config))
        return Records(self.folder, step=self.position.step, loggers=open_loggers(loggers, training))

    def _open_bar(self, last: int) -> tqdm[int]:
        """Return the steps to do, shown as a bar."""
        first = self.position.step
        return tqdm(
            range(first, last),
            initial=first,
            total=last,
            desc=self.config.name,
            file=sys.stderr,
            disable=self.quiet or not self.ranks.is_first,
            bar_format=_BAR,
        )

    def _show_time(self, last: int) -> str:
        """Return the time that is left, in words."""
        loop, done = self.config.loop, self.position.step
        due = {"save": count_due(done, last, loop.save_every, self._epoch)}
        if self.config.validation is not None:
            due["validation"] = count_due(done, last, loop.validate_every, self._epoch)
        return show_time(self._left.estimate(done, seconds=self.position.seconds, due=due))

    @property
    def progress(self) -> float:
        """Part of the training that is done, 0 to 1: of the steps, or of the wall budget if that is more."""
        budget = self.config.loop.minutes
        used = self.position.seconds / (budget * 60) if budget else 0.0
        return min(max(self.position.step / self.n_steps, used), 1.0)

    def _spent(self) -> bool:
        budget = self.config.loop.minutes
        return bool(budget) and self.position.seconds >= (budget or 0) * 60

    def _step(self, stream: Iterator[Any], step: int) -> dict[str, float]:
        """Do one optimiser step; return what to record."""
        config, progress = self.config, self.progress
        length = float(config.loop.epochs or self.n_steps)
        rate = set_rates(self.optimiser, config.schedule, progress, length=length)
        self.task.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        for part in range(config.loop.accumulate):
            # Gradients travel between processes in the last of the accumulated passes only.
            is_last = part == config.loop.accumulate - 1
            parallel = self.losses if isinstance(self.losses, DistributedDataParallel) else None
            with nullcontext() if is_last or parallel is None else parallel.no_sync():
                losses = self._backward(next(stream), progress)
        self.scaler.unscale_(self.optimiser)
        norm = clip_gradients(self.task.network, config.optimiser.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.average:
            self.average.update(self.task.network)
        if step % max(config.loop.log_every, 1):
            return {}
        return {name: float(value.detach()) for name, value in losses.items()} | {
            "rate": rate,
            "gradient_norm": float(norm),
        }

    def _backward(self, batch: Any, progress: float) -> dict[str, Tensor]:
        kind = _PRECISIONS.get(self.config.loop.precision)
        device = self.ranks.device
        try:
            with torch.autocast(device.type, dtype=kind, enabled=kind is not None):
                losses: dict[str, Tensor] = self.losses(batch.to(device), progress)
            total = losses["total"] / self.config.loop.accumulate
            if not self.scaler.is_enabled() and not total.isfinite():
                raise TrainingError(
                    f"{self.config.name}, step {self.position.step}: the loss is {float(total)}; "
                    "lower optimiser.rate or resume from an earlier state"
                )
            self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        except torch.OutOfMemoryError:
            raise TrainingError(
                f"{self.config.name}: out of memory on {device}; "
                "lower loop.batch (raise loop.accumulate as much) or the frame size"
            ) from None
        return losses

    def _bookkeeping(self, records: Records | None, shown: Mapping[str, float], last: int) -> None:
        loop, step = self.config.loop, self.position.step
        at_end = step >= last or self._spent()
        is_due = at_end or _due(step, self._epoch)
        if records and shown:
            records.write(step, {**shown, "seconds": self.position.seconds}, group="train")
        if self.config.validation is not None and (_due(step, loop.validate_every) or is_due):
            with timed(partial(self._left.pause, "validation")):
                self._validate(records)
        if (_due(step, loop.save_every) or is_due) and self.ranks.is_first:
            with timed(partial(self._left.pause, "save")):
                self.save()
        if at_end:
            wait_for_all()

    def _validate(self, records: Records | None) -> None:
        """Score the averaged weights (where there are any) and keep them if they are the best so far."""
        if records:
            self.task.network.eval()
            averaged = self.average.applied_to(self.task.network) if self.average else nullcontext()
            with averaged, torch.no_grad():
                scores = self.task.validate(self.folder)
                if scores[self.task.score] > self.position.best:
                    self.position.best = scores[self.task.score]
                    self.task.export(self.folder / BEST)
            records.write(self.position.step, scores, group="validation")
            if isinstance(self.task, ShowsMasks):
                records.show(self.position.step, self.task.pictures.taken())
        wait_for_all()

    def save(self) -> None:
        """Write the state that `resume` continues from."""
        scale = self.scaler.get_scale() if self.scaler.is_enabled() else 1.0
        save_state(self.folder / LAST, self.parts, self.position, name=self.config.name, scale=scale)


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _steps_of_epochs(task: Task, config: TrainingConfig, world: int, *, epochs: int) -> int:
    per_step = config.loop.batch * config.loop.accumulate * world
    return max(epochs * task.n_samples // per_step, 1)
