"""The workspace: made with its own rules for git, or left as the user has it; cleared of old leftovers."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rvos.errors import StoreError
from rvos.files.leftovers import name_part
from rvos_fusion.planning.workspace import prepare_workspace


@pytest.mark.parametrize("is_there", [True, False], ids=["empty folder", "no folder"])
def test_a_new_workspace_is_ignored_by_git(tmp_path: Path, is_there: bool) -> None:
    if is_there:
        (tmp_path / "ws").mkdir()
    prepare_workspace(tmp_path / "ws")
    assert (tmp_path / "ws" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("name", [".gitignore", "mine.txt"])
def test_a_folder_in_use_keeps_its_rules(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("weights/\n")
    prepare_workspace(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "nodes"])
    assert (tmp_path / name).read_text() == "weights/\n"


@pytest.mark.parametrize("folder", ["", "nodes/soc", "groups", "failures/soc"])
def test_leftovers_of_killed_runs_are_cleared(tmp_path: Path, folder: str) -> None:
    part = tmp_path / folder / name_part("v.masks")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.touch()
    prepare_workspace(tmp_path)
    assert part.exists()  # it may belong to a run beside this one
    os.utime(part, (time.time() - 7200,) * 2)
    prepare_workspace(tmp_path)
    assert not part.exists()


def test_a_file_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "ws").touch()
    with pytest.raises(StoreError, match="ws"):
        prepare_workspace(tmp_path / "ws")


@pytest.mark.parametrize("name", ["nodes", "nodes/soc", "groups", "failures", "failures/soc"])
@pytest.mark.parametrize("is_loop", [False, True], ids=["out", "to itself"])
def test_a_link_out_of_the_workspace_is_refused(tmp_path: Path, name: str, is_loop: bool) -> None:
    link = tmp_path / "ws" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(link if is_loop else tmp_path)
    with pytest.raises(StoreError, match=f"{name}: .*remove it"):
        prepare_workspace(tmp_path / "ws")


def test_the_workspace_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "ws").symlink_to(tmp_path / "disk")
    prepare_workspace(tmp_path / "ws")
    assert (tmp_path / "disk" / ".gitignore").is_file()
