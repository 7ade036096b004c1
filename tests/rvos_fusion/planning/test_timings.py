"""Times of earlier runs: what is no whole line is passed over, whatever stands there."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_plans import make_plan

from rvos_fusion.planning.results import Results
from rvos_fusion.planning.timings import read_seconds, read_speeds


def open_small_results(folder: Path, lengths: dict[str, int]) -> Results:
    """Return the results of a small plan."""
    return Results(make_plan(folder, lengths))


@pytest.mark.parametrize(
    "line",
    ["a," + "9" * 200_000 + ",3,1.0", 'a,"v', "a,v\0,3", "a,v,3", "a,v,-3,1.0", "a,v,3,nan", "\ufffd"],
    ids=["over-long", "open quote", "zero byte", "half", "negative", "no number", "odd"],
)
def test_a_damaged_line_costs_no_other(tmp_path: Path, line: str) -> None:
    results = open_small_results(tmp_path, {"v": 4, "w": 4})
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/timings.csv").write_text(f"f,v,4,2.0\n{line}\nf,w,4,4.0\n", encoding="utf-8")
    assert read_seconds(results) == {"f": 6.0}
    assert read_speeds(tmp_path / "runs") == {"f": 0.75}


def test_seconds_are_those_of_the_settings_that_are_asked_for(tmp_path: Path) -> None:
    """A task of a small plan has its node's name as fingerprint; a line of before has none."""
    results = open_small_results(tmp_path, {"v": 4, "w": 4})
    (tmp_path / "runs").mkdir()
    lines = ["f,v,4,7.0", "f,v,4,1.0,f", "f,v,4,9.0,other", "f,w,4,2.0", "f,w,4,9.0,other", "p,v,4,9.0,other"]
    (tmp_path / "runs/timings.csv").write_text("\n".join(lines))
    assert read_seconds(results) == {"f": 3.0}
