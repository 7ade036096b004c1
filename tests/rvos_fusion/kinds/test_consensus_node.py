"""`key: {rule: consensus}` in a recipe: the stored masks are those of one of the starts, by the stated rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import deaot_toolkit
import pytest
import torch
from small_data import write_split

from propagate.engines.aot.settings import AotSettings
from propagate.engines.table import build_engine
from propagate.key_rules.consensus import Consensus
from propagate.propagator import Propagator, Source
from rvos.formats import open_dataset
from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main

NODES = """\
engines:
  aot: {network: small-aot, checkpoint: aot.safetensors, scales: [0.5]}
stages:
  stage0:
    carried: {propagate: a, engine: aot, key: {rule: consensus, references: 3}}
    alone: {propagate: b, engine: aot}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, 1)
    text = Path("pipeline.yaml").read_text().replace("stages:\n", NODES)
    Path("pipeline.yaml").write_text(text.replace("submission: {node: final}", "submission: {node: carried}"))
    torch.manual_seed(1)
    deaot_toolkit.save(deaot_toolkit.build("small-aot"), tmp_path / "aot.safetensors")
    return "pipeline.yaml"


def test_the_start_that_its_own_masks_agree_with_is_stored(recipe: str) -> None:
    assert main(["run", recipe, "--quiet", "--device", "cpu"]) == 0
    store = Store(Path("runs"))
    video = open_dataset("ref-youtube-vos", Path("data"), "valid").videos[0]
    settings = AotSettings("small-aot", Path("aot.safetensors"), scales=(0.5,))
    propagator = Propagator(build_engine(settings, device=torch.device("cpu")))
    rule = Consensus(references=3)
    for given, found in zip(store.read("a", video.id), store.read("carried", video.id), strict=True):
        # One start at a time: what shares a pass with others must not depend on them.
        carried = [propagator.propagate(video, [Source([start])])[0][0] for start in rule.list_starts(given, given)]
        assert found.runs == rule.choose(given, carried).runs
        assert found.key_frame in (0, 1, 2)
    # The other node of the pass keeps its own rule.
    for given, found in zip(store.read("b", video.id), store.read("alone", video.id), strict=True):
        expected = propagator.propagate(video, [Source([replace(given, soft=None)])])[0][0]
        assert found.runs == expected.runs


def test_a_consensus_of_one_frame_is_refused(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", recipe, "--set", "stages.stage0.carried.key.references=1"]) == 2
    assert "is not a whole number of at least 2" in capsys.readouterr().err
