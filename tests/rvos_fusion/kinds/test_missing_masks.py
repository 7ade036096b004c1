"""Members without masks for some sentences: refused, black, or without a vote; counted wherever results are shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_folders import FRAMES, index_map, listed, write_predictions, write_ref_youtube_vos

from rvos.formats import open_dataset
from rvos.imports import open_source
from rvos.imports.missing import read_filled
from rvos_fusion.commands.cli import main

VIDEOS = {"v": listed({"0": "1", "1": "2"}), "w": listed({"0": "1", "1": "2"})}
RECIPE = """
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
groups: {by: none}
models:
  a: {import: png, path: a}
  b: {import: png, path: b}
  c: {import: png, path: c, missing: FILL}
stages:
  one:
    fused: {fuse: [a, b, c], RULE}
submission: {node: fused}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three members; `c` lacks one frame of w/1, and all of v/0."""
    monkeypatch.chdir(tmp_path)
    write_ref_youtube_vos(tmp_path / "data", VIDEOS)
    for name in "abc":
        write_predictions(tmp_path / name, VIDEOS)
    for path in (tmp_path / "c/v/0").iterdir():
        path.unlink()
    (tmp_path / "c/v/0").rmdir()
    (tmp_path / f"c/w/1/{FRAMES[1]}.png").unlink()
    return tmp_path


def write_recipe(fill: str, rule: str = "threshold: 3 of 3") -> None:
    Path("my.yaml").write_text(RECIPE.replace("FILL", fill).replace("RULE", rule))


def score(capsys: pytest.CaptureFixture[str]) -> float:
    capsys.readouterr()
    assert main(["table", "my.yaml", "fused", "--json"]) == 0
    return float(json.loads(capsys.readouterr().out)["rows"][0]["j_and_f"])


def test_without_the_key_the_videos_fail_and_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_recipe("refuse")
    assert main(["run", "my.yaml", "--quiet"]) == 2
    said = capsys.readouterr().err
    assert "c/v/0/00000.png: no such file" in said
    assert "c/w/1/00005.png: no such file" in said


RULES = {
    "a share": "threshold: 3 of 3",
    "a part": "threshold: 1.0",
    "weighted": "threshold: 1.0, weights: {c: 2}",
    "average": "method: average, threshold: 0.9",
    "assign": "method: assign, capacity: any",
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_member_that_abstains_leaves_the_sentence_to_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str], rule: str
) -> None:
    write_recipe("abstain", rule)
    assert main(["run", "my.yaml", "--quiet"]) == 0
    assert score(capsys) == 100


def test_black_masks_vote(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_recipe("empty")
    assert main(["run", "my.yaml", "--quiet"]) == 0
    # All of v/0 and one frame of three of w/1 are lost by a vote of all: (0 + 1 + 1 + 2 / 3) / 4.
    assert score(capsys) == pytest.approx(100 * (2 + 2 / 3) / 4)


def test_only_what_is_missing_is_black(folder: Path) -> None:
    dataset = open_dataset("ref-youtube-vos", folder / "data", "valid")
    (whole, part) = read_filled(open_source("png", folder / "c"), dataset.video("w"), "empty")
    assert (whole.missing, part.missing) == (None, "empty")
    expected = [index_map(step) == 2 for step in range(3)]
    assert np.array_equal(part.masks(), np.stack([expected[0], np.zeros_like(expected[1]), expected[2]]))
    assert [one.missing for one in read_filled(open_source("png", folder / "c"), dataset.video("w"), "abstain")] == [
        None,
        "abstain",
    ]


def test_what_was_missing_is_counted_in_table_page_and_manifest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recipe("abstain")
    assert main(["run", "my.yaml", "--quiet"]) == 0
    note = "c has no masks for 2 of 4 expressions, first v/0: it abstains"
    capsys.readouterr()
    assert main(["table", "my.yaml", "a", "fused"]) == 0
    assert note in capsys.readouterr().out
    assert main(["report", "my.yaml", "--quiet"]) == 0
    assert note in Path("runs/report.html").read_text()
    capsys.readouterr()
    assert main(["submit", "my.yaml", "--out", "s.zip"]) == 0
    assert "c: abstain: no masks for 2 expressions, first v/0" in capsys.readouterr().err
    manifest = json.loads(Path("s.provenance.json").read_text())
    assert manifest["missing masks"] == {"c: abstain": ["v/0", "w/1"]}
    assert "filled with black masks" not in manifest


def test_a_sentence_that_nobody_answers_is_black_and_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_recipe("abstain")
    for name in "ab":
        for path in (folder / name / "v/0").iterdir():
            path.unlink()
    Path("my.yaml").write_text(Path("my.yaml").read_text().replace("path: a}", "path: a, missing: abstain}"))
    Path("my.yaml").write_text(Path("my.yaml").read_text().replace("path: b}", "path: b, missing: abstain}"))
    assert main(["run", "my.yaml", "--quiet"]) == 0
    assert main(["submit", "my.yaml", "--out", "s.zip"]) == 0
    capsys.readouterr()
    assert main(["check-submission", "s.zip"]) == 0
    said = capsys.readouterr().out
    assert "filled with black masks: v/0\n" in said
    assert "valid, but without results for 1 of 4 expressions; 1 of 4 expressions are empty in every frame: v/0" in said


SPARED = {
    "by sentence": ("threshold: 3 of 3", None, ["v/0"]),
    "whole, where masks are damaged": ("threshold: 3 of 3", f"v/1/{FRAMES[0]}.png", ["v/0", "v/1"]),
    "whole, where votes are counted": ("threshold: 2", None, ["v/0", "v/1"]),
}


@pytest.mark.parametrize("name", SPARED)
def test_a_video_that_was_refused_is_filled(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    rule, damaged, filled = SPARED[name]
    write_predictions(folder / "c", {"w": VIDEOS["w"]})
    if damaged is not None:
        (folder / "c" / damaged).write_text("")
    write_recipe("refuse", rule)
    assert main(["run", "my.yaml", "--quiet"]) == 2
    capsys.readouterr()
    stored = set(folder.rglob("*.masks"))
    assert main(["submit", "my.yaml", "--out", "s.zip", "--fill-missing"]) == 0
    assert set(folder.rglob("*.masks")) == stored
    assert f"v: no result of fused for {len(filled)} of 2 expressions, filled with" in capsys.readouterr().err
    assert json.loads(Path("s.provenance.json").read_text())["filled with black masks"] == filled
    assert main(["check-submission", "s.zip"]) == 0
    assert f"{len(filled)} of 4 expressions are empty in every frame: {', '.join(filled)}" in capsys.readouterr().out
    dataset = open_dataset("ref-youtube-vos", folder / "data", "valid")
    for video in dataset.videos:
        truth = dataset.read_truth(video)
        for expression, one in zip(video.expressions, open_source("png", Path("s.zip")).read(video), strict=True):
            is_black = f"{video.id}/{expression.id}" in filled
            assert np.array_equal(one.masks(), truth.masks(expression) & (not is_black))


def test_sweeps_count_the_votes_that_are_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_recipe("abstain")
    assert main(["run", "my.yaml", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["sweep", "my.yaml", "fused", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["settings"]
    assert {row["threshold"]: row["j_and_f"] for row in rows}["3 of 3"] == 100


REFUSED: dict[str, tuple[Callable[[str], str], str]] = {
    "a count": (lambda text: text.replace("3 of 3", "3"), "threshold 3 is a count, and 'c' may abstain"),
    "a single": (
        lambda text: text.replace("3 of 3", "3 of 3, singles: {only: c}"),
        "singles.only 'c' may abstain; give singles a threshold",
    ),
    "groups": (
        lambda text: text.replace("{by: none}", "{by: runs, members: [a, c]}"),
        "groups by runs need masks of every sentence, and 'c' may abstain",
    ),
    "a gate": (
        lambda text: text.replace(
            "submission", "    g: {gate: fused, members: [a, c], features: [agreement], threshold: 0.5}\nsubmission", 1
        ),
        "a gate compares masks of every sentence, and 'c' may abstain",
    ),
    "a path too high": (lambda text: text.replace("path: c,", "path: high,"), "they lie in another folder, give path"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_what_needs_every_member_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], change: Callable[[str], str], message: str
) -> None:
    for name in "cd":
        write_predictions(folder / "high" / name, VIDEOS)
    write_recipe("abstain")
    Path("my.yaml").write_text(change(Path("my.yaml").read_text()))
    assert main(["run", "my.yaml", "--quiet"]) == 2
    assert message in capsys.readouterr().err


def test_doctor_takes_what_may_be_missing_for_no_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for fill, status in (("refuse", 2), ("abstain", 0), ("empty", 0)):
        write_recipe(fill)
        assert main(["doctor", "my.yaml"]) == status, capsys.readouterr()
