"""The command line itself: every command loads, options may stand between names, errors are one line."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from small_data import write_split
from stored_results import list_results

from rvos_fusion.commands.cli import COMMANDS, build_parser, main


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    text = build_parser(command).format_help()
    assert f"usage: rvos {command}" in text
    assert "example" in text


def test_options_may_stand_between_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_split(tmp_path)
    recipe = str(tmp_path / "pipeline.yaml")
    assert main(["run", recipe, "--quiet"]) == 0
    assert main(["table", recipe, "a", "--jobs", "1", "final"]) == 0
    # The named rows in their order; further inputs of the last row follow, marked with a plus.
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert [row for row in rows if row != "+"] == ["node", "a", "final"]


@pytest.mark.parametrize("words", [["nonsense"], ["import"], ["run", "a.yaml", "--nonsense"]], ids=str)
def test_wrong_words_exit_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "usage: rvos" in capsys.readouterr().err


def test_rvos_alone_lists_every_command_by_groups_and_names_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.endswith(":") and not line.startswith(" ")][-5:] == [
        *("start:", "run:", "look:", "hand in:", "extend:")
    ]
    assert {line.split()[0] for line in lines if line.startswith("  ")} >= set(COMMANDS)
    assert lines[-1].startswith("next: rvos demo")
    write_split(tmp_path)
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("next: rvos plan")


def test_the_recipe_of_the_folder_is_taken_where_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--quiet"]) == 2
    assert "pipeline.yaml" in capsys.readouterr().err
    write_split(tmp_path)
    assert main(["run", "--quiet"]) == main(["plan"]) == main(["table", "a", "final"]) == 0
    named = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert [name for name in named if name != "+"][-2:] == ["a", "final"]


def test_a_user_s_error_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path / "absent.yaml")]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("rvos run: ")
    assert len(captured.err.splitlines()) == 1


def test_a_mistyped_command_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["tabel", "pipeline.yaml"])
    assert capsys.readouterr().err.splitlines()[-1] == "rvos: error: no command 'tabel'; did you mean 'table'?"


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.split() == ["rvos-fusion", metadata.version("rvos-fusion")]


def test_a_reader_that_is_gone_is_no_error(tmp_path: Path) -> None:
    write_split(tmp_path)
    command = [sys.executable, "-m", "rvos_fusion.commands.cli", "plan", str(tmp_path / "pipeline.yaml"), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, error = process.communicate()
    assert process.returncode == 141
    assert error == b""


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_standard_streams_cost_nothing(tmp_path: Path, closed: str) -> None:
    write_split(tmp_path)
    words = f"-m rvos_fusion.commands.cli run {tmp_path / 'pipeline.yaml'} --quiet"
    ended = subprocess.run(["sh", "-c", f"{sys.executable} {words} {closed}"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert len(list_results(tmp_path / "runs")) == 15
