"""Recipes that a command writes: the same nodes, one more, and nothing else changes its meaning."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rvos.errors import ConfigError
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.recipe.written import write_extended

PROJECT = Path(__file__).parents[3]
RECIPES = [PROJECT / "pipeline.yaml", *sorted((PROJECT / "recipes").glob("*.yaml"))]
OWN = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
models:
  a: {import: rle, path: masks/a}
  "1": {import: rle, path: "masks/b"}
stages:
  search:
    searched: {fuse: [a, "1"], threshold: '1 of 2'}
"""


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_what_is_written_reads_as_the_recipe_that_it_was_made_of(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path)
    recipe = read_recipe(tmp_path / path.name)
    member = recipe.nodes[0].name if recipe.submission is None else recipe.submission
    out = tmp_path / "out.yaml"
    entry = {"fuse": [member], "threshold": "1 of 1"}
    write_extended(recipe, out, "more", comment="two\nlines", stage="further", nodes={"more": entry})
    assert out.read_text().startswith("# two\n# lines\n")
    written = read_recipe(out)
    build_graph(written)
    assert written.submission == "more"
    assert written.node("more").stage == "further"
    assert (written.workspace, written.dataset, written.rows) == (
        recipe.workspace,
        recipe.dataset,
        tuple(type(row)(row.node, row.row, own.line) for row, own in zip(recipe.rows, written.rows, strict=True)),
    )
    for node in recipe.nodes:
        same = written.node(node.name)
        assert (same.settings(), same.files(), same.stage) == (node.settings(), node.files(), node.stage)


def test_settings_of_the_command_line_are_put_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my.yaml").write_text(OWN)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    settings = ["dataset.root=more", "stages.search.searched.threshold=2"]
    recipe = read_recipe(tmp_path / "my.yaml", settings, workspace=tmp_path / "other")
    write_extended(recipe, tmp_path / "out.yaml", "1", comment="")
    written = read_recipe(tmp_path / "out.yaml")
    assert written.dataset.root == tmp_path / "elsewhere/more"
    assert written.workspace == tmp_path / "other"
    assert written.node("searched").settings() == recipe.node("searched").settings()
    assert written.submission == "1"


def test_a_path_that_would_mean_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my.yaml").write_text(OWN)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    recipe = read_recipe(tmp_path / "my.yaml", ["models.a.path=masks"])
    with pytest.raises(ConfigError, match=r"out.yaml: a would read other files than with --set"):
        write_extended(recipe, tmp_path / "out.yaml", "a", comment="")
    assert not (tmp_path / "out.yaml").exists()
