"""Completion of the command line, as a shell asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_data import write_split


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the small recipe."""
    write_split(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rvos ta", {"table"}),
        ("rvos fetch-weights sam2.1-hiera-t", {"sam2.1-hiera-tiny"}),
        ("rvos table pipe", {"pipeline.yaml"}),
        ("rvos table pipeline.yaml ", {"a", "b", "c", "ab", "final"}),
        ("rvos table pipeline.yaml a f", {"final"}),
        ("rvos run pipeline.yaml --force ab fi", {"final"}),
        ("rvos run pipeline.yaml --stage ", {"stage1", "stage2"}),
        ("rvos table pipeline.yaml --mark", {"--markdown"}),
        ("rvos table absent.yaml a", set()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_shell_is_offered(line: str, expected: set[str], folder: Path) -> None:
    offered = {word for word in complete(line, folder) if not (word.startswith("-") and not line.endswith("--mark"))}
    assert offered == expected


def test_a_recipe_that_is_being_written_is_no_error(folder: Path) -> None:
    (folder / "pipeline.yaml").write_text("models: {a: {import: png")
    assert complete("rvos table pipeline.yaml a", folder) == []


def complete(line: str, folder: Path) -> list[str]:
    """Return what a shell gets for a line, as argcomplete's protocol has it."""
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(folder / "answer"),
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    words = [sys.executable, "-m", "rvos_fusion.commands.cli"]
    done = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return (folder / "answer").read_text().split("\n") if (folder / "answer").stat().st_size else []
