"""Propagation nodes of a recipe with a small engine: imported masks in, stored masks out."""

from __future__ import annotations

import json
from pathlib import Path

import deaot_toolkit
import numpy as np
import pytest
import torch
from PIL import Image

from demo.files import write_dataset
from pipeline.cli import main
from rvos.mask_sequences import MaskSequence
from rvos.store import Store

RECIPE = """
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
models:
  soc: {import: png, path: masks}
engines:
  aot: {network: small-aot, checkpoint: aot.safetensors, scales: [0.5], flip: true, keep_soft: true}
  deaot: {network: small-deaot, checkpoint: deaot.safetensors, scales: [0.5], protocol: legacy}
stages:
  stage1:
    soc_aot: {propagate: soc, engine: aot}
  stage2:
    soc_aot_deaot: {propagate: soc_aot, engine: deaot}
submission: {node: soc_aot_deaot}
"""
N_VIDEOS = 1
NODES = ("soc", "soc_aot", "soc_aot_deaot")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    write_dataset(folder / "data", seed=21, n_videos=N_VIDEOS)
    _write_masks(folder)
    for name in ("aot", "deaot"):
        torch.manual_seed(1)
        deaot_toolkit.save(deaot_toolkit.build(f"small-{name}"), folder / f"{name}.safetensors")
    (folder / "pipeline.yaml").write_text(RECIPE)
    return folder


def _write_masks(folder: Path) -> None:
    """Write the true masks as an imported member, with the third frame as key frame."""
    listed = json.loads((folder / "data/meta_expressions/valid/meta_expressions.json").read_text())["videos"]
    keys: dict[str, dict[str, object]] = {}
    for video, entry in listed.items():
        keys[video] = {}
        for expression, content in entry["expressions"].items():
            target = folder / "masks" / video / expression
            target.mkdir(parents=True)
            keys[video][expression] = {"index_info": {"class_index": 2}}
            for frame in entry["frames"]:
                labels = np.asarray(Image.open(folder / f"data/valid/Annotations/{video}/{frame}.png"))
                mask = (labels == int(content["obj_id"])).astype(np.uint8) * 255
                Image.fromarray(mask).save(target / f"{frame}.png")
    (folder / "masks/key_frame.json").write_text(json.dumps(keys))


def run(folder: Path, *words: str) -> int:
    return main(["run", str(folder / "pipeline.yaml"), "--quiet", "--device", "cpu", *words])


def test_both_stages_run_with_their_engines(folder: Path) -> None:
    assert run(folder) == 0
    store = Store(folder / "runs")
    for path in sorted((folder / "masks").iterdir()):
        if not path.is_dir():
            continue
        sources, stage1, stage2 = (store.read(node, path.name) for node in NODES)
        assert len(stage2) == len(list(path.iterdir()))
        for source, first, second in zip(sources, stage1, stage2, strict=True):
            assert first.key_frame == second.key_frame == 2
            assert first.runs[2] == second.runs[2] == source.runs[2]
            assert first.n_frames == source.n_frames
            _check_empty_rule(source, first)


def _check_empty_rule(source: MaskSequence, result: MaskSequence) -> None:
    if not source.mask(2).any():
        assert result.runs == source.runs


def test_soft_maps_are_stored_where_the_engine_keeps_them(folder: Path) -> None:
    assert run(folder) == 0
    store = Store(folder / "runs")
    video = next(path.name for path in sorted((folder / "masks").iterdir()) if path.is_dir())
    for source, first, second in zip(*(store.read(n, video, soft=True) for n in NODES), strict=True):
        assert second.soft is None
        if source.mask(2).any():
            assert first.soft is not None
            assert (first.soft.kind, first.soft.values.shape) == ("probability", (source.n_frames, 32, 56))


def test_a_second_run_computes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder)
    capsys.readouterr()
    assert run(folder, "--json") == 0
    nodes = json.loads(capsys.readouterr().out)["nodes"]
    assert [(entry["node"], entry["done"], entry["reused"]) for entry in nodes] == [
        (node, 0, N_VIDEOS) for node in NODES
    ]


def test_a_missing_checkpoint_is_an_error_of_the_user(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = folder / "nothing.safetensors"
    status = run(folder, "--workspace", str(folder / "other"), "--set", f"engines.aot.checkpoint={missing}")
    assert status == 2
    assert "nothing.safetensors" in capsys.readouterr().err
