"""Making results again on purpose, and removing those that a recipe names no more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_data import write_split

from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    write_split(tmp_path)
    assert main(["run", str(tmp_path / "pipeline.yaml"), "--quiet"]) == 0
    return tmp_path


def run(finished: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, tuple[int, int]]:
    """Return for each node how many results were made and how many were there."""
    capsys.readouterr()
    assert main(["run", str(finished / "pipeline.yaml"), "--quiet", "--json", *words]) == 0
    return {row["node"]: (row["done"], row["reused"]) for row in json.loads(capsys.readouterr().out)["nodes"]}


def clean(finished: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, list[str]]:
    """Return the videos of what was listed, by node and reason."""
    capsys.readouterr()
    assert main(["clean", str(finished / "pipeline.yaml"), "--json", *words]) == 0
    found: dict[str, list[str]] = {}
    for one in json.loads(capsys.readouterr().out)["files"]:
        assert one["bytes"] > 0
        found.setdefault(f"{one['node']}: {one['reason']}", []).append(one["video"])
    return found


def test_a_forced_node_is_made_again_with_all_that_stands_on_it(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(finished, capsys, "--force", "ab") == {
        "a": (0, 3), "b": (0, 3), "c": (0, 3), "ab": (3, 0), "final": (3, 0),
    }  # fmt: skip
    assert run(finished, capsys, "--force", "c", "--videos", "video1")["final"] == (1, 0)
    assert set(run(finished, capsys).values()) == {(0, 3)}


def test_only_nodes_of_the_run_can_be_forced(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(finished / "pipeline.yaml"), "--force", "finale"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("--force finale: no such node in this run; did you mean 'final'?")
    assert Store(finished / "runs").videos("final") == ("video0", "video1", "video2")


def test_results_that_the_recipe_names_are_no_refuse(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clean(finished, capsys, "--remove") == {}
    assert set(run(finished, capsys).values()) == {(0, 3)}


def test_unnamed_results_are_listed_and_removed_when_told_to(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = finished / "pipeline.yaml"
    recipe.write_text(recipe.read_text().replace("ab", "vote").replace("threshold: 2}\nsub", "threshold: 1}\nsub"))
    expressions = finished / "data/meta_expressions/valid/meta_expressions.json"
    content = json.loads(expressions.read_text())
    del content["videos"]["video2"]
    expressions.write_text(json.dumps(content))
    listed = {
        "ab: no such node": ["video0", "video1", "video2"],
        "a: no such video": ["video2"],
        "b: no such video": ["video2"],
        "c: no such video": ["video2"],
        "final: no such video": ["video2"],
        "final: other settings": ["video0", "video1"],
    }
    assert clean(finished, capsys) == listed
    assert clean(finished, capsys, "--remove") == listed
    assert clean(finished, capsys) == {}
    assert sorted(path.name for path in (finished / "runs/nodes").iterdir() if path.is_dir()) == ["a", "b", "c"]


def test_the_list_says_how_to_remove_it(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    words = ["clean", str(finished / "pipeline.yaml"), "--set", "stages.stage2.final.threshold=1"]
    assert main(words) == 0
    *_, line, total = capsys.readouterr().out.splitlines()
    assert line.split()[:2] == ["final", "3"]
    assert total.startswith("3 results, ")
    assert total.endswith("--remove deletes them")
