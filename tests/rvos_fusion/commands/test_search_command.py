"""`rvos search`: what it finds in members whose errors differ, what it drops, what it writes, what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rvos.masks.mask_sequences import encode
from rvos_fusion.commands.cli import main
from rvos_fusion.opened import open_recipe
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.scores.search.searching import FoundRow

FRAMES = ["00000", "00005"]
SHAPE = (len(FRAMES), 8, 16)
MEMBERS = ("a", "b", "c", "copy", "empty", "full")
RECIPE = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
groups: {by: object_id}
models:
  a: {import: rle, path: members/a}
  b: {import: rle, path: members/b}
  c: {import: rle, path: members/c}
  copy: {import: rle, path: members/copy}
  empty: {import: rle, path: members/empty}
  full: {import: rle, path: members/full}
stages:
  stage1:
    all: {fuse: [a, b, c, copy, empty, full], threshold: 0.5}
submission: {node: all}
"""


def write_set(root: Path, n_videos: int) -> Path:
    """Write videos of two objects with two sentences each; every member loses other columns of what it marks."""
    random = np.random.default_rng(0)
    videos = {}
    for index in range(n_videos):
        name = f"v{index:02d}"
        expressions = {str(i): {"exp": f"thing {i}", "obj_id": str(1 + i // 2)} for i in range(4)}
        videos[name] = {"expressions": expressions, "frames": FRAMES}
        objects = [mark(1), mark(9)]
        drawn = {own: [lose_columns(objects[i // 2], random) for i in range(4)] for own in "abc"}
        drawn |= {"copy": drawn["a"], "empty": [np.zeros(SHAPE, bool)] * 4, "full": [np.ones(SHAPE, bool)] * 4}
        for own, masks in drawn.items():
            rows = [[{"size": [8, 16], "counts": text.decode()} for text in encode(mask)] for mask in masks]
            path = root / "members" / own / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({str(i): row for i, row in enumerate(rows)}))
        labels = np.where(objects[0][0], 1, np.where(objects[1][0], 2, 0)).astype(np.uint8)
        folder = root / "data/valid/Annotations" / name
        folder.mkdir(parents=True)
        for frame in FRAMES:
            Image.fromarray(labels).save(folder / f"{frame}.png")
    listed = root / "data/meta_expressions/valid/meta_expressions.json"
    listed.parent.mkdir(parents=True)
    listed.write_text(json.dumps({"videos": videos}))
    (root / "my.yaml").write_text(RECIPE)
    return root / "my.yaml"


def mark(column: int) -> np.ndarray:
    masks = np.zeros(SHAPE, bool)
    masks[:, 2:6, column : column + 6] = True
    return masks


def lose_columns(mask: np.ndarray, random: np.random.Generator) -> np.ndarray:
    lost = mask.copy()
    lost[:, :, random.choice(np.flatnonzero(mask.any(axis=(0, 1))), 2, replace=False)] = False
    return lost


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_set(tmp_path_factory.mktemp("searched"), 20)
    assert main(["run", str(path), "--quiet"]) == 0
    return path.parent


@pytest.fixture
def recipe(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "set")
    return tmp_path / "set/my.yaml"


def find(recipe: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["search", str(recipe), "--json", *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_worthless_members_are_dropped_and_the_recipe_that_is_written_scores_as_told(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = find(recipe, capsys)
    assert found["copies"] == {"copy": "a"}
    rows = {row["row"]: row for row in found["rows"]}
    assert rows["best input"]["held_out"] < rows["fusion"]["held_out"]
    assert rows["fusion"]["low"] > 0
    assert not {"empty", "full", "copy"} & set(found["advised"])
    assert rows["oracle: best member of each sentence"]["fitted"] >= max(found["members"].values())
    written = recipe.with_name("my_searched.yaml")
    again = read_recipe(written).node("searched")
    assert list(again.inputs()) == found["advised"]
    opened = open_recipe(written)
    opened.run(quiet=True)
    assert opened.table("searched")[0].j_and_f == pytest.approx(rows["fusion"]["fitted"])
    pair = open_recipe(recipe.with_name("my_searched_pair.yaml"))
    pair.run(quiet=True)
    assert pair.table("searched")[0].j_and_f == pytest.approx(rows["best pair"]["fitted"])


def test_where_no_fusion_beats_the_best_input_that_input_is_taken(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--nodes", "a,empty,full", "--set", "groups={by: none}", "--out", str(recipe.with_name("best.yaml"))]
    assert find(recipe, capsys, *words)["advised"] == ["a"]
    assert main(["search", str(recipe), *words]) == 0
    assert "take a as it is" in capsys.readouterr().out
    assert read_recipe(recipe.with_name("best.yaml")).submission == "a"


def test_a_fusion_that_is_not_sure_to_be_better_is_written_and_not_submitted(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FoundRow, "is_sure", property(lambda row: False))
    found = find(recipe, capsys)
    assert len(found["advised"]) == 1
    written = read_recipe(recipe.with_name("my_searched.yaml"))
    assert [written.submission] == found["advised"]
    fusion = next(row for row in found["rows"] if row["row"] == "fusion")
    assert list(written.node("searched").inputs()) == fusion["members"]


def test_models_that_no_stage_reads_are_searched(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = find(recipe, capsys, "--set", "stages.stage1.all.fuse=[a, b]", "--nodes", "a,b,c")
    assert list(found["members"]) == ["a", "b", "c"]


def test_what_is_not_stored_is_named_and_left_out(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (recipe.parent / "runs/nodes/b/v03.masks").unlink()
    found = find(recipe, capsys)
    assert "b" not in found["members"]
    assert "b is left out: stored for 19 of 20 videos" in found["notes"]
    assert main(["search", str(recipe), "--nodes", "a,b"]) == 2
    assert "b is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(["--videos", "v00", "v01"], "2 videos to search on, expected at least 20", id="few videos"),
        pytest.param(["--nodes", "a,coppy"], "no node 'coppy'; did you mean 'copy'?", id="unknown node"),
        pytest.param(["--nodes", "a,copy"], "a and copy have the same masks", id="the same masks"),
        pytest.param(["--nodes", "a"], "1 member to search: a", id="one member"),
        pytest.param(["--out", "elsewhere/x.yaml"], "name a file in", id="another folder"),
        pytest.param(["--out", "my.yaml"], "is the recipe itself", id="the recipe itself"),
    ],
)
def test_bad_input_is_one_line(
    recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.chdir(recipe.parent)
    before = sorted(recipe.parent.glob("*.yaml"))
    assert main(["search", "my.yaml", *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert sorted(recipe.parent.glob("*.yaml")) == before
    assert recipe.read_text() == RECIPE


def test_a_split_without_truth_is_refused(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(recipe.parent / "data/valid/Annotations")
    assert main(["search", str(recipe)]) == 2
    assert "no ground truth" in capsys.readouterr().err
