"""Rounds of questions: what judges are shown, how they vote, and what becomes of what stays uncertain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import comb, sqrt
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.judges.base import Question, Verdict, Word
from runners.judges.rounds import Judgement, RoundSettings, count_sheets, decide, judge_sentence, narrow
from rvos.masks.mask_sequences import encode
from rvos.masks.tracklets import Tracklet
from rvos.videos import Expression, Video

N_FRAMES = 24
VIDEO = Video("v", tuple(map(str, range(N_FRAMES))), (), (Path("frame.jpg"),) * N_FRAMES)
SENTENCE = Expression("0", 'the "left" cat')


def make_candidates(n: int, *, seen: Sequence[range] = ()) -> list[Tracklet]:
    """Return candidates of one pixel, in all frames or in some."""
    found = []
    for place in range(n):
        masks = np.zeros((N_FRAMES, 1, n), np.bool_)
        masks[list(seen[place]) if seen else slice(None), 0, place] = True
        chances = np.ones(N_FRAMES, np.float32)
        found.append(Tracklet("v", f"c{place}", VIDEO.frames, (1, n), encode(masks), chances, 1.0, 0))
    return found


def draw(candidates: Mapping[int, Tracklet], frames: Sequence[int]) -> np.ndarray:
    return np.zeros((1, 1, 3), np.uint8)


class Answering:
    """A judge that says the same of every candidate in every round, and keeps what it was asked."""

    def __init__(self, *rounds: Sequence[Word]) -> None:
        self.rounds, self.asked = rounds, list[Question]()

    def __call__(self, question: Question) -> Mapping[int, Verdict]:
        self.asked.append(question)
        frames = int(question.text.split("shows ")[1].split()[0])
        words = self.rounds[min(len({one.text for one in self.asked}), len(self.rounds)) - 1]
        assert frames >= 1
        return {number: Verdict(words[number - 1]) for number in question.numbers}


def judge(
    candidates: Sequence[Tracklet], *judges: Answering, scores: Sequence[float] = (), **settings: int
) -> Judgement:
    scores = scores or [0.5] * len(candidates)
    rules = RoundSettings(**settings)
    return judge_sentence(VIDEO, SENTENCE, candidates, scores, judges, draw=draw, settings=rules)


A, R, U = "accept", "reject", "uncertain"


def test_what_is_accepted_answers_together() -> None:
    one = Answering([A, R, A])
    found = judge(make_candidates(3), one)
    assert found.accepted == (0, 2)
    assert found.shares == (1.0, 0.0, 1.0)
    assert len(one.asked) == 1


def test_the_question_holds_the_sentence_the_numbers_and_the_form_of_the_answer() -> None:
    one = Answering([A, R])
    judge(make_candidates(2), one)
    (question,) = one.asked
    assert '"the \\"left\\" cat"' in question.text
    assert "16 frames" in question.text
    assert '{"verdicts": [{"candidate": NUMBER' in question.text
    assert (question.numbers, question.names) == ((1, 2), ("c0", "c1"))


def test_uncertain_ones_alone_are_asked_about_again_in_fewer_frames() -> None:
    seen = [range(N_FRAMES), range(4, 10), range(8, 12)]
    one = Answering([R, U, U], [R, A, U], [R, A, R])
    found = judge(make_candidates(3, seen=seen), one)
    assert [question.numbers for question in one.asked] == [(1, 2, 3), (2, 3), (3,)]
    assert [(own.frames[0], own.frames[-1]) for own in found.rounds] == [(0, 23), (4, 11), (8, 11)]
    assert found.accepted == (1,)


def test_no_more_rounds_than_wanted() -> None:
    one = Answering([U])
    assert len(judge(make_candidates(1), one, rounds=2).rounds) == 2


def test_uncertain_to_the_end_is_rejected_where_another_is_accepted_else_the_best_score_answers() -> None:
    three = make_candidates(3)
    assert judge(three, Answering([A, U, R]), scores=[0.1, 0.9, 0.9]).accepted == (0,)
    found = judge(three, Answering([U, U, R]), scores=[0.1, 0.5, 0.9])
    assert (found.accepted, found.by_score) == ((1,), True)
    assert judge(three, Answering([U, U, R]), scores=[0.5, 0.5, 0.9]).accepted == (0,)


def test_all_rejected_is_no_answer() -> None:
    assert judge(make_candidates(2), Answering([R, R])).accepted == ()
    assert judge([], Answering([])).rounds == ()


def test_more_candidates_than_a_sheet_shows_are_split() -> None:
    one = Answering([R] * 12)
    judge(make_candidates(12), one)
    assert [question.numbers for question in one.asked] == [tuple(range(1, 11)), (11, 12)]
    assert "2 other candidates of this video are not shown" in one.asked[0].text
    assert count_sheets(12) == len(one.asked)


@pytest.mark.parametrize(
    ("words", "decided"),
    [
        ([A], A), ([R], R), ([U], U), ([A, R], U), ([A, U], U), ([A, A], A), ([A, A, R], A), ([A, R, R], R),
        ([A, R, U], U), ([A, A, R, R], U), ([A, A, A, R], A),
    ],
)  # fmt: skip
def test_more_than_half_of_the_judges_decide(words: list[Word], decided: Word) -> None:
    assert decide(words) == decided


@given(st.data())
def test_a_narrower_part_lies_inside_and_keeps_where_candidates_are_seen(data: st.DataObject) -> None:
    areas = np.array(data.draw(st.lists(st.lists(st.integers(0, 5), min_size=9, max_size=9), min_size=1, max_size=3)))
    first = data.draw(st.integers(0, 8))
    scope = (first, data.draw(st.integers(first + 1, 9)))
    found = narrow(scope, areas.astype(np.float64))
    assert scope[0] <= found[0] < found[1] <= scope[1]
    inside = areas[:, scope[0] : scope[1]]
    if inside.any():
        assert areas[:, found[0] : found[1]].any()
        assert found != scope or scope[1] - scope[0] == 1


@pytest.mark.parametrize("chance", [0.7, 0.8, 0.9])
@pytest.mark.parametrize("n_judges", [1, 3])
def test_judges_choose_as_often_right_as_theory_says(chance: float, n_judges: int) -> None:
    """Each verdict is right with a chance of its own; a choice is right where all candidates are judged right.

    Twelve comparisons are made: two standard errors would be missed by chance every other time.
    """
    n_candidates, n_sentences = 4, 20_000 // (4 * n_judges) + 1
    random = Random(n_judges * 1000 + round(100 * chance))

    def ask(question: Question) -> Mapping[int, Verdict]:
        right = {number: random.random() < chance for number in question.numbers}
        return {number: Verdict(A if (number == 2) == own else R) for number, own in right.items()}

    candidates = make_candidates(n_candidates)
    answers = [
        judge_sentence(
            VIDEO, SENTENCE, candidates, [0.5] * 4, [ask] * n_judges, draw=draw, settings=RoundSettings()
        ).accepted
        for _ in range(n_sentences)
    ]
    each = sum(
        comb(n_judges, k) * chance**k * (1 - chance) ** (n_judges - k) for k in range(n_judges // 2 + 1, n_judges + 1)
    )
    single = [(place in answer) == (place == 1) for answer, place in product(answers, range(n_candidates))]
    for found, theory in ((single, each), ([answer == (1,) for answer in answers], each**n_candidates)):
        assert abs(np.mean(found) - theory) < 3 * sqrt(theory * (1 - theory) / len(found))
