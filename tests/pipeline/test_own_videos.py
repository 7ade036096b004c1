"""A user's clip becomes a data set of one video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.overlays import write_video
from pipeline.own_videos import name_video, write_own_video
from rvos.datasets import open_dataset
from rvos.errors import InputError


def write_image(path: Path, value: int, *, size: tuple[int, int] = (16, 24)) -> None:
    Image.fromarray(np.full((*size, 3), value, dtype=np.uint8)).save(path)


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    source = tmp_path / "my clip.v2"
    source.mkdir()
    for number, value in ((10, 200), (9, 100), (1, 20)):
        write_image(source / f"frame{number}.png", value)
    (source / "notes.txt").write_text("not a frame")
    name = write_own_video(tmp_path / "data", source, ["the red ball", "it"])
    video = open_dataset("ref-youtube-vos", tmp_path / "data", "valid").video(name)
    assert [round(float(video.read_frame(index).mean())) for index in range(3)] == [20, 100, 200]
    assert [expression.text for expression in video.expressions] == ["the red ball", "it"]


def test_a_video_file_is_thinned_and_cut(tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    write_video(source, [np.full((32, 48, 3), 20 * i, dtype=np.uint8) for i in range(10)], frames_per_second=10)
    name = write_own_video(tmp_path / "data", source, ["a thing"], every=3, max_frames=3)
    video = open_dataset("ref-youtube-vos", tmp_path / "data", "valid").video(name)
    assert [round(float(video.read_frame(index).mean()), -1) for index in range(3)] == [0, 60, 120]
    assert video.frames == ("00000", "00001", "00002")


def test_names_are_safe() -> None:
    assert name_video(Path("a b/../.c d!.mp4")) == "c_d"
    assert name_video(Path("/tmp/видео.mp4")) == "video"


def test_unequal_frames_and_empty_folders_are_named(tmp_path: Path) -> None:
    source = tmp_path / "clip"
    source.mkdir()
    with pytest.raises(InputError, match="no frames"):
        write_own_video(tmp_path / "data", source, ["a thing"])
    write_image(source / "0.png", 0)
    write_image(source / "1.png", 0, size=(16, 26))
    with pytest.raises(InputError, match=r"frame 1 is \(16, 26\)"):
        write_own_video(tmp_path / "data", source, ["a thing"])
    (source / "1.png").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"1\.png: image cannot be decoded"):
        write_own_video(tmp_path / "data", source, ["a thing"])
