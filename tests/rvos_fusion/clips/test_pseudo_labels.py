"""Fused masks as a split that trainings and evaluations read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from small_data import write_split
from small_videos import write_small_mevis

from rvos.formats import open_dataset
from rvos_fusion.commands.cli import main
from rvos_fusion.training.data.clip_augmentation import Augmentation
from rvos_fusion.training.data.clips import VideoClips, VideoClipSettings
from rvos_fusion.training.data.videos import VideoFolder


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_split(tmp_path, 2)
    assert main(["run", str(tmp_path / "pipeline.yaml"), "--quiet"]) == 0
    return tmp_path / "pipeline.yaml"


def test_the_split_trains_with_the_fused_masks(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = recipe.parent / "pseudo"
    capsys.readouterr()
    assert main(["pseudo-labels", str(recipe), "final", "--out", str(out), "--quiet", "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["videos"], counts["expressions"], counts["objects"]) == (2, 6, 4)
    clips = VideoClips(VideoClipSettings(VideoFolder(out), 3, "windows", Augmentation()))
    assert len(clips) == 6
    # The group of sentences 0 and 1 is one object, numbered 1.
    content = json.loads((out / "meta_expressions/train/meta_expressions.json").read_text())["videos"]["video0"]
    assert {name: entry["obj_id"] for name, entry in content["expressions"].items()} == {"0": "1", "1": "1", "2": "2"}
    frame = "JPEGImages/video0/00005.jpg"
    assert (out / "train" / frame).read_bytes() == (recipe.parent / "data/valid" / frame).read_bytes()


def test_masks_judged_against_their_own_labels_are_right(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, masks = recipe.parent / "pseudo", recipe.parent / "masks"
    assert main(["pseudo-labels", str(recipe), "final", "--out", str(out), "--split", "valid", "--quiet"]) == 0
    workspace = str(recipe.parent / "runs")
    assert main(["export", "final", "--workspace", workspace, "--out", str(masks)]) == 0
    capsys.readouterr()
    arguments = ["evaluate", str(out), str(masks), "--format", "ref-youtube-vos", "--split", "valid", "--json"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["J&F"] > 0.97
    assert open_dataset("ref-youtube-vos", out, "valid").videos[0].expressions[0].object_ids == ("1",)


def test_frames_that_are_no_jpeg_become_one(recipe: Path) -> None:
    for path in (recipe.parent / "data/valid/JPEGImages").rglob("*.jpg"):
        Image.open(path).save(path.with_suffix(".png"))
        path.unlink()
    assert main(["run", str(recipe), "--quiet"]) == 0
    out = recipe.parent / "pseudo"
    assert main(["pseudo-labels", str(recipe), "final", "--out", str(out), "--quiet"]) == 0
    assert Image.open(out / "train/JPEGImages/video0/00000.jpg").format == "JPEG"


def test_what_cannot_be_written_is_one_line(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = recipe.parent / "pseudo"
    command = ["pseudo-labels", str(recipe), "final", "--out", str(out), "--quiet"]

    def fail(*options: str) -> str:
        capsys.readouterr()
        assert main([*command, *options]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "--split" in fail("--split", "../x")
    assert "came without scores; give no least score" in fail("--least-score", "0.5")
    assert main(command) == 0
    assert "holds a split train already; name another --out or --split" in fail()
    command[2] = "finale"
    assert "no node 'finale'" in fail()


def test_answers_that_overlap_are_written_in_the_form_of_mevis(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_small_mevis(tmp_path / "data", split="valid_u")
    whole = json.loads((data / "valid_u/mask_dict.json").read_text())
    video = open_dataset("mevis", data, "valid_u").videos[0]
    size = video.read_size()
    one, other = ([coco.decode(frame) for frame in whole[name]] for name in ("1", "2"))
    empty = [np.zeros(size, np.uint8)] * video.n_frames
    both = [np.maximum(a, b) for a, b in zip(one, other, strict=True)]
    for expression, masks in {"0": one, "1": both, "2": empty}.items():
        for frame, mask in zip(video.frames, masks, strict=True):
            path = tmp_path / "masks/video0" / expression / f"{frame}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask * np.uint8(255)).save(path)
    recipe = tmp_path / "pipeline.yaml"
    recipe.write_text(
        "dataset: {format: mevis, root: data, split: valid_u}\nworkspace: runs\ngroups: {by: none}\n"
        "models: {m: {import: png, path: masks}}\nstages: {one: {f: {fuse: [m], threshold: 1}}}\n"
        "submission: {node: f}\n"
    )
    assert main(["run", str(recipe), "--quiet"]) == 0
    out = tmp_path / "pseudo"
    capsys.readouterr()
    assert main(["pseudo-labels", str(recipe), "f", "--out", str(out), "--quiet", "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["expressions"], counts["objects"], counts["dropped"]) == (2, 2, {"without a mask": 1})
    labels = open_dataset("mevis", out, "train")
    assert labels.truth is not None
    truth = labels.truth(labels.videos[0]).read()
    for expression, masks in zip(labels.videos[0].expressions, (one, both), strict=True):
        assert np.array_equal(truth.masks(expression), masks)  # the square that both name is whole in each
    assert len(VideoClips(VideoClipSettings(VideoFolder(out, layout="mevis"), 3, "windows", Augmentation()))) == 2
