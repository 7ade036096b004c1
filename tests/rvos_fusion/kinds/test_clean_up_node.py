"""Clean-ups and conditional unions in a recipe: run, swept, scored, and refused in one line where they cannot work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_data import write_split

from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main

RECIPE = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
groups: {by: object_id}
models:
  a: {import: png, path: members/a}
  b: {import: png, path: members/b}
stages:
  stage1:
    pair: {fuse: [a, b], method: conditional_union}
    cleaned: {clean_up: pair, islands: 0.1, holes: 0.1}
submission: {node: cleaned}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_split(tmp_path, 2)
    # A speck in a corner of every mask of `a`, far from the objects.
    from PIL import Image

    for path in (tmp_path / "members/a").rglob("*.png"):
        mask = np.asarray(Image.open(path)).copy()
        mask[30, 1] = 255
        Image.fromarray(mask).save(path)
    path = tmp_path / "own.yaml"
    path.write_text(RECIPE)
    return path


def test_a_clean_up_of_a_union_runs_and_scores(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shrunk = "stages.stage1.pair={fuse: [b, a], method: conditional_union}"
    assert main(["run", str(recipe), "--quiet", "--set", shrunk]) == 0
    store = Store(recipe.parent / "runs")
    for video in store.videos("cleaned"):
        for before, after in zip(store.read("pair", video), store.read("cleaned", video), strict=True):
            assert before.masks()[:, 30, 1].all()
            assert not after.masks()[:, 30, 1].any()
            assert (before.scores == after.scores).all()
    assert main(["table", str(recipe), "pair", "cleaned", "--set", shrunk, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert "cleaned" in json.dumps(rows)


def test_a_sweep_of_a_clean_up_has_what_runs_of_each_setting_have_after_the_masks_as_they_are(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only = "stages.stage1.pair={fuse: [b, a], method: conditional_union}"
    assert main(["run", str(recipe), "--quiet", "--set", only]) == 0
    options = ["sweep", str(recipe), "cleaned", "--set", only, "--islands", "0", "0.1", "--holes", "0"]
    assert main([*options, "--json"]) == 0
    pair, *rows = json.loads(capsys.readouterr().out)["settings"]
    assert (pair["node"], pair["islands"], pair["holes"]) == ("pair", None, None)
    assert [pair[key] for key in ("j", "f")] == [rows[-2][key] for key in ("j", "f")]
    assert [(row["islands"], row["holes"]) for row in rows[-2:]] == [(0, 0), (0.1, 0)]
    (own,) = (row for row in rows if row["own"])
    assert (own["islands"], own["holes"], own["gain"]) == (0.1, 0.1, None)
    for row in rows:
        words = [word for key in ("islands", "holes") for word in ("--set", f"stages.stage1.cleaned.{key}={row[key]}")]
        assert main(["run", str(recipe), "--quiet", "--set", only, *words]) == 0
        capsys.readouterr()
        assert main(["table", str(recipe), "cleaned", "--set", only, *words, "--json"]) == 0
        (run, *_) = json.loads(capsys.readouterr().out)["rows"]
        assert [run[key] for key in ("j", "f")] == [row[key] for key in ("j", "f")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "stages.stage1.cleaned={clean_up: pair, islands: 2}",
            "islands '2' is not a number of at least 0 and of at most 1",
        ),
        ("stages.stage1.cleaned={clean_up: pear, islands: 0.1}", "'pear'"),
        ("stages.stage1.pair={fuse: [a], method: conditional_union}", "takes two members"),
        ("stages.stage1.pair={fuse: [a, b], method: conditional_union, threshold: 2}", "part of an area"),
        (
            "stages.stage1.pair={fuse: [a, b], method: conditional_union, groups: {by: neighbours}}",
            "every sentence on its own; remove groups",
        ),
    ],
)
def test_what_cannot_work_is_one_line(
    recipe: Path, change: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(recipe), "--quiet", "--set", change]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["cleaned", "--thresholds", "2"], "is of kind clean-up; give --islands and --holes"),
        (["pair", "--islands", "0.1"], "pair is of kind fuse; give --threshold, not --islands"),
        (["a", "--islands", "0.1"], "no sweep of 'a': kind import has no setting that is cheap to try"),
    ],
)
def test_a_sweep_with_options_of_others_is_refused(
    recipe: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", str(recipe), *options]) == 2
    assert message in capsys.readouterr().err


def test_a_size_that_is_no_part_of_a_mask_is_refused(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = "stages.stage1.pair={fuse: [b, a], method: conditional_union}"
    assert main(["run", str(recipe), "--quiet", "--set", only]) == 0
    assert main(["sweep", str(recipe), "cleaned", "--set", only, "--islands", "3"]) == 2
    assert "islands '3' is not a number of at least 0 and of at most 1" in capsys.readouterr().err
