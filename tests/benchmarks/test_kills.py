"""Runs that are killed at random moments; `python -m benchmarks kills` does it fifty times, on a cluster too."""

from __future__ import annotations

import sys
from random import Random

import pytest

from benchmarks.kills import kill_settings, try_kills


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_killed_runs_are_resumed_to_the_same_bytes_and_leave_nothing_behind() -> None:
    kills = list(try_kills(2, Random(3), ["2 processes"]))
    assert [kill.signal for kill in kills] == ["SIGKILL", "SIGTERM"]
    assert [kill for kill in kills if kill.faults] == []


def test_killed_runs_of_several_settings_lose_nothing() -> None:
    assert kill_settings(3, Random(3)) == []
