"""Refer files with COCO instances, and the pseudo-videos made of their images."""

from __future__ import annotations

import json
import os
import pickle
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from rvos.errors import ConfigError, InputError
from rvos.videos import Expression, Video
from rvos_fusion.training.data.clip_augmentation import Augmentation, Clip
from rvos_fusion.training.data.pseudo_videos import (
    PseudoVideos,
    PseudoVideoSettings,
    Warp,
    affine_matrix,
    find_stills,
    make_pseudo_video,
    motion_kernel,
    perspective_matrix,
    warp,
)
from rvos_fusion.training.data.refcoco import ReferFolder, read_refer
from rvos_fusion.training.data.videos import LabelledVideo

SIZE = (40, 60)


def references() -> list[dict[str, Any]]:
    return [
        {"ann_id": 7, "image_id": 3, "split": "train", "sentences": [{"sent": "left cat"}, {"sent": "the Cat"}]},
        {"ann_id": 8, "image_id": 3, "split": "train", "sentences": [{"sent": "dog"}]},
        {"ann_id": 9, "image_id": 3, "split": "val", "sentences": [{"sent": "bird"}]},
    ]


def instances() -> dict[str, Any]:
    box = np.zeros(SIZE, np.uint8, order="F")
    box[5:15, 30:50] = 1
    runs = coco.encode(box)
    return {
        "images": [{"id": 3, "file_name": "COCO_train2014_000000000003.jpg", "height": SIZE[0], "width": SIZE[1]}],
        "annotations": [
            {"id": 7, "image_id": 3, "segmentation": [[10, 10, 30, 10, 30, 30, 10, 30]]},
            {"id": 8, "image_id": 3, "segmentation": {"size": runs["size"], "counts": runs["counts"].decode()}},
            {"id": 9, "image_id": 3, "segmentation": []},
        ],
    }


def write(root: Path, refs: object = None, coco_file: object = None) -> ReferFolder:
    (root / "refs(unc).p").write_bytes(pickle.dumps(references() if refs is None else refs, protocol=2))
    (root / "instances.json").write_text(json.dumps(instances() if coco_file is None else coco_file))
    pixels = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(root / "COCO_train2014_000000000003.jpg")
    return ReferFolder(root, root)


def test_every_sentence_of_the_split_is_a_sample(tmp_path: Path) -> None:
    samples = read_refer(write(tmp_path))
    assert [sample.text for sample in samples] == ["left cat", "the Cat", "dog"]


def test_polygons_and_run_lengths_become_masks(tmp_path: Path) -> None:
    cat, _, dog = (sample.read() for sample in read_refer(write(tmp_path)))
    expected = np.zeros(SIZE, bool)
    expected[5:15, 30:50] = True
    np.testing.assert_array_equal(dog.masks[0], expected)
    assert abs(int(cat.masks.sum()) - 400) <= 45
    assert cat.masks[0, 20, 20]
    assert cat.frames.shape == (1, *SIZE, 3)


def without(name: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in entry.items() if key != name} for entry in references()]


