"""Where a training's scalars and pictures go beside `curve.csv`: TensorBoard, MLflow, Weights & Biases, one's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rvos.errors import ConfigError
from rvos.files.atomic import read_whole, write_atomically
from rvos.outside_code import describe
from rvos.plugins import Plugin, find_plugin, load_plugin
from rvos.settings import nearest

GROUP = "rvos.loggers"
"""Of entry points: an installed package names its function there."""


@dataclass(frozen=True, slots=True)
class LoggedTraining:
    """What a logger is told at the beginning; with a step that is not 0 the training goes on from there."""

    name: str
    folder: Path
    step: int
    settings: Mapping[str, Any]


class Logger(Protocol):
    """A place that scalars and pictures go to; made by a function that takes a `LoggedTraining`."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Take values by name, such as `train/total` or `validation/J&F`."""

    def pictures(self, step: int, pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """Take pictures (H, W, 3) by name."""

    def close(self) -> None:
        """Finish; the training ends."""


class TensorBoardLogger:
    """Files in `tensorboard/` of the training's folder."""

    def __init__(self, training: LoggedTraining) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(training.folder / "tensorboard"), purge_step=training.step + 1)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See `Logger`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def pictures(self, step: int, pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """See `Logger`."""
        for name, picture in pictures.items():
            self._writer.add_image(f"validation/{name}", picture, step, dataformats="HWC")

    def close(self) -> None:
        """See `Logger`."""
        self._writer.close()


class MlflowLogger:
    """A run of MLflow; where it lies, MLflow's environment variables say (`MLFLOW_TRACKING_URI`)."""

    def __init__(self, training: LoggedTraining) -> None:
        self._mlflow = import_module("mlflow")
        self._known = _KnownRun(training.folder / "mlflow_run", training.step)
        run = self._mlflow.start_run(run_id=self._known.read(), run_name=training.name)
        self._known.write(run.info.run_id)
        if not training.step:
            self._mlflow.log_dict(dict(training.settings), "settings.json")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See `Logger`; `J&F` becomes `J and F`, as MLflow takes no `&`."""
        self._mlflow.log_metrics({name.replace("&", " and "): value for name, value in values.items()}, step=step)

    def pictures(self, step: int, pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """See `Logger`."""
        for name, picture in pictures.items():
            self._mlflow.log_image(picture, f"validation/{step:07d}/{re.sub('[^a-zA-Z0-9]+', '_', name)}.png")

    def close(self) -> None:
        """See `Logger`."""
        self._mlflow.end_run()


class WandbLogger:
    """A run of Weights & Biases; its environment variables count (`WANDB_PROJECT`, `WANDB_MODE=offline`)."""

    def __init__(self, training: LoggedTraining) -> None:
        self._wandb = import_module("wandb")
        self._known = _KnownRun(training.folder / "wandb_run", training.step)
        self._run = self._wandb.init(
            id=self._known.read(),
            name=training.name,
            dir=str(training.folder),
            config=dict(training.settings),
            resume="allow",
        )
        self._known.write(self._run.id)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See `Logger`."""
        self._run.log(dict(values), step=step)

    def pictures(self, step: int, pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """See `Logger`."""
        images = {f"validation/{name}": self._wandb.Image(picture) for name, picture in pictures.items()}
        if images:
            self._run.log(images, step=step)

    def close(self) -> None:
        """See `Logger`."""
        self._run.finish()


LOGGERS: Mapping[str, Callable[[LoggedTraining], Logger]] = {
    "tensorboard": TensorBoardLogger,
    "mlflow": MlflowLogger,
    "wandb": WandbLogger,
}


def check_loggers(names: Sequence[str]) -> None:
    """Check that loggers can be had, importing none; ConfigError: unknown, or a package that is not installed."""
    for name in names:
        if name not in LOGGERS:
            _find_own(name)
        elif find_spec(name) is None:
            package = "'rvos-fusion[train]'" if name == "tensorboard" else name
            raise ConfigError(f"loop.loggers: {name} is not installed; pip install {package}, or leave it out")


def open_loggers(names: Sequence[str], training: LoggedTraining) -> list[Logger]:
    """Return a training's loggers; ConfigError as of `check_loggers`, or where one cannot begin."""
    check_loggers(names)
    loggers: list[Logger] = []
    for name in names:
        build = LOGGERS[name] if name in LOGGERS else load_plugin(_find_own(name))
        try:
            loggers.append(build(training))
        except Exception as error:  # whatever a package that is not ours may raise
            reason = describe(error)
            raise ConfigError(f"loop.loggers: {name} cannot begin ({reason}); mend it or leave it out") from None
    return loggers


def _find_own(name: str) -> Plugin:
    plugin = find_plugin(name, group=GROUP, folder=Path.cwd())
    if plugin is None:
        known = f"{nearest(name, LOGGERS)} Your own is named module:function"
        raise ConfigError(f"loop.loggers: {name!r} is unknown; {known}")
    return plugin


@dataclass(frozen=True, slots=True)
class _KnownRun:
    """The name of a run in a file of the training's folder, so that a resumed training goes on in it."""

    path: Path
    step: int

    def read(self) -> str | None:
        return read_whole(self.path, most=1000).decode().strip() if self.step and self.path.is_file() else None

    def write(self, name: str) -> None:
        write_atomically(self.path, f"{name}\n".encode())
