"""The data sets of 2026 in every command: what one prints of a node, all others print."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_folders import write_png

from rvos.formats import Dataset, find_format, open_dataset
from rvos_fusion.commands.cli import main
from rvos_fusion.commands.synthesize import WRITERS

FORMATS = ("revos", "reason-vos", "long-rvos", "custom", "mosev2")
Say = Callable[..., str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Say:
    """What a command prints; it must end with 0."""

    def run(*words: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture(params=FORMATS)
def recipe(request: pytest.FixtureRequest, tmp_path: Path, said: Say) -> Path:
    """A vote over three imported members, each of which is late in its own way, on a synthetic set."""
    form, root = find_format(request.param), tmp_path / "data"
    said("synthesize", "--seed", 3, "--videos", 3, "--format", form.name, "--out", root)
    dataset = open_dataset(form.name, root)
    for place, member in enumerate("abc"):
        write_member(tmp_path / member, dataset, late=2 * place, rows=place == 1)
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"dataset: {{format: {form.name}, root: data, split: {form.default_split}}}\nworkspace: runs\nmodels:\n"
        + "".join(f"  {member}: {{import: png, path: {member}}}\n" for member in "abc")
        + "stages:\n  one:\n    vote: {fuse: [a, b, c], threshold: 2}\nsubmission: {node: vote}\n"
    )
    return path


def write_member(folder: Path, dataset: Dataset, *, late: int, rows: bool) -> None:
    for video in dataset.videos:
        truth = dataset.read_truth(video)
        for expression in video.expressions:
            masks = np.roll(truth.masks(expression), late, axis=1 if rows else 2)
            for frame, mask in zip(video.frames, masks, strict=True):
                write_png(folder / video.id / expression.id / f"{frame}.png", mask.astype(np.uint8) * 255)


def test_every_format_can_be_drawn() -> None:
    assert set(FORMATS) < WRITERS.keys()


def test_table_sweep_page_and_archive_agree_to_the_last_digit(recipe: Path, said: Say, tmp_path: Path) -> None:
    assert "ready to run" in said("doctor", recipe, "--deep")
    said("run", recipe, "--quiet")
    (row,) = [
        one for one in json.loads(said("table", recipe, "a", "b", "vote", "--json"))["rows"] if one["node"] == "vote"
    ]
    (swept,) = json.loads(said("sweep", recipe, "vote", "--thresholds", "2", "--json"))["settings"]
    said("submit", recipe)
    archive = tmp_path / "runs/submission.zip"
    assert said("check-submission", archive).startswith(f"{archive}: valid")
    scored = json.loads(said("evaluate", tmp_path / "data", archive, "--json"))
    for key, name in (("j", "J"), ("f", "F"), ("j_and_f", "J&F")):
        assert row[key] == pytest.approx(100 * scored[name], abs=1e-9)
        assert swept[key] == pytest.approx(100 * scored[name], abs=1e-9)
    said("report", recipe, "--quiet")
    page = (tmp_path / "runs/report.html").read_text()
    assert json.dumps(["J&F", row["j_and_f"]], separators=(",", ":")) in page
    assert 0 < row["j_and_f"] < 100


def test_folders_and_masks_of_other_tables_work(recipe: Path, said: Say, tmp_path: Path) -> None:
    said("run", recipe, "--quiet")
    said("table", recipe, "--pairs", "--stability")
    root, form = tmp_path / "data", name_of(recipe)
    said("export", "vote", "--workspace", tmp_path / "runs", "--out", tmp_path / "masks")
    said("submit", recipe)
    archived = json.loads(said("evaluate", root, tmp_path / "runs/submission.zip", "--json"))
    if form != "mosev2":  # whose masks lie in one map for all objects of a frame
        assert json.loads(said("evaluate", root, tmp_path / "masks", "--format", form, "--json")) == archived
    assert not list((tmp_path / "runs").glob("failures/*/*"))
    said("clean", recipe, "--remove")
    results = list((tmp_path / "runs/nodes/vote").glob("*.masks"))
    assert {path.name.count("%2F") for path in results} == {2 * (form == "revos")}
    assert len(results) == len(open_dataset(form, root).videos)


def name_of(recipe: Path) -> str:
    return recipe.read_text().partition("format: ")[2].partition(",")[0]
