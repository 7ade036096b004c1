"""How long a run would take with so many workers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_data import write_split
from small_plans import make_plan

from rvos_fusion.commands.cli import main
from rvos_fusion.executors.simulation import simulate

# Six tasks a video of one second each; the two propagations go together.
VIDEOS = {"v": 1, "w": 1}


def test_one_worker_needs_the_sum_of_all_tasks_and_loads(tmp_path: Path) -> None:
    found = simulate(make_plan(tmp_path, VIDEOS), 1, cost=lambda task: 1.0, load=10.0)
    assert (found.seconds, found.busy, found.loads) == (12.0 + 30.0, 12.0, 3)


def test_more_workers_than_work_need_the_longest_chain(tmp_path: Path) -> None:
    # A member, the fusion, two propagations in one pass, the last fusion.
    found = simulate(make_plan(tmp_path, VIDEOS), 50, cost=lambda task: 1.0)
    assert (found.seconds, found.busy) == (5.0, 12.0)
    assert found.efficiency == pytest.approx(12 / (50 * 5))


def test_two_workers_share_two_videos_without_idling(tmp_path: Path) -> None:
    found = simulate(make_plan(tmp_path, VIDEOS), 2, cost=lambda task: 1.0)
    assert (found.seconds, found.efficiency) == (6.0, 1.0)


def test_what_is_stored_costs_nothing(tmp_path: Path) -> None:
    found = simulate(make_plan(tmp_path, VIDEOS), 1, cost=lambda task: 0.0, load=10.0)
    assert (found.seconds, found.loads, found.efficiency) == (0.0, 0, 1.0)


def test_plan_estimates_from_the_times_of_a_few_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_split(tmp_path)
    words = ["plan", str(tmp_path / "pipeline.yaml"), "--json", "--workers", "1", "2"]
    assert main(words) == 2
    assert "no times of a, b, c, ab, final" in capsys.readouterr().err
    assert main(["run", str(tmp_path / "pipeline.yaml"), "--quiet", "--videos", "video0"]) == 0
    rows = [f"{node},video0,9,9.0" for node in ("a", "b", "c", "ab", "final")]
    (tmp_path / "runs/timings.csv").write_text("\n".join(rows))
    capsys.readouterr()
    assert main(words) == 0
    one, two = json.loads(capsys.readouterr().out)["workers"]
    # Five nodes of the two videos that are left, nine seconds each.
    assert (one["seconds"], one["efficiency"]) == (pytest.approx(90.0), pytest.approx(1.0))
    assert two["seconds"] == pytest.approx(45.0)


@pytest.mark.parametrize("words", [["--workers", "0"], ["--workers", "1", "--load-seconds", "-1"]])
def test_numbers_out_of_range_are_refused(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    write_split(tmp_path)
    assert main(["plan", str(tmp_path / "pipeline.yaml"), *words]) == 2
    assert "--workers: give 1 or more" in capsys.readouterr().err
