"""What a run shows while it works."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_plans import make_plan

from rvos_fusion.planning.tasks import Outcome
from rvos_fusion.running.progress import Progress, WorkLeft


def test_every_node_gets_one_line_when_its_last_video_is_settled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress(quiet=False)
    progress.begin(make_plan(tmp_path, {"v": 2, "w": 3}))
    progress.settle([Outcome("m", "v", "done", 1.0)])
    assert "m: runs soc" not in capsys.readouterr().err
    progress.settle([Outcome("m", "w", "failed", message="w: because")])
    progress.close()
    assert "m: runs soc; 1 done, 1 failed" in capsys.readouterr().err


def test_quiet_shows_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = make_plan(tmp_path, {"v": 2})
    progress = Progress(quiet=True)
    progress.begin(plan)
    progress.start(plan.tasks["m"])
    progress.stop(plan.tasks["m"])
    progress.settle([Outcome("m", "v", "done", 1.0, message="made again")])
    progress.close()
    assert capsys.readouterr().err == ""


def test_time_left_comes_from_measured_times(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, {"v": 2, "w": 3})
    work = WorkLeft(plan, {"n": 1.0, "f": 1.0, "p": 1.0, "q": 1.0, "g": 1.0})
    assert work.estimate(1) is None  # m never ran
    work.settle(Outcome("m", "v", "done", 8.0))
    # Three frames of m at four seconds each, and five of each of the five others at one second.
    assert work.estimate(1) == pytest.approx(12.0 + 25.0)
    assert work.estimate(2) == pytest.approx(37.0 / 2)
    work.settle(Outcome("n", "w", "failed"))
    assert work.estimate(1) == pytest.approx(12.0 + 22.0)


def test_nothing_left_takes_no_time(tmp_path: Path) -> None:
    assert WorkLeft(make_plan(tmp_path, {}), {}).estimate(1) == 0
