"""J from counts of patterns is the J of the masks themselves, and choices by it are honest."""

from __future__ import annotations

from itertools import combinations
from math import prod

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rvos.evaluation import j_and_f
from rvos.masks.runs import Runs
from rvos_fusion.scores.search.choosing import choose
from rvos_fusion.scores.search.likeness import measure_likeness
from rvos_fusion.scores.search.patterns import count_patterns
from rvos_fusion.scores.search.settings import Candidate, count_needed, list_candidates, list_chosen


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Masks (members, sentences, T, H, W), truth and void (T, H, W)."""
    n_members, n_sentences = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    frames = (draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    void = draw_bits(draw, frames) if draw(st.booleans()) else None
    return draw_bits(draw, (n_members, n_sentences, *frames)), draw_bits(draw, frames), void


def draw_bits(draw: st.DrawFn, shape: tuple[int, ...]) -> np.ndarray:
    """Return truth values from a few bytes, which are drawn much faster than one by one."""
    n_bytes = -(-prod(shape) // 8)
    drawn = np.frombuffer(draw(st.binary(min_size=n_bytes, max_size=n_bytes)), np.uint8)
    return np.unpackbits(drawn)[: prod(shape)].reshape(shape).astype(bool)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(cases())
def test_j_of_every_vote_of_every_subset_is_that_of_its_mask(
    case: tuple[np.ndarray, np.ndarray, np.ndarray | None],
) -> None:
    masks, truth, void = case
    n_members, n_sentences = masks.shape[:2]
    runs = [[Runs.from_masks(one) for one in member] for member in masks]
    patterns = count_patterns(runs, Runs.from_masks(truth), None if void is None else Runs.from_masks(void))
    subsets = [own for size in range(1, n_members + 1) for own in combinations(range(n_members), size)]
    for subset in subsets:
        chosen = np.array([[int(place in subset) for place in range(n_members)]])
        for needed in range(1, len(subset) * n_sentences + 1):
            fused = masks[list(subset)].sum(axis=(0, 1)) >= needed
            expected = j_and_f(truth, fused, void)[0].mean()
            assert patterns.measure_j(chosen, np.array([needed]))[0] == pytest.approx(expected, abs=1e-12)


def test_candidates_are_every_number_of_votes_of_every_subset() -> None:
    found = list_candidates(["a", "b", "c"], 2)
    alone = [one for one in found if not one.is_grouped]
    assert len(alone) == 3 * 1 + 3 * 2 + 1 * 3
    assert len(found) - len(alone) == 3 * 2 + 3 * 4 + 1 * 6
    assert list_chosen(found, 3).sum(axis=1).tolist() == [len(one.places) for one in found]
    of_three = [one for one in alone if len(one.places) == 3]
    assert count_needed(of_three, np.array([3, 3, 3])).tolist() == [1, 2, 3]
    assert [one.write_threshold(2) for one in of_three] == ["1 of 3", "2 of 3", "3 of 3"]
    grouped = [one for one in found if one.is_grouped and len(one.places) == 3]
    assert [one.write_threshold(2) for one in grouped] == ["1 of 6", "1 of 3", "3 of 6", "2 of 3", "5 of 6", "3 of 3"]


def test_the_simplest_within_one_standard_error_is_chosen() -> None:
    random = np.random.default_rng(0)
    counts = np.full(40, 3.0)
    simple = random.uniform(1, 2, 40)
    noise = random.normal(0, 0.5, 40)
    noise -= noise.mean()
    candidates: list[Candidate] = list_candidates(["a", "b"], None)
    sorts = [candidates[0].complexity, candidates[-1].complexity]
    assert sorts == [(1, False), (2, False)]
    assert choose(np.stack([simple, simple + noise + 0.04]), counts, sorts) == 0
    assert choose(np.stack([simple, simple + noise + 0.5]), counts, sorts) == 1


def test_the_best_of_many_that_are_nothing_but_luck_is_not_chosen() -> None:
    random = np.random.default_rng(0)
    simple = random.uniform(1, 2, 40)
    lucky = random.normal(1.45, 1, (500, 40))
    sums, counts = np.vstack([simple, lucky]), np.full(40, 3.0)
    assert lucky.mean(axis=1).max() > simple.mean() + 0.3
    assert choose(sums, counts, [(1, False), *[(2, False)] * 500]) == 0


def test_q_tells_together_from_independently() -> None:
    right = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1]], bool)
    q = measure_likeness(right)
    assert q[0, 1] == 1
    assert q[0, 2] == 0
    assert q[0, 3] == -1
    assert np.isnan(q[0, 4])
