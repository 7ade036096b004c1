"""Propagation nodes of a recipe with a small engine: imported masks in, stored masks out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import deaot_toolkit
import numpy as np
import pytest
import torch
from PIL import Image
from sam2_weights import make_network

from rvos.errors import InputError
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main
from rvos_fusion.kinds.base import Task
from rvos_fusion.kinds.propagate import PropagateNode
from rvos_fusion.synthetic.writers.files import write_dataset

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


def _write_masks(folder: Path, member: str = "masks", key_frame: int = 2) -> None:
    """Write the true masks as an imported member that states its key frame."""
    listed = json.loads((folder / "data/meta_expressions/valid/meta_expressions.json").read_text())["videos"]
    keys: dict[str, dict[str, object]] = {}
    for video, entry in listed.items():
        keys[video] = {}
        for expression, content in entry["expressions"].items():
            target = folder / member / video / expression
            target.mkdir(parents=True, exist_ok=True)
            keys[video][expression] = {"index_info": {"class_index": key_frame}}
            for frame in entry["frames"]:
                labels = np.asarray(Image.open(folder / f"data/valid/Annotations/{video}/{frame}.png"))
                mask = (labels == int(content["obj_id"])).astype(np.uint8) * 255
                Image.fromarray(mask).save(target / f"{frame}.png")
    (folder / member / "key_frame.json").write_text(json.dumps(keys))


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


TOGETHER = """
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: together
models:
  soc: {import: png, path: masks}
  mutr: {import: png, path: other_masks}
engines:
  aot: {network: small-aot, checkpoint: aot.safetensors, scales: [0.5], cache_megabytes: 0}
stages:
  stage1:
    soc_aot: {propagate: soc, engine: aot}
    mutr_aot: {propagate: mutr, engine: aot, key: {references: 2}}
submission: {node: mutr_aot}
"""


@pytest.fixture
def two_sources(folder: Path) -> Path:
    _write_masks(folder, "other_masks", key_frame=4)
    recipe = folder / "together.yaml"
    recipe.write_text(TOGETHER)
    return recipe


def run_sources(recipe: Path, workspace: Path) -> int:
    return main(["run", str(recipe), "--quiet", "--device", "cpu", "--workspace", str(workspace)])


def results(workspace: Path) -> dict[str, bytes]:
    return {str(path.relative_to(workspace)): path.read_bytes() for path in workspace.glob("nodes/*_aot/**/*.masks")}


def test_sources_of_one_engine_give_together_what_they_give_alone(
    two_sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    compute = PropagateNode.compute

    def count(node: PropagateNode, tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
        passes.append(len(tasks))
        return compute(node, tasks)

    monkeypatch.setattr(PropagateNode, "compute", count)
    assert run_sources(two_sources, tmp_path / "together") == 0
    assert passes == [2] * N_VIDEOS
    found = results(tmp_path / "together")
    for lost in sorted(found):
        # Without one of the results the other propagation runs alone.
        (tmp_path / "together" / lost).unlink()
        assert run_sources(two_sources, tmp_path / "together") == 0
        assert results(tmp_path / "together") == found
    assert passes == [2] * N_VIDEOS + [1] * len(found)


def test_a_source_that_fails_does_not_stop_the_other(
    two_sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read = Task.read

    def refuse(task: Task, name: str, *, soft: bool = False) -> tuple[MaskSequence, ...]:
        if name == "mutr":
            raise InputError("mutr: masks of another video")
        return read(task, name, soft=soft)

    monkeypatch.setattr(Task, "read", refuse)
    assert run_sources(two_sources, tmp_path / "broken") == 2
    assert {name.split("/")[1] for name in results(tmp_path / "broken")} == {"soc_aot"}
    assert "masks of another video" in capsys.readouterr().err


SAM2 = """
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: sam2
models:
  soc: {import: png, path: masks}
engines:
  sam2: {network: sam2.1-mini, checkpoint: sam2.pt, image_size: 64, protocol: shared}
stages:
  stage1:
    soc_sam2: {propagate: soc, engine: sam2, key: {rule: largest, references: 2}}
submission: {node: soc_sam2}
"""


def test_sam2_is_an_engine_like_the_others(folder: Path) -> None:
    torch.save({"model": make_network().model.state_dict()}, folder / "sam2.pt")
    (folder / "sam2.yaml").write_text(SAM2)
    assert main(["run", str(folder / "sam2.yaml"), "--quiet", "--device", "cpu"]) == 0
    store = Store(folder / "sam2")
    (video,) = store.videos("soc_sam2")
    for source, result in zip(store.read("soc", video), store.read("soc_sam2", video), strict=True):
        areas = source.masks().sum(axis=(1, 2))
        assert result.key_frame == int(areas.argmax())
        assert result.runs[result.key_frame] == source.runs[result.key_frame]
        assert (result.propagation is None) == (not areas.any())
        if result.propagation is not None:
            assert result.propagation[result.key_frame] == 1


def test_a_missing_checkpoint_is_an_error_of_the_user(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = folder / "nothing.safetensors"
    status = run(folder, "--workspace", str(folder / "other"), "--set", f"engines.aot.checkpoint={missing}")
    assert status == 2
    assert "nothing.safetensors" in capsys.readouterr().err
