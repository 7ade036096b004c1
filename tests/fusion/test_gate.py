"""Gates: features of answers, thresholds counted in one pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fusion.gate import (
    KNOWN,
    Answers,
    count,
    find_best,
    list_thresholds,
    measure_features,
    score_counts,
    select_features,
    sum_counts,
)
from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskSequence


def sequence(left: int | None, score: float, width: int = 4) -> MaskSequence:
    masks = np.zeros((2, 4, 20), bool)
    if left is not None:
        masks[0, :, left : left + width] = True
    scores = np.array([score, score / 2], np.float32)
    return MaskSequence.from_masks(masks, video="v", expression="0", frames=("0", "1"), scores=scores)


def measure(answer: int | None, *members: int | None) -> dict[str, float]:
    own = [{"0": sequence(left, 0.8)} for left in members]
    (row,) = measure_features({"0": sequence(answer, 0.5)}, own, ["0"])
    return dict(zip(KNOWN, row.tolist(), strict=True))


def test_members_that_agree_on_the_answer() -> None:
    found = measure(0, 0, 0, 0)
    assert (found["agreement"], found["support"], found["lead"]) == (1.0, 1.0, 1.0)
    assert found["mean_score"] == pytest.approx(0.6)
    assert found["max_score"] == pytest.approx(0.8)
    assert found["area"] == pytest.approx(16 / 160)
    assert found["presence"] == 0.5


def test_members_that_agree_on_another_place() -> None:
    found = measure(0, 0, 10, 10)
    assert found["agreement"] == pytest.approx(1 / 3)
    assert found["support"] == pytest.approx(1 / 3)
    assert found["lead"] == pytest.approx(1 / 3 - 2 / 3)


def test_an_empty_answer_has_nothing() -> None:
    found = measure(None, None, None)
    assert {name: found[name] for name in ("agreement", "area", "presence", "support", "lead")} == dict.fromkeys(
        ("agreement", "area", "presence", "support", "lead"), 0.0
    )


def test_presence_of_the_concept_is_the_mean_of_the_members_that_have_one() -> None:
    plain = sequence(0, 0.8)
    told = [replace(plain, presence=np.array([value, np.nan], np.float32)) for value in (0.25, 0.75)]
    members = [{"0": one} for one in (plain, *told)]
    features = measure_features({"0": plain}, members, ["0"])
    assert select_features(features, ["concept"]).tolist() == [[0.5]]
    nobody = measure_features({"0": plain}, [{"0": plain}] * 2, ["0"])
    assert select_features(nobody, ["area"]).tolist() == [[0.1]]
    with pytest.raises(FusionError, match="feature concept: no member says whether a frame shows what"):
        select_features(nobody, ["area", "concept"])


def test_one_member_is_refused() -> None:
    with pytest.raises(FusionError, match="at least two"):
        measure(0, 0)


def test_features_are_chosen_by_name() -> None:
    values = np.arange(7.0)[None]
    assert select_features(values, ["area", "agreement"]).tolist() == [[3.0, 0.0]]


ANSWERS = Answers(
    has_target=np.array([True, True, False, False]),
    is_empty=np.array([False, True, False, True]),
    kept=np.array([0.8, 0.1, 0.0, 1.0]),
    emptied=np.array([0.1, 0.1, 1.0, 1.0]),
)
CHANCES = np.array([0.9, 0.8, 0.2, 0.1])


def test_without_a_gate_the_answers_stay_as_they_are() -> None:
    score = score_counts(count(ANSWERS, CHANCES, 0.0))
    assert (score.n_accuracy, score.t_accuracy) == (50.0, 50.0)
    assert score.j_and_f == pytest.approx(100 * (0.8 + 0.1 + 0.0 + 1.0) / 4)
    assert score.final == pytest.approx((50 + 50 + score.j_and_f) / 3)


def test_the_best_threshold_empties_what_has_no_target() -> None:
    threshold = find_best([ANSWERS], [CHANCES])
    assert 0.2 < threshold <= 0.8
    assert score_counts(sum_counts([ANSWERS], [CHANCES], threshold)[0]).n_accuracy == 100.0


def test_thresholds_lie_between_the_chances() -> None:
    thresholds = list_thresholds([CHANCES])
    kept = [int((threshold <= CHANCES).sum()) for threshold in thresholds]
    assert kept == [4, 3, 2, 1, 0]


def test_a_set_whose_sentences_all_have_targets_misses_none() -> None:
    """It has nothing to miss: neither the accuracy nor Final is known, and none is made up."""
    answers = Answers(np.array([True]), np.array([False]), np.array([0.5]), np.array([0.0]))
    score = score_counts(count(answers, np.array([1.0]), 0.5))
    assert (score.n_accuracy, score.t_accuracy, score.final) == (None, 100.0, None)
    assert score.goal == score.j_and_f == 50.0
