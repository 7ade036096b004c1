"""Corrections by hand from the command to the archive: what is corrected, what stays, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sam2_weights import make_network
from small_data import FRAMES, HEIGHT, WIDTH, write_split
from stored_results import find_result, list_results

from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main

CHECKPOINT = Path(__file__).parents[3] / "demo/checkpoints/aot.safetensors"
RECIPE = f"""\
dataset: {{format: ref-youtube-vos, root: data, split: valid}}
workspace: runs
groups: {{by: object_id}}
models:
  a: {{import: png, path: members/a}}
  b: {{import: png, path: members/b}}
engines:
  aot: {{network: small-aot, checkpoint: {CHECKPOINT}}}
  sam2: {{network: sam2.1-mini, checkpoint: sam2.pt, image_size: 64}}
stages:
  stage1:
    both: {{fuse: [a, b], threshold: 2}}
    by_hand: {{correct: both, corrections: by_hand.jsonl}}
submission: {{node: by_hand}}
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    write_split(folder, n_videos=2)
    (folder / "pipeline.yaml").write_text(RECIPE)
    torch.save(make_network().model.state_dict(), folder / "sam2.pt")
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[6:18, 8:20] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    Image.fromarray(mask.T).save(folder / "turned.png")
    Image.fromarray(mask // 2).save(folder / "grey.png")
    Image.fromarray(np.zeros_like(mask)).save(folder / "black.png")
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def correct(*words: str, node: str = "both") -> int:
    return main(["correct", "pipeline.yaml", node, *words])


def run(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, tuple[int, int]]:
    """Run the recipe; return how many results of each node were made and found."""
    capsys.readouterr()
    assert main(["run", "pipeline.yaml", "--quiet", "--json", "--device", "cpu", *words]) == 0
    return {row["node"]: (row["done"], row["reused"]) for row in json.loads(capsys.readouterr().out)["nodes"]}


def read(node: str, video: str = "video0") -> dict[str, NDArray[np.bool_]]:
    return {one.expression: one.masks() for one in Store(Path("runs")).read(node, video)}


def give_all() -> None:
    """Correct five answers of two videos, one in each way and one in two."""
    for words in (
        ["video0", "0", "--frame", FRAMES[1], "--mask", "mask.png", "--engine", "aot"],
        ["video0", "1", "--same-as", "0"],
        ["video0", "2", "--same-as", "a:2"],
        ["video0", "2", "--empty", f"{FRAMES[1]}-"],
        ["video1", "0", "--frame", FRAMES[0], "--mask", "mask.png"],
        ["video1", "2", "--keep", FRAMES[2]],
        ["video1", "2", "--frame", FRAMES[0], "--box", "28,10,42,28", "--engine", "sam2"],
    ):
        assert correct(*words) == 0


def test_only_what_is_corrected_is_another(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    give_all()
    run(capsys)
    mask = np.asarray(Image.open("mask.png")) > 0
    before, member, after = read("both"), read("a"), read("by_hand")
    assert (after["0"][1] == mask).all()
    assert (after["0"][0] != before["0"][0]).any(), "the engine carried the mask to the frame before"
    assert (after["1"] == after["0"]).all(), "the same as the corrected answer"
    assert (after["2"][0] == member["2"][0]).all()
    assert not after["2"][1:].any()
    before, after = read("both", "video1"), read("by_hand", "video1")
    assert (after["0"][0] == mask).all()
    assert (after["0"][1:] == before["0"][1:]).all(), "nothing carries this one"
    assert (after["1"] == before["1"]).all()
    assert after["2"][0].any()
    assert (after["2"][1] != before["2"][1]).any()
    assert (after["2"][2] == before["2"][2]).all(), "a kept frame stays"


def test_another_correction_makes_its_video_again_and_nothing_else(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = run(capsys, "--set", "stages.stage1.by_hand={correct: both}")
    assert plain == dict.fromkeys(("a", "b", "both", "by_hand"), (2, 0))
    assert correct("video1", "0", "--frame", FRAMES[0], "--mask", "mask.png", "--engine", "aot") == 0
    others = {"a": (0, 2), "b": (0, 2), "both": (0, 2)}
    assert run(capsys) == {**others, "by_hand": (1, 1)}
    for words in (
        ["video0", "2", "--same-as", "a:2"],
        ["video0", "2", "--frame", FRAMES[0], "--box", "28,10,42,28", "--engine", "sam2"],
        ["video0", "1", "--empty", FRAMES[0]],
        ["video0", "1", "--keep", FRAMES[1]],
    ):
        assert correct(*words) == 0
        assert run(capsys) == {**others, "by_hand": (1, 1)}, words
    assert run(capsys) == {**others, "by_hand": (0, 2)}


def test_another_picture_makes_again_what_an_engine_carried_over_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    give_all()
    run(capsys)
    for video in ("video0", "video1"):
        picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        Image.fromarray(picture).save(f"data/valid/JPEGImages/{video}/{FRAMES[0]}.jpg")
    assert run(capsys) == {"a": (0, 2), "b": (0, 2), "both": (0, 2), "by_hand": (2, 0)}


def test_without_the_file_the_archive_is_that_of_before_and_nothing_is_computed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = ("--set", "stages.stage1.by_hand={correct: both}")
    run(capsys, *plain)
    assert main(["submit", "pipeline.yaml", *plain, "--out", "before.zip"]) == 0
    assert main(["submit", "pipeline.yaml", "--node", "both", *plain, "--out", "source.zip"]) == 0
    give_all()
    run(capsys)
    assert main(["submit", "pipeline.yaml", "--out", "corrected.zip"]) == 0
    assert run(capsys, *plain)["by_hand"] == (0, 2)
    assert main(["submit", "pipeline.yaml", *plain, "--out", "after.zip"]) == 0
    archives = {name: Path(f"{name}.zip").read_bytes() for name in ("before", "source", "corrected", "after")}
    assert archives["before"] == archives["source"] == archives["after"] != archives["corrected"]


def test_the_file_alone_replays_the_same_bytes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    give_all()
    run(capsys)
    results = [find_result(Path("runs"), "by_hand", video) for video in ("video0", "video1")]
    made = [path.read_bytes() for path in results]
    results[1].unlink()  # as a killed run leaves it
    Path("mask.png").unlink()
    lines = Path("by_hand.jsonl").read_text().splitlines()
    Path("by_hand.jsonl").write_text("\n".join(reversed(lines)))
    assert run(capsys)["by_hand"] == (1, 1)
    assert [path.read_bytes() for path in results] == made
    assert run(capsys, "--workspace", "elsewhere")["by_hand"] == (2, 0)
    assert find_result(Path("elsewhere"), "by_hand", "video1").read_bytes() == made[1]


def test_a_submission_says_what_was_corrected(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    give_all()
    run(capsys)
    assert main(["submit", "pipeline.yaml"]) == 0
    assert main(["submit", "pipeline.yaml", "--node", "both", "--out", "plain.zip"]) == 0
    capsys.readouterr()
    assert main(["check-submission", "runs/submission.zip"]) == 0
    told = capsys.readouterr().out
    assert "corrected by hand: video0/0, video0/1, video0/2, video1/0, video1/2; not for a challenge" in told
    assert "; 5 of 6 expressions corrected by hand" in told
    manifest = json.loads(Path("runs/submission.provenance.json").read_text())
    assert manifest["corrected by hand"] == {"by_hand": ["video0/0", "video0/1", "video0/2", "video1/0", "video1/2"]}
    assert list(manifest["corrections"]) == [str(folder / "by_hand.jsonl")]
    assert main(["check-submission", "plain.zip", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["manual"] == []
    assert "corrected by hand" not in json.loads(Path("plain.provenance.json").read_text())


def test_a_correction_of_a_place_takes_the_place_of_the_one_before(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert correct("video0", "1", "--same-as", "0", node="by_hand") == 0
    assert correct("video0", "1", "--same-as", "2") == 0
    assert "by_hand.jsonl: replaced: video0/1 of both: the same as 2" in capsys.readouterr().out
    assert Path("by_hand.jsonl").read_text().count("\n") == 1


def test_a_file_that_no_node_applies_is_told_with_the_line_that_does(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert correct("video0", "1", "--same-as", "0", node="a") == 0
    told = capsys.readouterr()
    assert "a_by_hand: {correct: a, corrections: corrections.jsonl}" in told.err
    assert "next:" not in told.out, "a run would apply nothing"
    Path("kept").mkdir()
    assert correct("video0", "1", "--same-as", "0", "--out", "kept/mine.jsonl", node="a") == 0
    assert "{correct: a, corrections: kept/mine.jsonl}" in capsys.readouterr().err
    line = "stages.stage1.a_by_hand={correct: a, corrections: corrections.jsonl}"
    assert run(capsys, "--set", line, "--set", "stages.stage1.by_hand={correct: both}")["a_by_hand"] == (2, 0)
    after = read("a_by_hand")
    assert (after["1"] == after["0"]).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bothh", "video0", "0", "--same-as", "1"], "pipeline.yaml: no node 'bothh'; did you mean 'both'?"),
        (["both", "video9", "0", "--same-as", "1"], "no video 'video9' in split valid; did you mean"),
        (["both", "video0", "7", "--same-as", "1"], "video0/7: no sentence '7'; choose one of 0, 1, 2"),
        (["both", "video0", "0", "--same-as", "7"], "video0/0: no sentence '7'"),
        (["both", "video0", "0", "--same-as", "0"], "each is to be the same as the next: 0, 0"),
        (["both", "video0", "0", "--same-as", "aa:0"], "no node 'aa'"),
        (
            ["both", "video0", "0", "--same-as", "by_hand:0"],
            "by_hand stands on the corrected answers of by_hand",
        ),
        (["both", "video0", "0", "--frame", "00005", "--mask", "turned.png"], "a mask of 48 x 32 pixels (H x W)"),
        (["both", "video0", "0", "--frame", "00005", "--mask", "grey.png"], "grey.png: value 127, expected 0 and 255"),
        (["both", "video0", "0", "--frame", "00005", "--mask", "black.png"], "black.png: a mask without a pixel"),
        (["both", "video0", "0", "--frame", "00005", "--mask", "none.png"], "none.png"),
        (["both", "video0", "0", "--mask", "mask.png"], "mask without the frame that shows it"),
        (["both", "video0", "0", "--frame", "00007", "--mask", "mask.png"], "video0/0: no frame '00007'"),
        (
            ["both", "video0", "0", "--frame", "00005", "--mask", "mask.png", "--engine", "aott"],
            "video0/0: no engine 'aott' in the recipe; did you mean 'aot'?",
        ),
        (
            ["both", "video0", "0", "--frame", "00005", "--box", "1,1,9,9", "--engine", "aot"],
            "video0/0: engine aot takes no boxes; give a mask, or name sam2",
        ),
        (["both", "video0", "0", "--frame", "00005", "--box", "1,1,9,9"], "box without an engine"),
        (
            ["both", "video0", "0", "--frame", "00005", "--box", "1,1,49,9", "--engine", "sam2"],
            "box 1, 1, 49, 9 is none inside of the frame of 48 x 32 pixels (W x H)",
        ),
        (
            ["both", "video0", "0", "--frame", "00005", "--box", "1,1", "--engine", "sam2"],
            "--box 1,1: expected X0,Y0",
        ),
        (["both", "video0", "0", "--empty", "00005-00099"], "--empty 00005-00099: no frame '00099' among 3 frames"),
        (["both", "video0", "0", "--empty", "00010-00005"], "empty from 00010 to 00005, which is before it"),
        (["both", "video0", "0", "--keep", "5-"], "--keep 5-: no frame '5' among 3 frames"),
        (["both", "video0", "0", "--empty", "00005-", "--engine", "aot"], "empty with a frame or an engine"),
    ],
)
def test_a_wrong_correction_is_one_line_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["correct", "pipeline.yaml", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("by_hand.jsonl").exists()


LINE = '{"node": "both", "video": "video0", "sentence": "0", '


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}", "by_hand.jsonl:1: correction: 'sentence' is missing"),
        (LINE.replace("both", "bath") + '"same_as": {"sentence": "1"}}', "by_hand.jsonl: no node 'bath'; did you mean"),
        (LINE.replace("video0", "v") + '"same_as": {"sentence": "1"}}', "by_hand.jsonl: no video 'v' in the data set"),
        (LINE + '"same_as": {"sentence": "9"}}', "by_hand.jsonl: video0/0: no sentence '9'"),
        (LINE + '"same_as": {"sentence": "0", "node": "aa"}}', "by_hand: no node 'aa'"),
        (LINE + '"same_as": {"sentence": "0", "node": "by_hand"}}', "cycle by_hand -> by_hand"),
        (LINE + '"frame": "00005", "box": [0, 0, 9, 9], "engine": "sam3"}', "video0/0: no engine 'sam3' in the recipe"),
        (LINE + '"frame": "00005", "box": [0, 0, 9, 9], "engine": "aot"}', "engine aot takes no boxes"),
        (LINE + '"frame": "00005", "box": [0, 0, 9, 99], "engine": "sam2"}', "box 0, 0, 9, 99 is none inside"),
        (LINE + '"frame": "5", "box": [0, 0, 9, 9], "engine": "sam2"}', "by_hand.jsonl: video0/0: no frame '5'"),
    ],
)
def test_a_file_of_elsewhere_is_refused_before_anything_runs(
    folder: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    Path("by_hand.jsonl").write_text(line + "\n")
    assert main(["run", "pipeline.yaml", "--quiet", "--videos", "video1"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert list_results(Path("runs")) == []


def test_a_file_that_is_not_there_is_missed_before_anything_runs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "pipeline.yaml", "--quiet"]) == 2
    assert "by_hand.jsonl: no such file; write it with rvos correct" in capsys.readouterr().err
