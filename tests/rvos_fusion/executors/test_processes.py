"""Processes beside this one: what happens when one of them, or this one, is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import deadly
import nbformat
import pytest
from nbclient import NotebookClient
from small_data import write_split

from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main
from rvos_fusion.executors import choose, processes
from rvos_fusion.executors.processes import Processes

_SECONDS = 600.0


def test_a_killed_process_costs_one_video_and_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_split(tmp_path)
    words = ["run", str(tmp_path / "pipeline.yaml"), "--quiet", "--jobs", "2"]
    with monkeypatch.context() as patch:
        patch.setattr(choose, "Processes", partial(Processes, run=deadly.die_for_one))
        assert main(words) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if not line.startswith("blocked: ")] == [
        "failed: a: video1: a worker was killed, probably for memory: run again with fewer jobs"
    ]
    assert Store(tmp_path / "runs").videos("final") == ("video0", "video2")
    assert main(words) == 0
    assert Store(tmp_path / "runs").videos("final") == ("video0", "video1", "video2")


def test_without_any_process_left_the_run_ends_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_split(tmp_path)
    monkeypatch.setattr(choose, "Processes", partial(Processes, run=deadly.die))
    assert main(["run", str(tmp_path / "pipeline.yaml"), "--quiet", "--jobs", "2"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "rvos run: a worker was killed, probably for memory: run again with fewer jobs; finished results are kept"
    ]


def test_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    paths = os.pathsep.join([str(Path(deadly.__file__).parent), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, deadly.__file__, str(tmp_path)]
    parent = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + _SECONDS
    while len(found := list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    workers = [int(path.stem) for path in found]
    assert len(workers) == 2
    parent.send_signal(signal.SIGKILL)
    assert parent.communicate(timeout=_SECONDS)[1] == ""  # not even of the semaphores, which are removed
    while any(map(deadly.lives, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(deadly.lives, workers))


def test_processes_that_are_killed_while_they_start_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_split(tmp_path)
    monkeypatch.setattr(processes, "_prepare_process", deadly.die_at_once)
    assert main(["run", str(tmp_path / "pipeline.yaml"), "--quiet", "--jobs", "2"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rvos run: a worker was killed")


def test_too_few_open_files_for_the_processes_are_one_line(tmp_path: Path) -> None:
    write_split(tmp_path)
    words = f"{sys.executable} -m rvos_fusion.commands.cli run {tmp_path / 'pipeline.yaml'} --quiet --jobs 8"
    ended = subprocess.run(["sh", "-c", f"ulimit -n 24; {words}"], capture_output=True, text=True)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "--jobs 8: so many processes cannot be started" in ended.stderr
    assert "ulimit -n" in ended.stderr


SCRIPT = """
import rvos_fusion as rf
print([row.missing for row in rf.open_recipe({recipe!r}).run(jobs=2, quiet=True)])
"""


@pytest.mark.parametrize("how", ["script", "standard input"])
def test_a_script_without_a_guard_may_ask_for_processes(tmp_path: Path, how: str) -> None:
    write_split(tmp_path)
    script = SCRIPT.format(recipe=str(tmp_path / "pipeline.yaml"))
    path = tmp_path / "script.py"
    path.write_text(script)
    words = [sys.executable, str(path) if how == "script" else "-"]
    ended = subprocess.run(words, input=script, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert (ended.stdout, ended.stderr) == ("[0, 0, 0, 0, 0]\n", "")


def test_a_notebook_may_ask_for_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_split(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    cell = nbformat.v4.new_code_cell(SCRIPT.format(recipe=str(tmp_path / "pipeline.yaml")))
    NotebookClient(nbformat.v4.new_notebook(cells=[cell]), timeout=None, kernel_name="python3").execute()
    assert [(output.name, output.text) for output in cell.outputs] == [("stdout", "[0, 0, 0, 0, 0]\n")]
