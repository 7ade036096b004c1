"""The ensemble of grounding models: a mean of probabilities over identical tracklets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.tracklet_scores import TrackletScores, average_scores
from rvos.errors import FusionError


def _scores(*rows: tuple[float, ...], name: str = "a", tracklets: str = "f00") -> TrackletScores:
    return TrackletScores(name, tracklets, np.array(rows))


def test_the_mean_of_probabilities_is_not_a_vote() -> None:
    models = [_scores((0.50, 0.30, 0.20)), _scores((0.20, 0.70, 0.10)), _scores((0.45, 0.40, 0.15))]
    found = average_scores(models)
    np.testing.assert_allclose(found, [[0.3833, 0.4667, 0.1500]], atol=5e-5)
    # Two of the three prefer the first.
    assert [int(model.values.argmax()) for model in models] == [0, 1, 0]
    assert int(found.argmax()) == 1


def test_weights_count_by_their_share() -> None:
    models = [_scores((1.0, 0.0)), _scores((0.0, 1.0))]
    np.testing.assert_allclose(average_scores(models, [3, 1]), [[0.75, 0.25]])
    np.testing.assert_allclose(average_scores(models, [6, 2]), [[0.75, 0.25]])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5))
def test_the_mean_lies_between_the_models(rows: list[tuple[float, float]]) -> None:
    found = average_scores([_scores(row) for row in rows])[0]
    values = np.array(rows)
    assert (found >= values.min(0) - 1e-12).all()
    assert (found <= values.max(0) + 1e-12).all()


def test_scores_of_other_tracklets_are_refused() -> None:
    with pytest.raises(FusionError, match=r"b: scores .* of the tracklets 0ff, but a has .* of f00"):
        average_scores([_scores((0.5, 0.5)), _scores((0.5, 0.5), name="b", tracklets="0ff")])


def test_scores_of_other_sentences_are_refused() -> None:
    with pytest.raises(FusionError, match="score the same tracklets"):
        average_scores([_scores((0.5, 0.5)), _scores((0.5, 0.5), (0.1, 0.9))])


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    with pytest.raises(FusionError, match="weights"):
        average_scores([_scores((0.5, 0.5)), _scores((0.5, 0.5))], weights)


def test_no_model_is_refused() -> None:
    with pytest.raises(FusionError, match="no model"):
        average_scores([])


def test_no_tracklet_has_no_score() -> None:
    assert average_scores([TrackletScores("a", "", np.zeros((3, 0)))]).shape == (3, 0)
