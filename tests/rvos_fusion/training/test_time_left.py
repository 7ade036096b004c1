"""The time that a training still takes: steps, validations and saved states each at what they took."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvos_fusion.training.running.time_left import TimeLeft, count_due, show_time


def test_nothing_is_said_before_the_first_step() -> None:
    assert show_time(TimeLeft(10).estimate(0, seconds=0.0, due={})) == ""


def test_validations_count_apart_from_steps() -> None:
    left = TimeLeft(100)
    for _ in range(10):
        left.step(2.0)
    # 90 steps of 2 s; nine validations that nobody timed yet.
    assert left.estimate(10, seconds=20.0, due={"validation": 9}) == (180.0, False)
    left.pause("validation", 60.0)
    # One validation does not make the steps look slower.
    assert left.estimate(10, seconds=80.0, due={"validation": 9}) == (180.0 + 9 * 60, True)


def test_a_wall_budget_ends_a_training_earlier() -> None:
    left = TimeLeft(1000, budget=600.0)
    left.step(1.0)
    assert left.estimate(1, seconds=100.0, due={"validation": 5}) == (500.0, True)
    assert left.estimate(900, seconds=100.0, due={}) == (100.0, True)
    assert left.estimate(950, seconds=700.0, due={}) == (0.0, True)


def test_what_is_recent_counts_more() -> None:
    left = TimeLeft(10_000)
    for seconds in [1.0] * 1000 + [3.0] * 1000:
        left.step(seconds)
    estimate = left.estimate(2000, seconds=4000.0, due={})
    assert estimate is not None
    assert estimate[0] == pytest.approx(8000 * 3.0, rel=0.02)


def test_an_estimate_says_where_it_is_a_bound() -> None:
    assert show_time((3723.0, True)) == "about 1:02:03 left"
    assert show_time((59.0, False)) == "at least 00:59 left"


@given(st.integers(0, 60), st.integers(1, 60), st.integers(0, 12), st.integers(0, 12))
def test_interruptions_are_the_multiples_and_the_end(done: int, more: int, first: int, second: int) -> None:
    last = done + more
    due = [
        step
        for step in range(done + 1, last + 1)
        if step == last or any(every and step % every == 0 for every in (first, second))
    ]
    assert count_due(done, last, first, second) == len(due)
    assert count_due(last, last, first, second) == 0
