"""Detections of any detector, as COCO-style JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from runners.detectors.base import Detector
from runners.detectors.settings import ImportedSettings
from runners.detectors.table import build_detector
from rvos.errors import ConfigError, InputError
from rvos.masks.mask_sequences import encode
from rvos.settings import load
from rvos.videos import Video
from rvos_fusion.recipe.reader import DETECTOR

SIZE = (6, 8)


def write_video(folder: Path) -> Video:
    paths = tuple(folder / f"{name}.png" for name in ("00000", "00005"))
    for path in paths:
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(path)
    return Video("v", ("00000", "00005"), (), paths)


@pytest.fixture
def video(tmp_path: Path) -> Video:
    return write_video(tmp_path)


def rle(left: int, after: int) -> dict[str, Any]:
    mask = np.zeros((1, *SIZE), np.bool_)
    mask[0, 1:4, left:after] = True
    return {"size": list(SIZE), "counts": encode(mask)[0].decode()}


def make(*annotations: dict[str, Any]) -> dict[str, Any]:
    return {
        "images": [{"id": 7, "file_name": "data/v/00000.jpg"}, {"id": 8, "file_name": "v/00005.png"}],
        "categories": [{"id": 1, "name": "Dog"}, {"id": 2, "name": "cat"}],
        "annotations": list(annotations),
    }


def open_detector(path: Path, content: object, **settings: Any) -> Detector:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return build_detector(ImportedSettings("import", path=path, **settings), device=torch.device("cpu"))


def test_boxes_of_the_noun_are_found_by_frame(tmp_path: Path, video: Video) -> None:
    content = make(
        {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 2], "score": 0.5},
        {"image_id": 7, "category_id": 2, "bbox": [0, 0, 1, 1], "score": 0.9},
        {"image_id": 8, "category_id": 1, "bbox": [2, 2, 3, 2], "score": 0.2},
    )
    detector = open_detector(tmp_path / "found.json", content)
    ((first, second),) = detector.detect(video, (0, 1), [("dogs",)])
    assert first.boxes.boxes.tolist() == [[1, 2, 4, 4]]
    assert (first.boxes.scores.tolist(), first.boxes.labels, first.masks) == ([0.5], ("dog",), None)
    assert second.boxes.labels == ()  # 0.2 is below the threshold


def test_masks_stand_for_boxes_that_are_not_given(tmp_path: Path, video: Video) -> None:
    detector = open_detector(tmp_path / "found.json", make({"image_id": 8, "segmentation": rle(2, 6)}))
    ((nothing, found),) = detector.detect(video, (0, 1), [("anything",)])
    assert found.boxes.boxes.tolist() == [[2, 1, 6, 4]]
    assert found.boxes.scores.tolist() == [1]
    assert found.masks == (rle(2, 6)["counts"].encode(),)
    assert nothing.boxes.labels == ()


def test_several_nouns_may_be_asked_for_together(tmp_path: Path, video: Video) -> None:
    rows = [{"image_id": 7, "category_id": number, "bbox": [0, 0, 2, 2]} for number in (1, 2)]
    detector = open_detector(tmp_path / "found.json", make(*rows))
    ((both,), (cat,)) = detector.detect(video, (0,), [("dog", "cat"), ("cat",)])
    assert both.boxes.labels == ("dog", "cat")
    assert cat.boxes.labels == ("cat",)


def test_without_a_noun_everything_is_found(tmp_path: Path, video: Video) -> None:
    content = make(
        {"image_id": 7, "category_id": 1, "segmentation": rle(1, 3)},
        {"image_id": 7, "category_id": 2, "segmentation": rle(4, 6)},
        {"image_id": 7, "segmentation": rle(6, 7)},
    )
    ((found, _),) = open_detector(tmp_path / "found.json", content).detect(video, (0, 1), [()])
    assert found.boxes.labels == ("dog", "cat", "")


def test_a_folder_has_a_file_for_each_video(tmp_path: Path, video: Video) -> None:
    folder = tmp_path / "found"
    folder.mkdir()
    detector = open_detector(folder / "v.json", make({"image_id": 7, "bbox": [0, 0, 2, 2]}))
    detector = build_detector(ImportedSettings("import", path=folder), device=torch.device("cpu"))
    assert detector.detect(video, (0,), [("dog",)])[0][0].boxes.labels == ("",)
    (folder / "v.json").unlink()
    with pytest.raises(InputError, match=r"v\.json: no such file"):
        detector.detect(video, (0,), [("dog",)])


BOX = [0, 0, 2, 2]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"image_id": 9, "bbox": BOX}, "annotation 0: image_id 9 is not among the images"),
        ({"image_id": 7, "category_id": 5, "bbox": BOX}, "category_id 5 is not among the categories"),
        ({"image_id": 7, "bbox": [0, 0, 2]}, r"bbox \[0, 0, 2\]; give \[left, top, width, height\]"),
        ({"image_id": 7}, "bbox None"),
        ({"image_id": 7, "bbox": BOX, "score": 1.5}, "score 1.5; give a number from 0 to 1"),
        ({"image_id": 7, "bbox": BOX, "score": "high"}, "score 'high'"),
        ({"image_id": 7, "segmentation": [[0, 0, 1, 1, 2, 0]]}, "polygon; give run lengths"),
        ({"image_id": 7, "segmentation": {"size": [3, 4], "counts": "<0"}}, r"size \[3, 4\], expected \[6, 8\]"),
    ],
)
def test_annotations_that_cannot_be_used_are_named(
    tmp_path: Path, video: Video, annotation: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        open_detector(tmp_path / "found.json", make(annotation)).detect(video, (0,), [("dog",)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [], "annotations": [{"image_id": 1, "bbox": [0, 0, 1, 1], "score": NaN}]}', "NaN is no number"),
        ("[]", "instead of an object"),
        ('{"images": [{"id": 1, "file_name": "0.jpg"}], "annotations": []}', r"give VIDEO/FRAME\.jpg"),
        ('{"images": [{"id": null, "file_name": "v/0.jpg"}], "annotations": []}', "give every image"),
        ('{"images": []}', "annotations: nothing instead of a list"),
        ('{"images": [], "categories": [{"id": 1, "name": 3}], "annotations": []}', "category of name 3"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_detector(tmp_path / "found.json", content)


def test_masks_for_a_part_of_the_boxes_are_refused(tmp_path: Path, video: Video) -> None:
    rows = [{"image_id": 7, "bbox": BOX}, {"image_id": 7, "segmentation": rle(2, 6)}]
    with pytest.raises(InputError, match="masks for 1 of 2 boxes"):
        open_detector(tmp_path / "found.json", make(*rows)).detect(video, (0,), [("dog",)])


def test_detections_of_other_frames_alone_are_a_mistake(tmp_path: Path, video: Video) -> None:
    content = make({"image_id": 8, "bbox": BOX})
    content["images"] = content["images"][1:]
    detector = open_detector(tmp_path / "found.json", content)
    assert detector.detect(video, (0, 1), [("dog",)])[0][0].boxes.labels == ()
    with pytest.raises(
        InputError, match="v: lists 1 frame, such as '00005', and none that is looked at, such as 00000"
    ):
        detector.detect(video, (0,), [("dog",)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"detector": "import"}, "'path' is missing"),
        ({"detector": "grounding-dino"}, "'checkpoint' is missing"),
        ({"detector": "import", "path": "a", "checkpoint": "b"}, "unknown key 'checkpoint'"),
        ({"detector": "uninext", "checkpoint": "a", "text_threshold": 0.5}, "unknown key 'text_threshold'"),
        ({"detector": "uninex", "checkpoint": "a"}, "'uninex' is unknown; did you mean 'uninext'"),
    ],
)
def test_settings_without_effect_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(DETECTOR, settings, where="pipeline.yaml")
