"""The data set on disk: form, repetition, refusals, the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rvos.errors import InputError
from rvos.masks.index_maps import davis_palette
from rvos_fusion.commands.cli import main
from rvos_fusion.synthetic.synthesis import make_video
from rvos_fusion.synthetic.writers.files import write_dataset

SEED = 3


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    write_dataset(tmp_path / "a", seed=SEED, n_videos=2)
    write_dataset(tmp_path / "b", seed=SEED, n_videos=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_files_hold_the_videos(tmp_path: Path) -> None:
    write_dataset(tmp_path, seed=SEED, n_videos=1, split="train")
    listed = json.loads((tmp_path / "meta_expressions/train/meta_expressions.json").read_text())["videos"]
    video = make_video(SEED, 0)
    entry = listed[video.id]
    assert [e["exp"] for e in entry["expressions"].values()] == [e.text for e in video.expressions]
    assert [e["obj_id"] for e in entry["expressions"].values()] == [str(e.object_id) for e in video.expressions]
    assert list(entry["expressions"]) == [str(number) for number in range(len(video.expressions))]
    for index, frame in enumerate(entry["frames"]):
        with Image.open(tmp_path / "train/Annotations" / video.id / f"{frame}.png") as mask:
            assert mask.mode == "P"
            np.testing.assert_array_equal(np.asarray(mask), video.index_masks[index])
        with Image.open(tmp_path / "train/JPEGImages" / video.id / f"{frame}.jpg") as picture:
            error = np.abs(np.asarray(picture, dtype=np.float32) - video.frames[index]).mean()
        assert error < 4


def test_objects_list_the_frames_that_show_them(tmp_path: Path) -> None:
    write_dataset(tmp_path, seed=SEED, n_videos=1)
    objects = json.loads((tmp_path / "valid/meta.json").read_text())["videos"][make_video(SEED, 0).id]["objects"]
    video = make_video(SEED, 0)
    assert [entry["category"] for entry in objects.values()] == list(video.categories)
    for index, entry in enumerate(objects.values(), start=1):
        assert len(entry["frames"]) == int((video.index_masks == index).any(axis=(1, 2)).sum())


def test_a_folder_with_other_videos_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path, seed=SEED, n_videos=1)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="1 other video, first"):
        write_dataset(tmp_path, seed=SEED + 1, n_videos=1)
    assert contents(tmp_path) == before


def test_palette_begins_with_black_and_has_no_repeats() -> None:
    colours = [tuple(davis_palette()[3 * i : 3 * i + 3]) for i in range(256)]
    assert colours[:4] == [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)]
    assert len(set(colours)) == 256


def test_command_writes_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synthesize", "--seed", "3", "--videos", "1", "--out", str(tmp_path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["videos"] == 1
    assert printed["frames"] == len(list(tmp_path.glob("valid/JPEGImages/*/*.jpg")))


@pytest.mark.parametrize("videos", ["0", "-3"])
def test_command_refuses_no_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str], videos: str) -> None:
    assert main(["synthesize", "--seed", "3", "--videos", videos, "--out", str(tmp_path / "x")]) == 2
    assert "give at least 1" in capsys.readouterr().err
