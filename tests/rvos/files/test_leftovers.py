"""Leftovers of killed writers: gone at once where the writer is known to be dead, else after an hour."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rvos.files import leftovers
from rvos.files.leftovers import clear_leftovers, name_part

HERE = leftovers._describe_machine()
ELSEWHERE = "".join("0" if digit != "0" else "1" for digit in HERE)
TOKEN = "0123456789ab"


@pytest.fixture(scope="module")
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def leave(folder: Path, name: str, *, hours: float = 0.0) -> Path:
    path = folder / name
    path.touch()
    os.utime(path, (time.time() - 3600 * hours,) * 2)
    return path


def test_a_dead_writer_of_this_machine_leaves_nothing(tmp_path: Path, dead: int) -> None:
    part = leave(tmp_path, f".v.masks.{HERE}-{dead:x}-{TOKEN}.part")
    clear_leftovers(tmp_path)
    assert not part.exists()


@pytest.mark.parametrize("is_here", [True, False], ids=["living", "elsewhere"])
def test_what_may_still_be_written_stays_for_an_hour(tmp_path: Path, dead: int, is_here: bool) -> None:
    name = name_part("v.masks") if is_here else f".v.masks.{ELSEWHERE}-{dead:x}-{TOKEN}.part"
    part = leave(tmp_path, name, hours=0.9)
    clear_leftovers(tmp_path)
    assert part.exists()
    leave(tmp_path, name, hours=1.1)
    clear_leftovers(tmp_path)
    assert not part.exists()


@pytest.mark.parametrize("name", ["mine.part", ".note", "a.masks", f".v.{TOKEN}.part", ".v.part"])
def test_other_files_are_never_removed(tmp_path: Path, name: str) -> None:
    leave(tmp_path, name, hours=2)
    clear_leftovers(tmp_path)
    assert (tmp_path / name).exists()


def test_a_name_as_long_as_a_disk_allows_still_has_a_part(tmp_path: Path) -> None:
    (tmp_path / name_part("v" * 255)).touch()


def test_two_parts_of_one_file_differ() -> None:
    assert name_part("a") != name_part("a")


def test_a_folder_is_no_leftover(tmp_path: Path, dead: int) -> None:
    folder = tmp_path / f".v.{HERE}-{dead:x}-{TOKEN}.part"
    folder.mkdir()
    clear_leftovers(tmp_path)
    assert folder.exists()


def test_a_folder_that_is_not_there_has_none(tmp_path: Path) -> None:
    clear_leftovers(tmp_path / "missing")


def test_a_process_of_another_user_lives(tmp_path: Path, dead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    part = leave(tmp_path, f".v.{HERE}-{dead:x}-{TOKEN}.part")
    monkeypatch.setattr(leftovers.os, "kill", _refuse)
    clear_leftovers(tmp_path)
    assert part.exists()


def _refuse(process: int, number: int) -> None:
    raise PermissionError
