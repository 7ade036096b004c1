"""`cuts: split` of a propagation: what every shot alone comes to, joined, beside nodes that ignore cuts."""

from __future__ import annotations

from pathlib import Path

import deaot_toolkit
import numpy as np
import pytest
import torch
from PIL import Image

from propagate.engines.aot.settings import AotSettings
from propagate.engines.table import build_engine
from propagate.propagator import Propagator, Source
from propagate.shots import list_shots, take_shot
from rvos.formats import open_dataset
from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main

RECIPE = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
models:
  a: {import: png, path: a}
engines:
  aot: {network: small-aot, checkpoint: aot.safetensors, scales: [0.5]}
stages:
  stage1:
    whole: {propagate: a, engine: aot}
    split: {propagate: a, engine: aot, cuts: split}
submission: {node: split}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert main(["synthesize", "--seed", "5", "--videos", "2", "--cuts", "1", "--out", "data", "--json"]) == 0
    for video in open_dataset("ref-youtube-vos", Path("data"), "valid").videos:
        for expression in video.expressions:
            source = Path("data/valid/Annotations") / video.id
            target = Path("a") / "Annotations" / video.id / expression.id
            target.mkdir(parents=True)
            for frame in video.frames:
                labels = np.asarray(Image.open(source / f"{frame}.png"))
                Image.fromarray(np.uint8(labels == 1) * np.uint8(255)).save(target / f"{frame}.png")
    Path("pipeline.yaml").write_text(RECIPE)
    torch.manual_seed(1)
    deaot_toolkit.save(deaot_toolkit.build("small-aot"), tmp_path / "aot.safetensors")
    return tmp_path


def test_each_shot_is_carried_by_itself_and_a_neighbour_in_the_pass_as_a_whole(folder: Path) -> None:
    assert main(["run", "pipeline.yaml", "--quiet", "--device", "cpu"]) == 0
    store = Store(Path("runs"))
    video = open_dataset("ref-youtube-vos", Path("data"), "valid").videos[0]
    settings = AotSettings("small-aot", Path("aot.safetensors"), scales=(0.5,))
    propagator = Propagator(build_engine(settings, device=torch.device("cpu")))
    shots = list_shots(video)
    assert len(shots) == 2
    given = store.read("a", video.id)
    (carried,) = propagator.propagate(video, [Source(given)])
    assert [one.runs for one in store.read("whole", video.id)] == [one.runs for one in carried]
    for place, found in enumerate(store.read("split", video.id)):
        for shot in shots:
            alone = take_shot(given[place], shot)
            ((expected,),) = propagator.propagate(video.take(shot), [Source([alone])])
            assert take_shot(found, shot).runs == expected.runs


def test_another_word_for_cuts_is_refused_with_those_that_are_known(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "pipeline.yaml", "--quiet", "--device", "cpu", "--set", "stages.stage1.split.cuts=shots"]) == 2
    assert "ignore" in capsys.readouterr().err


def test_the_plan_says_which_node_heeds_cuts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "pipeline.yaml"]) == 0
    heeding = [line for line in capsys.readouterr().out.splitlines() if "every shot by itself" in line]
    assert [line.split()[0] for line in heeding] == ["split"]