@pytest.mark.parametrize(
    ("refs", "coco_file", "message"),
    [
        ({"a": 1}, None, "holds no list of expressions"),
        (without("ann_id"), None, "lacks ann_id"),
        ([], None, "split train has no expressions"),
        (None, {"images": []}, "no COCO instances"),
        (None, {"images": [], "annotations": []}, "object 7 or its image is missing"),
        ([{**references()[2], "split": "train"}], None, "object 9 has no mask"),
    ],
    ids=["no-list", "no-object", "empty-split", "no-instances", "unknown-object", "no-mask"],
)
def test_damaged_annotations_are_named(tmp_path: Path, refs: object, coco_file: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_refer(write(tmp_path, refs, coco_file))


@pytest.mark.parametrize("name", ["refs(unc).p", "instances.json"])
def test_missing_annotation_files_are_named(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=rf"{re.escape(name)}: (cannot be read|no such file)"):
        read_refer(folder)


class Malicious:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_a_refer_file_runs_no_code(tmp_path: Path) -> None:
    folder = write(tmp_path, [Malicious(tmp_path / "made")])
    with pytest.raises(InputError, match="no plain refer file"):
        read_refer(folder)
    assert not (tmp_path / "made").exists()


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    samples = read_refer(write(tmp_path))
    (tmp_path / "COCO_train2014_000000000003.jpg").unlink()
    with pytest.raises(InputError, match="no such file"):
        samples[0].read()


def test_an_image_of_another_size_is_named(tmp_path: Path) -> None:
    samples = read_refer(write(tmp_path))
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(tmp_path / "COCO_train2014_000000000003.jpg")
    with pytest.raises(InputError, match=r"image is \(8, 9\)"):
        samples[0].read()


def square() -> Clip:
    frames = np.full((1, *SIZE, 3), 128, np.uint8)
    masks = np.zeros((1, *SIZE), bool)
    masks[:, 10:30, 20:40] = True
    frames[masks] = 200
    return Clip(frames, masks, "the square")


def test_a_pseudo_video_holds_the_image_once_and_changed_copies() -> None:
    picture = square()
    clip = make_pseudo_video(picture, 8, Warp(), np.random.default_rng(0))
    same = [index for index in range(8) if np.array_equal(clip.frames[index], picture.frames[0])]
    assert len(same) == 1
    np.testing.assert_array_equal(clip.masks[same[0]], picture.masks[0])
    assert len({frame.tobytes() for frame in clip.frames}) == 8
    places = {
        int(np.flatnonzero((make_pseudo_video(picture, 4, Warp(), np.random.default_rng(seed)).frames == picture.frames)
                           .all((1, 2, 3)))[0])
        for seed in range(20)
    }  # fmt: skip
    assert places == {0, 1, 2, 3}


def test_masks_follow_their_object() -> None:
    picture = square()
    for seed in range(10):
        settings = Warp(brightness=0, blur=0.0)
        frame, mask = warp(picture.frames[0], picture.masks[0], settings, np.random.default_rng(seed))
        bright = frame[..., 0] > 164
        assert np.mean(bright != mask) < 0.03


def test_no_warp_leaves_the_image() -> None:
    picture = square()
    still = Warp(brightness=0, perspective=0.0, rotation=0.0, translation=0.0, blur=0.0)
    frame, mask = warp(picture.frames[0], picture.masks[0], still, np.random.default_rng(0))
    np.testing.assert_array_equal(frame, picture.frames[0])
    np.testing.assert_array_equal(mask, picture.masks[0])


def test_the_perspective_stretches_an_inner_quadrilateral() -> None:
    for seed in range(20):
        matrix = perspective_matrix(100, 200, 0.08, np.random.default_rng(seed))
        corners = np.array([[(0, 0), (200, 0), (200, 100), (0, 100)]], np.float32)
        inner = cv2.perspectiveTransform(corners, np.linalg.inv(matrix))[0]
        assert ((inner >= -1e-3) & (inner <= (200.001, 100.001))).all()


def test_the_affine_map_shifts_both_axes_by_one_fraction() -> None:
    settings = Warp(rotation=0.0, translation=0.1)
    shifts = [affine_matrix(100, 200, settings, np.random.default_rng(seed))[:2, 2] for seed in range(50)]
    fractions = np.array(shifts) / (200, 100)
    np.testing.assert_allclose(fractions[:, 0], fractions[:, 1])
    assert 0.08 < np.abs(fractions).max() <= 0.1


@pytest.mark.parametrize("size", [9, 11])
def test_the_blur_keeps_the_brightness(size: int) -> None:
    kernel = motion_kernel(size, 33.0)
    assert kernel.shape == (size, size)
    assert kernel.sum() == pytest.approx(1, rel=1e-5)
    assert (kernel >= 0).all()


def test_a_source_gives_the_same_clip_for_the_same_draws(tmp_path: Path) -> None:
    settings = PseudoVideoSettings(Augmentation(flip=0.5, short_sides=(24,)), refer=(write(tmp_path),), frames=4)
    source = PseudoVideos(settings)
    assert len(source) == 3
    one, other = (source.clip(1, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.frames, other.frames)
    assert one.frames.shape == (4, 24, 36, 3)
    assert one.masks.any()


class Labels(LabelledVideo):
    """A video whose labels are given."""

    def __init__(self, labels: list[int], kinds: dict[str, str]) -> None:
        expressions = (Expression("0", "The  cat", ("1",)), Expression("1", "the one moving", ("1",)))
        frames = tuple(str(index) for index in range(len(labels)))
        super().__init__(Video("v", frames, expressions, tuple(map(Path, frames))), [], categories={}, kinds=kinds)
        self.given = labels

    def labels(self, indices: Any) -> Any:
        return np.stack([np.full((2, 2), self.given[index], np.uint8) for index in indices])


def test_stills_show_their_object_and_need_no_motion() -> None:
    stills = find_stills([Labels([1, 0, 1, 1], {"0": "place", "1": "motion"})], 1)
    assert [(still.expression, still.frame) for still in stills] == [(0, 0), (0, 2), (0, 3)]


def test_an_object_that_never_appears_gives_no_sample() -> None:
    assert find_stills([Labels([0, 0], {})], 1) == []


@pytest.mark.parametrize("wrong", [{}, {"frames": 0}], ids=["no-source", "no-frames"])
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    refer = {} if not wrong else {"refer": (ReferFolder(tmp_path, tmp_path),)}
    with pytest.raises(ConfigError, match="give refer or stills"):
        PseudoVideoSettings(Augmentation(), **refer, **wrong)
