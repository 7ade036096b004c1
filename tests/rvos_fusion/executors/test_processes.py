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
import pytest
from small_data import write_split

from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main
from rvos_fusion.executors import choose
from rvos_fusion.executors.processes import Processes

_SECONDS = 60.0


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
    parent = subprocess.Popen([sys.executable, deadly.__file__, str(tmp_path)], env=environment)
    end = time.monotonic() + _SECONDS
    while len(found := list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    workers = [int(path.stem) for path in found]
    assert len(workers) == 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while any(map(_lives, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(_lives, workers))


def _lives(process: int) -> bool:
    """Tell whether a process still runs; one that only waits for its status to be read does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
