"""Sentences that cannot be scored, or whose object no annotation holds, are named wherever truth is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from data_folders import FRAMES, index_map, listed, write_json, write_png, write_predictions, write_ref_youtube_vos
from pycocotools import mask as coco

import rvos_fusion as rf
from rvos_fusion.commands.cli import main

RECIPE = """
dataset: {format: FORMAT, root: data, split: valid}
workspace: runs
groups: {by: neighbours}
models: {a: {import: png, path: masks}, b: {import: png, path: masks}}
stages: {one: {fused: {fuse: [a, b], threshold: 0.5}}}
submission: {node: fused}
"""
OBJECTS = {"0": "1", "1": "1", "2": "2", "3": "2"}


def write_mevis(root: Path, lacking: str) -> None:
    sentences: dict[str, Mapping[str, object]] = {
        name: {"exp": f"sentence {name}", "anno_id": [int(number)]} for name, number in OBJECTS.items()
    }
    sentences[lacking] = {"exp": "a sentence", "obj_id": [1]}
    write_json(root / "valid/meta_expressions.json", {"videos": {"v": {"expressions": sentences, "frames": FRAMES}}})
    rles = {
        number: [coco.encode(np.asfortranarray(index_map(step) == int(number)).astype(np.uint8)) for step in range(3)]
        for number in "12"
    }
    content = {name: [rle | {"counts": rle["counts"].decode()} for rle in own] for name, own in rles.items()}
    write_json(root / "valid/mask_dict.json", content)


def write_youtube(root: Path, lacking: str, found: str | None = None) -> None:
    write_ref_youtube_vos(root, {"v": listed({**OBJECTS, lacking: found})})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_predictions(tmp_path / "masks", {"v": listed(OBJECTS)})
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    capsys.readouterr()
    assert main(list(words)) == status
    found = capsys.readouterr()
    return found.out + found.err


@pytest.mark.parametrize("form", ["mevis", "ref-youtube-vos"])
def test_a_sentence_of_which_nothing_says_what_it_means_is_left_out(
    folder: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    (write_mevis if form == "mevis" else write_youtube)(folder / "data", "1")
    Path("my.yaml").write_text(RECIPE.replace("FORMAT", form))
    line = "v/1: no object or annotation says what it means, so its mask is unknown; not scored"
    said(capsys, "run", "my.yaml", "--quiet")
    evaluated = said(capsys, "evaluate", "data", "masks", "--format", form, "--split", "valid")
    assert line in evaluated
    assert "expressions  3" in evaluated
    assert "J&F          100.000" in evaluated
    for words in (["table", "my.yaml"], ["sweep", "my.yaml", "fused"], ["doctor", "my.yaml", "--deep"]):
        assert line in said(capsys, *words), words
    said(capsys, "report", "my.yaml", "--quiet")
    assert line in Path("runs/report.html").read_text()
    table = json.loads(
        said(capsys, "table", "my.yaml", "fused", "--oracle", "--stability", "--json").partition("\nv/1")[0]
    )
    assert table["expressions"] == 3
    assert table["rows"][0]["j_and_f"] == 100
    rows = json.loads(said(capsys, "sweep", "my.yaml", "fused", "--json").partition("\nv/1")[0])["settings"]
    # Sentences 0 and 1 stay a pair, though one of them is not scored.
    assert {row["j_and_f"] for row in rows} == {100}
    assert rf.open_recipe("my.yaml").truth("v").keys() == {"0", "2", "3"}
    # Masks are made and submitted of all of them.
    assert said(capsys, "submit", "my.yaml", "--out", "s.zip")
    assert "valid and complete: 1 video, 4 expressions" in said(capsys, "check-submission", "s.zip")


def test_masks_of_a_sentence_that_is_not_scored_decide_groups_in_a_sweep(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_youtube(folder / "data", "1")
    for step, frame in enumerate(FRAMES):  # alone, sentence 0 has half of its object; sentence 1 votes for the rest
        half = index_map(step) == 1
        half[7:] = False
        write_png(folder / f"masks/v/0/{frame}.png", half.astype(np.uint8) * 255)
    groups = "{by: agreement, members: [a], threshold: 0.4}"
    Path("my.yaml").write_text(RECIPE.replace("FORMAT", "ref-youtube-vos").replace("{by: neighbours}", groups))
    said(capsys, "run", "my.yaml", "--quiet")
    table = json.loads(said(capsys, "table", "my.yaml", "fused", "--json").partition("\nv/1")[0])
    swept = json.loads(said(capsys, "sweep", "my.yaml", "fused", "--json").partition("\nv/1")[0])
    assert table["rows"][0]["j_and_f"] == 100
    assert {row["threshold"]: row["j_and_f"] for row in swept["settings"]}[0.5] == 100


def test_where_no_sentence_says_what_it_means_nothing_is_scored(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ref_youtube_vos(folder / "data", {"v": listed({"0": None})})
    assert "no ground truth" in said(capsys, "evaluate", "data", "masks", "--format", "ref-youtube-vos", status=2)


def test_an_object_that_no_annotation_holds_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    write_youtube(folder / "data", "1", "7")
    Path("my.yaml").write_text(RECIPE.replace("FORMAT", "ref-youtube-vos").replace("neighbours", "none"))
    said(capsys, "run", "my.yaml", "--quiet")
    line = "v/1: no annotation holds object 7; scored as absent"
    assert line in said(capsys, "evaluate", "data", "masks", "--format", "ref-youtube-vos")
    for words in (["table", "my.yaml"], ["sweep", "my.yaml", "fused"]):
        caplog.clear()
        said(capsys, *words)
        assert caplog.messages == [line], words
    assert "v/1: no annotation holds its object, it counts as absent" in said(
        capsys, "doctor", "my.yaml", "--deep", status=2
    )
