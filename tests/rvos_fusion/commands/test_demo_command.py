"""`rvos demo`: recipes, data and checkpoints come out of the package; an edited recipe stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from rvos_fusion.commands.cli import main
from rvos_fusion.commands.demo import list_commands
from rvos_fusion.recipe.graph import build_graph, check_files
from rvos_fusion.recipe.reader import read_recipe


def test_the_copied_recipe_finds_all_that_it_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "own"
    assert main(["demo", "--out", str(folder), "--only-copy"]) == 0
    assert capsys.readouterr().out.strip() == str(folder)
    recipe = read_recipe(folder / "pipeline.yaml")
    check_files(build_graph(recipe).nodes, recipe)
    dataset = recipe.dataset.open()
    assert dataset.truth is not None
    assert all(path.is_file() for video in dataset.videos for path in video.image_paths)
    refinement = read_recipe(folder / "recipes" / "demo_refinement.yaml")
    check_files(build_graph(refinement).nodes, refinement)


def test_every_command_of_the_demo_is_one_that_exists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--out", str(tmp_path), "--only-copy"]) == 0
    known = {node.name for node in read_recipe(tmp_path / "pipeline.yaml").nodes}
    commands = list(list_commands(2))
    assert [words[0] for words in commands] == ["run", "run", "submit", "check-submission", "report", "sweep", "table"]
    assert set(commands[-1][2:]) <= known
    for words in commands:
        with pytest.raises(SystemExit) as stopped:
            main([words[0], "--help"])
        assert stopped.value.code == 0


def test_an_edited_recipe_is_kept(tmp_path: Path) -> None:
    assert main(["demo", "--out", str(tmp_path), "--only-copy"]) == 0
    path = tmp_path / "pipeline.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    assert main(["demo", "--out", str(tmp_path), "--only-copy"]) == 0
    assert path.read_text(encoding="utf-8").endswith("# mine\n")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert main(["demo", "--out", str(tmp_path / "file"), "--only-copy"]) == 2
    assert "give another folder by --out" in capsys.readouterr().err
