"""Fits of logistics, held out by videos, and the files that keep them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fusion.assignment import ScoreFit
from fusion.fitted_files import FittedFile, read_fitted, write_fitted
from fusion.fitting import Logistic, PairFit, cross_validate, fit_logistic, fit_pairs, fit_scores
from rvos.errors import FusionError, InputError


def draw(n: int, slope: float, intercept: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, n)
    return x[:, None], random.random(n) < 1 / (1 + np.exp(-(slope * x + intercept)))


def test_the_logistic_that_drew_the_labels_is_found() -> None:
    fit = fit_logistic(*draw(20000, 3.0, -0.5))
    assert fit.weights[0] == pytest.approx(3.0, abs=0.15)
    assert fit.intercept == pytest.approx(-0.5, abs=0.1)


def test_separable_labels_stay_finite() -> None:
    x = np.linspace(-1, 1, 20)
    fit = fit_logistic(x[:, None], x > 0)
    assert 0 < fit.weights[0] < 100
    assert (fit.chances(x[:, None]) > 0.5).tolist() == (x > 0).tolist()


def test_a_constant_feature_says_nothing() -> None:
    fit = fit_logistic(np.ones((4, 1)), np.array([True, False, False, False]))
    assert fit.chances(np.ones((1, 1)))[0] == pytest.approx(0.25)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(FusionError, match="feature 1 of row 2"):
        fit_logistic(np.array([[0.0], [value]]), np.array([True, False]))


def test_labels_that_are_all_alike_are_refused() -> None:
    with pytest.raises(FusionError, match="all labels are alike"):
        fit_logistic(np.array([[0.0], [1.0]]), np.array([True, True]))


def test_a_member_that_is_always_right_gets_its_share() -> None:
    assert fit_scores([0.1, 0.9], [True, True]).chance(0.5) == pytest.approx(0.75)


def test_hits_of_even_odds_lie_between_the_two_kinds() -> None:
    random = np.random.default_rng(0)
    same = random.random(4000) < 0.15
    hits = np.clip(np.where(same, 0.6, 0.2) + random.normal(0, 0.2, 4000), 0, 1)
    fit = fit_pairs(hits.tolist(), same.tolist())
    assert 0.35 < fit.even < 0.45
    assert fit.slope > 0


def test_hits_that_speak_against_one_object_are_refused() -> None:
    with pytest.raises(FusionError, match="not hit more often"):
        fit_pairs([0.9, 0.8, 0.1, 0.2], [False, False, True, True])


def test_a_video_is_judged_by_fits_that_did_not_see_it() -> None:
    videos = list(range(20))
    fit, fitted, held_out = cross_validate(
        videos, fit=lambda own: frozenset(own), judge=lambda seen, video: np.array([float(video in seen)])
    )
    assert fit == frozenset(videos)
    assert [v.tolist() for v in fitted] == [[1.0]] * 20
    assert [v.tolist() for v in held_out] == [[0.0]] * 20


def test_presence_is_fitted_where_it_is_known() -> None:
    # Scores tell nothing, presence everything.
    scores, right = [0.5, 0.6] * 10, [False, False, True, True] * 5
    fit = fit_scores(scores, right, [0.1, 0.1, 0.9, 0.9] * 5)
    assert fit.presence > 1
    assert fit.chance(0.5, 0.9) > 0.7 > 0.3 > fit.chance(0.6, 0.1)
    assert fit_scores(scores, right).presence == 0.0


def test_fewer_than_twenty_videos_need_force() -> None:
    def fit(own: object) -> None:
        return None

    def judge(_: None, video: int) -> np.ndarray:
        return np.array([1.0])

    with pytest.raises(FusionError, match="19 videos to fit on, expected at least 20"):
        cross_validate(range(19), fit, judge)
    assert len(cross_validate(range(3), fit, judge, force=True)[2]) == 3
    with pytest.raises(FusionError, match="at least 2"):
        cross_validate(range(1), fit, judge, force=True)


FITTED = FittedFile(
    ("soc", "mutr"),
    {"soc": ScoreFit(2.5, -1.0), "mutr": ScoreFit(3.0, -2.0, 1.5)},
    PairFit(2.9, 0.4),
    ("soc", "mutr"),
    Logistic((1.0, -2.0), 0.25),
    ("area", "mean_score"),
    0.5,
    {"videos": 40},
)


def test_a_fitted_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_fitted(tmp_path / "fit.json", FITTED)
    assert read_fitted(tmp_path / "fit.json") == FITTED


def test_fits_of_other_members_are_refused() -> None:
    with pytest.raises(InputError, match=r"stage2: fitted for soc, mutr, not for soc, uninext"):
        FITTED.fits_of(["soc", "uninext"], "stage2")
    assert FITTED.fits_of(["mutr"], "stage2") == (ScoreFit(3.0, -2.0, 1.5),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2 of fitted files, expected 1"),
        ({"format": "other"}, "not a file of `rvos fit`"),
        ({"members": 3}, "a whole number, expected a list"),
        ({"scores": {"soc": {"slope": float("nan"), "intercept": 0}}}, "NaN is no number"),
        ({"scores": {"soc": {"slope": 1e300, "intercept": 0}}}, "expected a finite number"),
        ({"pairs": {"slope": "steep"}}, "slope is 'steep'"),
        ({"gate": {"weights": [1], "intercept": 0}}, "a list, expected a mapping"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_changed_file_is_refused_in_one_line(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "fit.json"
    write_fitted(path, FITTED)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message):
        read_fitted(path)
