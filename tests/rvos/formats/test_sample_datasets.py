"""A2D-Sentences and JHMDB-Sentences: windows around annotated frames, masks as the original files have them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from data_folders import write_json
from hostile_files import KINDS, put
from sample_folders import make_mask, write_a2d, write_h5, write_jhmdb

from rvos.errors import ConfigError, InputError
from rvos.formats import Dataset, open_dataset
from rvos.formats.reading.samples import name_frames, plan_window

A2D_LIST = "a2d_sentences_single_frame_test_annotations.json"
H5 = "text_annotations/a2d_annotation_with_instances/clip/00001.h5"
JHMDB_LIST = "jhmdb_sentences_samples_metadata.json"
MAT = "puppet_mask/roll/clip/puppet_mask.mat"


def open_a2d(root: Path, **settings: int) -> Dataset:
    return open_dataset("a2d-sentences", root, "test", **settings)


@pytest.mark.parametrize(
    ("frame", "size", "expected"),
    [
        (10, 5, (8, 9, 10, 11, 12)),
        (10, 8, (6, 7, 8, 9, 10, 11, 12, 13)),
        (1, 5, (1, 1, 1, 2, 3)),
        (20, 5, (18, 19, 20, 20, 20)),
        (7, 1, (7,)),
    ],
)
def test_a_window_surrounds_its_frame_and_repeats_the_edges(frame: int, size: int, expected: tuple[int, ...]) -> None:
    assert plan_window(frame, 20, size) == expected
    assert plan_window(frame, 20, size)[size // 2] == frame


def test_names_of_repeated_frames_differ_and_the_annotated_one_keeps_its_number() -> None:
    assert name_frames((1, 1, 1, 2, 3), 2) == ("00001-2", "00001-3", "00001", "00002", "00003")


@pytest.mark.parametrize("listed", [True, False], ids=["list", "original files"])
def test_a2d_samples_are_the_same_with_and_without_the_list(tmp_path: Path, listed: bool) -> None:
    dataset = open_a2d(write_a2d(tmp_path, listed=listed))
    found = {video.id: [(one.text, one.object_ids) for one in video.expressions] for video in dataset.videos}
    assert found == {
        "clip-00001": [("a ball, rolling", ("3",)), ("the box", ("5",))],
        "clip-00004": [("a ball, rolling", ("3",))],
    }


def test_a2d_masks_are_turned_and_found_by_the_place_of_their_instance(tmp_path: Path) -> None:
    dataset = open_a2d(write_a2d(tmp_path))
    first, second = dataset.videos
    ball, box = (dataset.read_truth(first).masks(one) for one in first.expressions)
    assert np.array_equal(ball[2], make_mask(0, 1))
    assert np.array_equal(box[2], make_mask(1, 1))
    assert not ball[[0, 1, 3, 4]].any()
    # A single instance is stored without the first axis.
    assert np.array_equal(dataset.read_truth(second).masks(second.expressions[0])[2], make_mask(0, 4))


@pytest.mark.parametrize(("window", "greys"), [(5, (60, 90, 120, 150, 180)), (8, (30, 30, 60, 90, 120, 150, 180, 210))])
def test_frames_come_from_the_clip(tmp_path: Path, window: int, greys: tuple[int, ...]) -> None:
    video = open_a2d(write_a2d(tmp_path), window=window).videos[1]
    found = [float(video.read_frame(index).mean()) for index in range(window)]
    if window == 8:
        greys = (30, 30, *greys[2:])  # frame 4 - 4 is before the clip
    assert np.allclose(found, greys, atol=3)
    assert video.read_size() == (32, 48)
    assert video.take([1]).read_frame(0).mean() == found[1]


def test_jhmdb_has_a_mask_for_every_listed_frame(tmp_path: Path) -> None:
    dataset = open_dataset("jhmdb-sentences", write_jhmdb(tmp_path / "jhmdb"), "test")
    assert [video.id for video in dataset.videos] == ["clip-00002", "clip-00007"]
    last = dataset.videos[1]
    assert [path.stem for path in last.image_paths] == ["00005", "00006", "00007", "00007", "00007"]
    assert last.expressions[0].text == "the ball"
    assert np.array_equal(dataset.read_truth(last).masks(last.expressions[0])[2], make_mask(0, 7))


def test_wrong_settings_are_one_line(tmp_path: Path) -> None:
    write_a2d(tmp_path)
    for words, use in (
        ("choose train or test", lambda: open_dataset("a2d-sentences", tmp_path, "valid")),
        ("evaluation only", lambda: open_dataset("jhmdb-sentences", tmp_path / "none", "train")),
        ("give 1 frame or more", lambda: open_a2d(tmp_path, window=0)),
        ("leave it out", lambda: open_dataset("mevis", tmp_path / "none", "valid", window=5)),
    ):
        with pytest.raises(ConfigError, match=words):
            use()
    with pytest.raises(InputError, match="give the folder that holds Release"):
        open_a2d(tmp_path / "text_annotations")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({}, "instead of a list"),
        ([], "no sample"),
        ([["a ball", "clip", 1]], "row 0.*expected"),
        ([["a ball", "clip", "1", 3]], "row 0.*expected"),
        ([["a ball", "clip", 0, 3]], "counted from 1"),
        ([[" ", "clip", 1, 3]], "no sentence"),
        ([["a ball", "../clip", 1, 3]], "cannot name a file safely"),
    ],
)
def test_a_broken_list_of_a2d_is_one_line(tmp_path: Path, rows: object, words: str) -> None:
    write_json(write_a2d(tmp_path) / A2D_LIST, rows)
    with pytest.raises(InputError, match=words):
        open_a2d(tmp_path)


def _without_masks(path: Path) -> None:
    with h5py.File(path, "w") as content:
        content["instance"] = np.array([3, 5])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: write_h5(path, [3, 5, 7], np.zeros((2, 48, 32), np.uint8)), "for 3 instances"),
        (lambda path: write_h5(path, [3, 5], np.zeros((48, 32), np.uint8)), "for 2 instances"),
        (lambda path: write_h5(path, [8, 9], np.zeros((2, 48, 32), np.uint8)), r"no instance 3 \(8, 9\)"),
        (_without_masks, "reMask"),
        (lambda path: write_h5(path, [3, 5], np.zeros((2, 48, 32), "S3")), "type"),
        (Path.unlink, "00001.h5"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "fetch the file again"),
        *((lambda path, kind=kind: put(kind, path), "00001.h5") for kind in ("empty", "web page", "folder", "pipe")),
    ],
)
def test_a_broken_mask_file_of_a2d_is_one_line_that_names_it(
    tmp_path: Path, spoil: Callable[[Path], object], words: str
) -> None:
    root = write_a2d(tmp_path)
    spoil(root / H5)
    dataset = open_a2d(root)
    video = dataset.videos[0]
    with pytest.raises(InputError, match=words) as error:
        dataset.read_truth(video).masks(video.expressions[0])
    assert "00001.h5" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["empty", "web page", "pipe", "dangling link"])
def test_a_broken_clip_fails_its_own_samples(tmp_path: Path, kind: str) -> None:
    root = write_a2d(tmp_path)
    put(kind, root / "Release/clips320H/clip.mp4")
    video = open_a2d(root).videos[0]
    with pytest.raises(InputError, match=r"clip\.mp4"):
        video.read_frame(0)


def test_a_clip_that_ends_before_the_annotated_frame_is_named(tmp_path: Path) -> None:
    root = write_a2d(tmp_path)
    write_json(root / A2D_LIST, [["a ball", "clip", 40, 3]])
    with pytest.raises(InputError, match=r"clip\.mp4: frame 40 is needed, of 7"):
        open_a2d(root).videos[0].read_frame(2)


@pytest.mark.parametrize("kind", sorted({"empty", "web page", "zeros", "pipe", "folder"} & set(KINDS)))
def test_a_broken_mask_file_of_jhmdb_is_one_line_that_names_it(tmp_path: Path, kind: str) -> None:
    root = write_jhmdb(tmp_path / "jhmdb")
    put(kind, root / MAT)
    dataset = open_dataset("jhmdb-sentences", root, "test")
    with pytest.raises(InputError, match=r"puppet_mask\.mat"):
        dataset.read_truth(dataset.videos[0])


def test_masks_of_jhmdb_that_no_memory_holds_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_jhmdb(tmp_path)
    dataset = open_dataset("jhmdb-sentences", root, "test")
    monkeypatch.setattr("rvos.formats.reading.matlab_files._MOST_VALUES", 10)
    monkeypatch.setattr("scipy.io.loadmat", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(InputError, match="at most 10 values"):
        dataset.read_truth(dataset.videos[0])


@pytest.mark.parametrize("n_parts", [1, 8], ids=["one part", "many parts"])
def test_compressed_masks_of_jhmdb_that_hide_their_size_are_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_parts: int
) -> None:
    root = write_jhmdb(tmp_path)
    # Header of a small array, and behind it far more than its shape says.
    hidden = zlib.compress(struct.pack("<II", 14, 1 << 29) + bytes((1 << 20) // n_parts))
    part = struct.pack("<II", 15, len(hidden)) + hidden
    (root / MAT).write_bytes((root / MAT).read_bytes() + n_parts * part)
    dataset = open_dataset("jhmdb-sentences", root, "test")
    monkeypatch.setattr("rvos.formats.reading.matlab_files._MOST_BYTES", 1 << 20)
    monkeypatch.setattr("scipy.io.loadmat", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(InputError, match=r"puppet_mask\.mat: no masks of JHMDB .* more than 1 MiB"):
        dataset.read_truth(dataset.videos[0])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (["clip", "x/00002.png", "y.mat", 7], "expected"),
        (["clip", "x/last.png", "y.mat", 7, "the ball"], "expected"),
        (["clip", "x/00009.png", "y.mat", 7, "the ball"], "expected"),
        (["a/b", "x/00002.png", "y.mat", 7, "the ball"], "cannot name a file safely"),
        (["clip", "x/00002.png", "y" * 300 + ".mat", 7, "the ball"], "longer than"),
        (["clip", "x/00002.png", "../../y.mat", 7, "the ball"], "cannot name a file safely"),
        (["clip", "x/" + "1" * 5000 + ".png", "y.mat", 7, "the ball"], "expected"),
    ],
)
def test_a_broken_list_of_jhmdb_is_one_line(tmp_path: Path, row: list[object], words: str) -> None:
    root = write_jhmdb(tmp_path / "jhmdb")
    write_json(root / JHMDB_LIST, [row])
    with pytest.raises(InputError, match=words):
        open_dataset("jhmdb-sentences", root, "test")
