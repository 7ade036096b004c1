"""Every training step on a device of its own: nothing mixes with the CPU, losses and scores are those of the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from labelled_device import DEVICE, LabelledDevice
from small_videos import write_small_videos

from rvos_fusion.synthetic.bundled import CHECKPOINTS
from rvos_fusion.synthetic.writers.mevis import write_mevis
from rvos_fusion.training.config import TrainingConfig, read_config
from rvos_fusion.training.logs.records import read_curve
from rvos_fusion.training.running.distributed import Ranks
from rvos_fusion.training.running.loop import Trainer
from rvos_fusion.training.tasks import TASKS, build_task

CONFIGS = Path(__file__).parents[3] / "rvos_fusion" / "training" / "configs"
CLIPS = "data.videos=[{folder: {root: data}, frames: 2, sampling: spread, augmentation: {short_sides: [48]}}]"
SEQUENCES = ("data.folders=[{root: data}]", "data.size=[33, 49]", "data.short_edge=48", "data.least_reference=20")
FOLDER = ("data.folder={root: data}", "validation.folder={root: data, split: train}")
FRAMES = ("data.folder={root: data}", "data.validation={root: data, split: train}", "data.short_side=48")
CASES = {
    "aot": ("small_aot", *SEQUENCES, "validation.folder={root: data, split: train}"),
    "cfbi": ("small_cfbi_plus", *SEQUENCES, "data.coarse=0"),
    "words": ("small_backbone", *FRAMES),
    "grounding": ("small_grounding", *FRAMES, "data.expressions=2"),
    "tracklets": ("small_tracklets", *FOLDER, "data.expressions=2", "network.short_side=48"),
    "referformer": ("small_referformer", CLIPS, "data.expressions=2", "validation.folder={root: data, split: train}"),
    "mutr": ("small_mutr", CLIPS, "validation.folder={root: data, split: train}"),
    "soc": ("small_soc", CLIPS, "data.expressions=2", "validation.folder={root: data, split: train}"),
    "uninext": ("small_uninext", *FOLDER, "data.expressions=2", "data.short_sides=[48]"),
    "sam3": (
        *("small_sam3", "data.folder.root=mevis", "validation.folder={root: mevis, split: train, layout: mevis}"),
        *(f"network.vocabulary={CHECKPOINTS / 'sam3'}", "network.side=112"),
    ),
}
LOOP = (
    "initial=[]",
    "loop.steps=2",
    "loop.batch=2",
    "loop.precision=float32",
    "loop.validate_every=0",
    "loop.loggers=[]",
    "loop.log_every=1",
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    # Parameters are replaced when a module moves: a label cannot be put onto one in place.
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    yield
    torch.__future__.set_overwrite_module_params_on_conversion(False)


def train(config: TrainingConfig, device: torch.device) -> dict[tuple[int, str], float]:
    """Return the losses of two steps and the scores after them, by step and name."""
    torch.manual_seed(0)
    task = build_task(config)
    torch.manual_seed(1)
    Trainer(task, config, Path(device.type), ranks=Ranks(0, 1, device), quiet=True).run()
    curve = read_curve(Path(device.type) / "curve.csv")
    return {(step, name): value for step, name, value in curve if not name.endswith("seconds")}


def test_every_task_has_a_case() -> None:
    assert set(CASES) == set(TASKS)


@pytest.mark.parametrize("task", CASES)
def test_training_steps_run_there(task: str) -> None:
    write_mevis(Path("mevis"), seed=3, n_videos=1, split="train") if task == "sam3" else write_small_videos(
        Path("data")
    )
    name, *words = CASES[task]
    config = read_config(CONFIGS / f"{name}.yaml", [*words, *LOOP])
    here = train(config, torch.device("cpu"))
    with LabelledDevice() as device:
        there = train(config, DEVICE)
    assert device.problems == set()
    assert {step for step, _ in here} == {1, 2}
    assert there == pytest.approx(here, rel=0.01, abs=0.5)
