"""The settings of one training, as a YAML file in `rvos_fusion/training/configs` gives them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from rvos.errors import ConfigError
from rvos.settings import Chance, Positive, Range, Size, load, read_document, show

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar("Settings", bound="DataclassInstance")
_WHAT = "training configuration"
Natural = Annotated[int, Range(least=0)]
ScheduleKind = Literal["constant", "step", "polynomial", "cosine"]
TrainingPrecision = Literal["float32", "float16", "bfloat16"]


@dataclass(frozen=True, slots=True)
class GroupRule:
    """Settings of the parameters whose name matches; the first matching rule counts.

    Args:
        match: regular expression, searched in the parameter's name.
        scale: factor on the learning rate (above the schedule's minimum).
        rate: learning rate instead of the base rate times `scale`.
        weight_decay: None: that of the optimiser.
        frozen: the parameters stay as they are.
    """

    match: str
    scale: float = 1.0
    rate: Positive | None = None
    weight_decay: Annotated[float, Range(least=0)] | None = None
    frozen: bool = False

    def __post_init__(self) -> None:
        _check_pattern(self.match)
        if self.scale <= 0:
            raise ConfigError(f"scale of {self.match!r} is {self.scale}; write frozen: true instead")


@dataclass(frozen=True, slots=True)
class OptimiserSettings:
    """Parameter groups; `clip` limits the total gradient norm, None: no clipping.

    Args:
        kind: `adamw` decays weights apart from the gradients, `adam` as a part of them.
    """

    rate: Positive
    kind: Literal["adamw", "adam"] = "adamw"
    weight_decay: Annotated[float, Range(least=0)] = 1e-4
    betas: tuple[Annotated[float, Range(least=0, below=1)], Annotated[float, Range(least=0, below=1)]] = (0.9, 0.999)
    clip: Positive | None = 0.1
    rules: tuple[GroupRule, ...] = ()


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """How the learning rate moves.

    Args:
        minimum: rate at the start of the warm-up and at the end of `polynomial` and `cosine`.
        warm_up: part of the training, 0 to 1, over which the rate rises linearly from the minimum.
        milestones: where `step` multiplies the rate by `factor`; in epochs where the training's
            length is given in epochs, in steps otherwise.
        power: of `polynomial`.
    """

    kind: ScheduleKind = "constant"
    minimum: Annotated[float, Range(least=0)] = 0.0
    warm_up: Chance = 0.0
    milestones: tuple[float, ...] = ()
    factor: Positive = 0.1
    power: Positive = 0.9


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Length, batches and bookkeeping.

    Args:
        epochs, steps: length of the training; exactly one of them.
        batch: samples of one process in one forward pass.
        accumulate: forward passes of one optimiser step.
        average: part of the training over which the averaged weights look back (0.1: decay
            1 - 1 / (0.1 * steps)); None: no averaging.
        save_every, validate_every, log_every: in steps; 0: only at the end.
        each_epoch: save and validate after every epoch as well.
        minutes: wall budget; the schedule then follows the larger of the parts of steps and of time
            that are used, and the training ends with the budget. None: steps alone count.
        workers: processes that prepare samples; 0: the training process itself.
        loggers: where scalars and pictures go beside `curve.csv`: `tensorboard`, `mlflow`, `wandb`, or one's own as
            `module:function`.
    """

    epochs: int | None = None
    steps: int | None = None
    batch: Size = 1
    accumulate: Size = 1
    precision: TrainingPrecision = "float32"
    average: Annotated[float, Range(above=0, most=1)] | None = None
    save_every: Natural = 1000
    validate_every: Natural = 0
    log_every: Natural = 20
    each_epoch: bool = False
    minutes: Positive | None = None
    workers: Annotated[int, Range(least=0, most=1000)] = 0
    loggers: tuple[str, ...] = ("tensorboard",)
    seed: Natural = 42

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise ConfigError("give exactly one of epochs and steps")
        if min(self.batch, self.accumulate, self.epochs or 1, self.steps or 1) < 1:
            raise ConfigError("epochs, steps, batch and accumulate must be at least 1")


@dataclass(frozen=True, slots=True)
class InitialWeights:
    """Weights that a training starts from.

    Args:
        path: checkpoint, read as data only.
        keep: regular expression of the names to take; others keep their initialisation.
        renames: (regular expression, replacement) pairs applied to the file's names, in order.
        strict: every parameter of the network that `keep` matches must be in the file.
    """

    path: Path
    keep: str = ""
    renames: tuple[tuple[str, str], ...] = ()
    strict: bool = True

    def __post_init__(self) -> None:
        _check_pattern(self.keep)
        for pattern, replacement in self.renames:
            _check_pattern(pattern, replacement)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that decides a training's result.

    Args:
        name: of the training; its files lie in `runs/training/<name>` by default.
        task: entry of `rvos_fusion.training.tasks.TASKS`.
        network: settings of the network's own configuration class; official values are its defaults.
    """

    name: str
    task: str
    optimiser: OptimiserSettings
    loop: LoopSettings
    network: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    validation: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    initial: tuple[InitialWeights, ...] = ()

    def read(self, settings: type[Settings]) -> Settings:
        """Return the task's settings, fields named as the parts they are read from; ConfigError names all problems."""
        values = {one.name: getattr(self, one.name) for one in dataclasses.fields(settings)}
        return load(settings, values, where=self.name)


def read_config(path: Path, assignments: Sequence[str] = ()) -> TrainingConfig:
    """Return a YAML file's configuration with `--set` assignments, paths from here; ConfigError names all problems."""
    root = read_document(path, assignments, what=_WHAT, folder=Path())
    return load(TrainingConfig, root, where=str(path), what=_WHAT)


def to_plain(value: object) -> Any:
    """Return settings as JSON can write them, for whoever logs them."""
    if dataclasses.is_dataclass(value):
        return {one.name: to_plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(content) for content in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _check_pattern(pattern: str, replacement: str | None = None) -> None:
    try:
        re.compile(pattern)
        if replacement is not None:
            # A replacement is read when something matches, and nothing always does.
            re.compile(f"{pattern}|").sub(replacement, "", count=1)
    except (re.error, OverflowError, RecursionError, IndexError) as error:
        raise ConfigError(f"{show(pattern)} is no regular expression ({error}); correct it") from None
