"""Masks in the form of YouTube-VIS: what is written is read back to the byte, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_folders import write_json
from hypothesis import given
from hypothesis import strategies as st

from rvos.errors import InputError
from rvos.imports import open_source
from rvos.imports.youtube_vis import read_youtube_vis
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Expression, Video
from rvos_fusion.clips.youtube_vis import describe_masks, write_annotations

FRAMES = ("00000", "000.05")


def make_video(video: str, names: list[str]) -> Video:
    """Return a video without pictures."""
    paths = tuple(Path("nowhere") / f"{frame}.jpg" for frame in FRAMES)
    return Video(video, FRAMES, tuple(Expression(name, f"sentence {name}", None) for name in names), paths)


@st.composite
def sequences(draw: st.DrawFn) -> list[MaskSequence]:
    """Return the sequences of a video, of any masks, with scores and a key frame or without."""
    video = draw(st.sampled_from(["a", "deep/b", "größe"]))
    made = []
    for name in draw(st.lists(st.sampled_from("012"), min_size=1, unique=True)):
        masks = np.array(draw(st.lists(st.booleans(), min_size=24, max_size=24))).reshape(2, 3, 4)
        scored = draw(st.booleans())
        numbers = draw(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=2))
        scores = np.array(numbers, np.float32) if scored else masks.any((1, 2)).astype(np.float32)
        key = draw(st.sampled_from([None, 0, 1]))
        one = MaskSequence.from_masks(masks, video=video, expression=name, frames=FRAMES, scores=scores, key_frame=key)
        made.append(one if scored else MaskSequence(*(getattr(one, part) for part in PARTS), scored=False))
    return made


PARTS = ("video", "expression", "frames", "size", "runs", "scores", "key_frame")


@given(sequences())
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, given: list[MaskSequence]) -> None:
    path = tmp_path_factory.mktemp("vis") / "masks.json"
    path.write_bytes(write_annotations([describe_masks(given)]))
    source = open_source("rle", path)
    assert source.list_videos() == (given[0].video,)
    read = source.read(make_video(given[0].video, [one.expression for one in given]))
    for before, after in zip(given, read, strict=True):
        assert (after.runs, after.frames, after.size) == (before.runs, before.frames, before.size)
        assert (after.scores.tolist(), after.key_frame) == (before.scores.tolist(), before.key_frame)
        assert after.scored == before.scored


def test_entries_are_those_of_the_form() -> None:
    masks = np.zeros((2, 3, 4), bool)
    masks[0, 1:, 2] = True
    scores = np.ones(2, np.float32)
    first, second = (
        MaskSequence.from_masks(masks, video=video, expression="7", frames=FRAMES, scores=scores) for video in "ab"
    )
    content = json.loads(write_annotations([describe_masks([first]), describe_masks([second])]))
    assert [one["id"] for one in content["videos"]] == [1, 2]
    assert content["videos"][1]["file_names"] == ["b/00000.jpg", "b/000.05.jpg"]
    assert (content["videos"][0]["height"], content["videos"][0]["width"], content["videos"][0]["length"]) == (3, 4, 2)
    (one, other) = content["annotations"]
    assert (one["id"], one["video_id"], other["id"], other["video_id"]) == (1, 1, 2, 2)
    assert (one["areas"], one["bboxes"]) == ([2, None], [[2.0, 1.0, 1.0, 2.0], None])
    assert one["segmentations"][1] is None
    assert one["category_id"] in [category["id"] for category in content["categories"]]


def test_a_sentence_that_nobody_answered_has_no_entry() -> None:
    black = np.zeros((2, 3, 4), bool)
    one = MaskSequence.from_masks(black, video="a", expression="7", frames=FRAMES, scores=np.zeros(2, np.float32))
    absent = MaskSequence(*(getattr(one, part) for part in PARTS), missing="abstain")
    assert [len(describe_masks([own]).annotations) for own in (one, absent)] == [1, 0]


def form(**changes: Any) -> dict[str, Any]:
    """Return the form with one video and one sentence; `changes` of its entries, None takes one out."""
    video = {"id": 1, "height": 3, "width": 4, "file_names": ["a/00000.jpg", "a/000.05.jpg"]}
    annotation = {"video_id": 1, "expression": "7", "segmentations": [None, None]}
    for key, value in changes.items():
        owner = video if key in video else annotation
        owner[key] = value
    return {"videos": [video], "annotations": [annotation]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (form(file_names=[]), "videos, entry 0: file_names must be"),
        (form(file_names=["a/00000.jpg", "b/00000.jpg"]), "different files of one folder"),
        (form(file_names=["a/00000.jpg", "a/00000.png"]), "different files of one folder"),
        (form(file_names=["00000.jpg", "1.jpg"]), "different files of one folder"),
        (form(height="3"), "without a size"),
        (form(height=10**6, width=10**6), "entry 0"),
        (form(video_id=2), "annotations, entry 0: no video_id of a listed video"),
        (form(video_id=[1]), "no video_id of a listed video"),
        (form(video_id="1"), "no video_id of a listed video"),
        (form(expression=7), "entry 0: no expression; name it there"),
        (form(segmentations=[None]), "a/7: 1 segmentation, the video has 2 file names"),
        ({"videos": form()["videos"] * 2, "annotations": []}, "entry 1: a or its id is listed before"),
        ({"videos": form()["videos"], "annotations": form()["annotations"] * 2}, "entry 1: a/7 has masks before"),
        ({"videos": ["a"], "annotations": []}, "instead of an object"),
    ],
)
def test_what_is_wrong_is_named(content: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=f"^masks.json: .*{said}"):
        read_youtube_vis(content, where="masks.json")


def test_frames_must_be_those_of_the_data_set(tmp_path: Path) -> None:
    path = write_json(tmp_path / "masks.json", form(file_names=["a/00000.jpg", "a/00001.jpg"]))
    with pytest.raises(InputError, match=r"masks.json: a/7: frame 00001 is not in the video"):
        open_source("rle", path).read(make_video("a", ["7"]))
