"""Where a training's scalars and pictures go: TensorBoard, others by name, an own one by `module:function`."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from toy_task import ToyTask

from rvos.errors import ConfigError
from rvos_fusion.training.config import LoopSettings, OptimiserSettings, TrainingConfig
from rvos_fusion.training.logs.loggers import check_loggers
from rvos_fusion.training.logs.pictures import MaskPictures, draw
from rvos_fusion.training.logs.records import read_curve
from rvos_fusion.training.running.distributed import Ranks
from rvos_fusion.training.running.loop import Trainer

CONFIG = TrainingConfig(
    name="toy",
    task="toy",
    optimiser=OptimiserSettings(rate=0.01),
    loop=LoopSettings(steps=4, batch=2, save_every=2, validate_every=2, log_every=1),
    validation={},
)
FRAME = np.full((6, 8, 3), 100, np.uint8)
LEFT = np.arange(8)[None] < np.full((6, 1), 4)


class ShowingTask(ToyTask):
    """A toy task whose validations leave a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures = MaskPictures()

    def validate(self, folder: Path) -> dict[str, float]:
        self.pictures.clear()
        self.pictures.add("video/0 the left half", FRAME, LEFT, ~LEFT)
        return {**super().validate(folder), "J&F": 50.0}


def train(folder: Path, *loggers: str, until: int | None = None) -> None:
    config = replace(CONFIG, loop=replace(CONFIG.loop, loggers=loggers or CONFIG.loop.loggers))
    trainer = Trainer(ShowingTask(), config, folder, ranks=Ranks(0, 1, torch.device("cpu")), quiet=True)
    trainer.resume()
    trainer.run(until=until)


def test_tensorboard_has_the_curve_and_the_predicted_masks(tmp_path: Path) -> None:
    train(tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0}).Reload()
    for name in ("train/total", "validation/nearness"):
        logged = [(event.step, pytest.approx(event.value, rel=1e-5)) for event in events.Scalars(name)]
        assert logged == [(step, value) for step, found, value in read_curve(tmp_path / "curve.csv") if found == name]
    assert [picture.step for picture in events.Images("validation/video/0 the left half")] == [2, 4]
    assert (events.Images("validation/video/0 the left half")[0].width) == FRAME.shape[1]


def test_a_picture_shows_what_was_marked_and_the_true_outline() -> None:
    picture = draw(FRAME, LEFT, ~LEFT)
    assert picture[:, :4].tolist() == [[[178, 120, 50]] * 4] * 6
    assert picture[:, 4].tolist() == [[255] * 3] * 6
    assert picture[2, 6].tolist() == [100] * 3
    assert draw(np.zeros((960, 1920, 3), np.uint8), np.zeros((960, 1920), bool), np.zeros((960, 1920), bool)).shape == (
        240,
        480,
        3,
    )


def test_a_validation_keeps_few_pictures() -> None:
    pictures = MaskPictures(most=2)
    for name in "abc":
        pictures.add(name, FRAME, LEFT, LEFT)
    assert list(pictures.taken()) == ["a", "b"]


OWN = """\
class Own:
    def __init__(self, training):
        self.path = training.folder / "own.txt"
        self.note(f"{training.name} from {training.step}, rate {training.settings['optimiser']['rate']}")

    def note(self, text):
        with self.path.open("a") as stream:
            print(text, file=stream)

    def scalars(self, step, values):
        self.note(f"{step}: {sorted(values)}")

    def pictures(self, step, pictures):
        self.note(f"{step}: {[picture.shape for picture in pictures.values()]}")

    def close(self):
        self.note("closed")
"""


def test_an_own_logger_needs_three_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_logger.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    train(tmp_path / "out", "own_logger:Own", until=2)
    train(tmp_path / "out", "own_logger:Own")
    lines = (tmp_path / "out/own.txt").read_text().splitlines()
    assert lines[0] == "toy from 0, rate 0.01"
    assert lines[lines.index("closed") + 1] == "toy from 2, rate 0.01"
    assert lines.count("2: [(6, 8, 3)]") == lines.count("4: [(6, 8, 3)]") == 1
    assert lines[-1] == "closed"
    assert not (tmp_path / "out/tensorboard").exists()


class Calls(ModuleType):
    """A package that notes how it is called, as MLflow and Weights & Biases are."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = SimpleNamespace(name=name)  # type: ignore[assignment]
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*values: Any, **named: Any) -> Any:
            self.calls.append((name, values, named))
            return SimpleNamespace(
                id="run7", info=SimpleNamespace(run_id="run7"), log=self.log, finish=lambda: self.finish()
            )

        return call

    def named(self, name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        """Return the arguments of all calls of a function."""
        return [(values, named) for found, values, named in self.calls if found == name]


def test_mlflow_gets_metrics_and_a_resumed_training_goes_on_in_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = Calls("mlflow")
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    train(tmp_path, "mlflow", until=2)
    train(tmp_path, "mlflow")
    assert [named for _, named in mlflow.named("start_run")] == [
        {"run_id": None, "run_name": "toy"},
        {"run_id": "run7", "run_name": "toy"},
    ]
    names = {name for (values,), _ in mlflow.named("log_metrics") for name in values}
    assert {"train/total", "validation/J and F"} <= names
    assert [path for (_, path), _ in mlflow.named("log_image")] == [
        f"validation/000000{step}/video_0_the_left_half.png" for step in (2, 4)
    ]
    assert len(mlflow.named("log_dict")) == 1
    assert len(mlflow.named("end_run")) == 2


def test_weights_and_biases_get_everything_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = Calls("wandb")
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    train(tmp_path, "tensorboard", "wandb", until=2)
    train(tmp_path, "tensorboard", "wandb")
    assert [named["id"] for _, named in wandb.named("init")] == [None, "run7"]
    logged = [(named["step"], sorted(values)) for (values,), named in wandb.named("log")]
    assert (2, ["validation/video/0 the left half"]) in logged
    assert (4, ["validation/J&F", "validation/nearness"]) in logged
    assert len(wandb.named("finish")) == 2
    assert (tmp_path / "tensorboard").is_dir()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("tensorboard", "tensorboard is not installed; pip install 'rvos-fusion[train]', or leave it out"),
        ("mlflow", "mlflow is not installed; pip install mlflow, or leave it out"),
        ("tensorbord", "did you mean 'tensorboard'?"),
        ("absent_module:build", "no module absent_module"),
    ],
)
def test_a_logger_that_is_not_there_is_one_line(name: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rvos_fusion.training.logs.loggers.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=re.escape(problem)):
        check_loggers([name])


def test_a_logger_that_breaks_is_left_out_and_the_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken_logger.py").write_text(OWN.replace('self.note(f"{step}: {sorted(values)}")', "1 / 0"))
    monkeypatch.chdir(tmp_path)
    train(tmp_path / "out", "broken_logger:Own", "tensorboard")
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning == "warning: Own is left out from here (ZeroDivisionError: division by zero)"
    assert EventAccumulator(str(tmp_path / "out/tensorboard")).Reload().Scalars("train/total")[-1].step == 4


def test_a_logger_that_cannot_begin_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no_logger.py").write_text("def build(training):\n    raise OSError('no server')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"no_logger:build cannot begin \(OSError: no server\)"):
        train(tmp_path / "out", "no_logger:build")
