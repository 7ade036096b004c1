"""A data set that a small file describes: every form of truth gives the same scores, and mistakes are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data_folders import FRAMES, index_map, write_json, write_png
from pycocotools import mask as coco

from rvos.errors import PipelineError
from rvos.formats import open_dataset, score_dataset
from rvos.formats.custom import DESCRIPTION

VIDEO = "day/1-a"
DESCRIBED = "sentences: lists/{split}.json\nframes: pictures\n"


def write_data(root: Path, text: str) -> Path:
    """Write one video of two objects with every form of truth, beside a description."""
    root.mkdir(parents=True, exist_ok=True)
    (root / DESCRIPTION).write_text(text)
    entries = {
        "0": {"exp": "the left one", "obj_id": 1, "anno_id": [1], "sort": "easy"},
        "1": {"exp": "the right one", "obj_id": 2, "anno_id": [2]},
    }
    write_json(root / "lists/mine.json", {"videos": {VIDEO: {"expressions": entries, "frames": list(FRAMES)}}})
    runs: dict[str, list[object]] = {"1": [], "2": []}
    for step, frame in enumerate(FRAMES):
        values = index_map(step)
        write_png(root / "pictures" / VIDEO / f"{frame}.png", np.full((*values.shape, 3), 90, np.uint8), mode="RGB")
        write_png(root / "maps" / VIDEO / f"{frame}.png", values, mode="P")
        for number in (1, 2):
            mask = (values == number).astype(np.uint8)
            write_png(root / "objects" / VIDEO / str(number) / f"{frame}.png", mask * 255)
            write_png(root / "answers" / VIDEO / str(number - 1) / f"{frame}.png", mask * 255)
            rle = coco.encode(np.asfortranarray(mask))
            runs[str(number)].append({"size": list(mask.shape), "counts": rle["counts"].decode()})
    write_json(root / "runs.json", runs)
    return root


@pytest.mark.parametrize(
    "truth",
    [
        "truth: maps",
        "truth: objects\nmasks: objects",
        "truth: answers\nmasks: sentences",
        "truth: runs.json\nmasks: run-lengths",
    ],
)
@pytest.mark.parametrize("measures", ["j-and-f", "presence", "targets"])
def test_every_form_of_truth_gives_the_same_scores(tmp_path: Path, truth: str, measures: str) -> None:
    root = write_data(tmp_path / "data", f"{DESCRIBED}{truth}\nmeasures: {measures}\nkind: sort\n")
    dataset = open_dataset("custom", root, "mine")
    assert [one.kind for one in dataset.video(VIDEO).expressions] == ["easy", ""]
    predictions = tmp_path / "masks"
    for step, frame in enumerate(FRAMES):
        write_png(predictions / VIDEO / f"0/{frame}.png", (index_map(step) == 1).astype(np.uint8) * 255)
        write_png(predictions / VIDEO / f"1/{frame}.png", np.zeros(index_map(step).shape, np.uint8))
    found = score_dataset(dataset, predictions)
    assert (found.j, found.f, found.j_and_f) == (0.5, 0.5, 0.5)
    assert ("tIoU" in found.figures) == (measures == "presence")
    assert ("T-acc" in found.figures) == (measures == "targets")


def test_without_truth_there_are_sentences_alone(tmp_path: Path) -> None:
    dataset = open_dataset("custom", write_data(tmp_path, DESCRIBED), "mine")
    assert dataset.truth is None
    assert dataset.read_size(dataset.video(VIDEO)) == index_map(0).shape


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frames: pictures\n", r"rvos_dataset\.yaml.*sentences"),
        (f"{DESCRIBED}measure: presence\n", r"rvos_dataset\.yaml:3.*measure.*measures"),
        (f"{DESCRIBED}masks: palettes\n", r"rvos_dataset\.yaml:3.*palettes"),
        (f"{DESCRIBED}truth: ../elsewhere\n", r"rvos_dataset\.yaml: path id '\.\./elsewhere'"),
        ("sentences: /etc/passwd\nframes: pictures\n", "path id '/etc/passwd'"),
        ("sentences: none.json\nframes: pictures\n", r"none\.json: no such file"),
        ("[", r"rvos_dataset\.yaml"),
    ],
)
def test_mistakes_of_the_description_are_one_message(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        open_dataset("custom", write_data(tmp_path, text), "mine")


def test_a_folder_without_a_description_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"rvos_dataset\.yaml: no such file; write down there where frames"):
        open_dataset("custom", tmp_path)


def test_a_described_folder_is_no_other_format(tmp_path: Path) -> None:
    root = write_data(tmp_path, DESCRIBED)
    write_json(root / "meta_expressions.json", json.loads((root / "lists/mine.json").read_text()))
    with pytest.raises(PipelineError, match=r"looks like custom, not ref-youtube-vos \(it has rvos_dataset\.yaml\)"):
        open_dataset("ref-youtube-vos", root)
