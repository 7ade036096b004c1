"""Times of earlier runs: what is no whole line is passed over, whatever stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from rvos_fusion.planning.timings import read_seconds, read_speeds


@pytest.mark.parametrize(
    "line",
    ["a," + "9" * 200_000 + ",3,1.0", 'a,"v', "a,v\0,3", "a,v,3", "a,v,-3,1.0", "a,v,3,nan", "\ufffd"],
    ids=["over-long", "open quote", "zero byte", "half", "negative", "no number", "odd"],
)
def test_a_damaged_line_costs_no_other(tmp_path: Path, line: str) -> None:
    (tmp_path / "timings.csv").write_text(f"a,v,4,2.0\n{line}\na,w,4,4.0\n", encoding="utf-8")
    assert read_seconds(tmp_path) == {"a": 6.0}
    assert read_speeds(tmp_path) == {"a": 0.75}
