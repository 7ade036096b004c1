"""J and F equal the official values, and a dense procedure written on its own."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.evaluation import j_and_f, summarise
from rvos.evaluation.columns import pack_columns
from rvos.evaluation.measures import outline
from rvos.evaluation.outlines import Outlines, count_pairs, matching_radius, trace_words

CASES = Path(__file__).parent / "cases"
Masks = NDArray[np.bool_]


def dense_contour(mask: Masks) -> Masks:
    continued = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, below, diagonal = continued[:-1, 1:], continued[1:, :-1], continued[1:, 1:]
    return (mask != right) | (mask != below) | (mask != diagonal)


def dense_scores(truth: Masks, prediction: Masks, radius: int) -> tuple[float, float]:
    union = int((truth | prediction).sum())
    j = int((truth & prediction).sum()) / union if union else 1.0
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (rows**2 + columns**2 <= radius**2).astype(np.uint8)
    of_truth, of_prediction = dense_contour(truth), dense_contour(prediction)
    near_truth = cv2.dilate(of_truth.astype(np.uint8), disk) > 0
    near_prediction = cv2.dilate(of_prediction.astype(np.uint8), disk) > 0
    if not of_truth.any() or not of_prediction.any():
        return j, float(of_truth.any() == of_prediction.any())
    precision = (of_prediction & near_truth).sum() / of_prediction.sum()
    recall = (of_truth & near_prediction).sum() / of_truth.sum()
    return j, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[Masks, Masks]:
    """Two masks of the same frames: noise, rectangles, empty or full ones, sizes around the word length."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_frames = draw(st.integers(1, 3))
    shape = (n_frames, draw(st.integers(1, 40)), draw(st.sampled_from([1, 2, 17, 63, 64, 65, 127, 128, 130, 200])))

    def one() -> Masks:
        masks = rng.random(shape) < draw(st.sampled_from([0.0, 0.0, 0.01, 0.5, 1.0]))
        if draw(st.booleans()):
            top, left = rng.integers(0, shape[1]), rng.integers(0, shape[2])
            masks[0, top : top + rng.integers(1, 30), left : left + rng.integers(1, 90)] = True
        return masks

    return one(), one()


def trace(masks: Masks, radius: int) -> tuple[Outlines, ...]:
    return trace_words(pack_columns(masks), (masks.shape[2], masks.shape[1]), radius=radius)


@settings(deadline=None, max_examples=60)
@given(mask_pairs(), st.sampled_from([1, 2, 5, 12, 64, 70]))
def test_counts_equal_those_of_the_dense_procedure(pair: tuple[Masks, Masks], radius: int) -> None:
    truth, prediction = pair
    counts = count_pairs(trace(truth, radius), trace(prediction, radius))
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (rows**2 + columns**2 <= radius**2).astype(np.uint8)
    for frame in range(len(truth)):
        of_truth, of_prediction = dense_contour(truth[frame]), dense_contour(prediction[frame])
        near = cv2.dilate(np.pad(of_prediction.astype(np.uint8), radius), disk)[radius:-radius, radius:-radius] > 0
        assert counts.truth_length[frame] == of_truth.sum()
        assert counts.prediction_length[frame] == of_prediction.sum()
        assert counts.matched_truth[frame] == (of_truth & near).sum()
        assert counts.union[frame] == (truth[frame] | prediction[frame]).sum()


@settings(deadline=None, max_examples=40)
@given(mask_pairs(), st.booleans())
def test_j_and_f_equal_the_dense_procedure(pair: tuple[Masks, Masks], with_void: bool) -> None:
    truth, prediction = pair
    void = np.random.default_rng(0).random(truth.shape) < 0.2 if with_void else None
    j, f = j_and_f(truth, prediction, void)
    counted = np.ones_like(truth) if void is None else ~void
    radius = matching_radius((truth.shape[1], truth.shape[2]))
    for frame in range(len(truth)):
        expected = dense_scores(truth[frame] & counted[frame], prediction[frame] & counted[frame], radius)
        assert (j[frame], f[frame]) == pytest.approx(expected, abs=1e-12)


def test_official_pairs_are_met_exactly() -> None:
    folder = CASES
    arrays = np.load(folder / "pairs.npz")
    sequences = json.loads((folder / "pairs.json").read_text())["sequences"]
    for name, entry in sequences.items():

        def unpack(part: str, name: str = name, width: int = entry["width"]) -> Masks:
            return np.unpackbits(arrays[f"{name}/{part}"], axis=-1, count=width).astype(bool)

        assert matching_radius((entry["height"], entry["width"])) == entry["radius"]
        void = unpack("void") if entry["void"] else None
        j, f = j_and_f(unpack("gt"), unpack("pred"), void)
        np.testing.assert_allclose(j, arrays[f"{name}/J"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(f, arrays[f"{name}/F"], rtol=0, atol=1e-9)
        counts = count_pairs(outline(unpack("gt"), void), outline(unpack("pred"), void))
        assert np.array_equal(counts.matched_truth, arrays[f"{name}/matched_gt"])
        assert np.array_equal(counts.matched_prediction, arrays[f"{name}/matched_pred"])
        for values, unit in ((j, "J"), (f, "F")):
            statistics = summarise(values)
            assert statistics.mean == pytest.approx(entry[unit]["mean"], abs=1e-9)
            assert statistics.recall == pytest.approx(entry[unit]["recall"], abs=1e-9)
            assert statistics.decay == pytest.approx(entry[unit]["decay"], abs=1e-9)


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [(0, 0, (1, 1)), (0, 1, (0, 1)), (1, 1, (1, 1))],
    ids=["empty, empty", "empty, full", "full, full"],
)
def test_empty_and_full_masks(truth: int, prediction: int, expected: tuple[float, float]) -> None:
    j, f = j_and_f(np.full((1, 30, 40), truth, bool), np.full((1, 30, 40), prediction, bool))
    assert (j[0], f[0]) == expected


def test_one_stray_pixel_in_an_empty_frame_costs_everything() -> None:
    prediction = np.zeros((1, 30, 40), bool)
    prediction[0, 10, 10] = True
    j, f = j_and_f(np.zeros((1, 30, 40), bool), prediction)
    assert (j[0], f[0]) == (0, 0)


def test_inputs_stay_unchanged_and_may_be_views() -> None:
    rng = np.random.default_rng(1)
    truth, prediction = rng.random((2, 60, 3, 50)) < 0.3
    before = truth.copy()
    j, f = j_and_f(truth.transpose(1, 0, 2), prediction.transpose(1, 0, 2))
    assert np.array_equal(truth, before)
    expected = j_and_f(truth.transpose(1, 0, 2).copy(), prediction.transpose(1, 0, 2).copy())
    assert np.array_equal(j, expected[0])
    assert np.array_equal(f, expected[1])


@pytest.mark.parametrize("shape", [(2, 30, 40), (1, 30, 41), (30, 40)], ids=str)
def test_unequal_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="same frames and size"):
        j_and_f(np.zeros((1, 30, 40), bool), np.zeros(shape, bool))


def test_void_of_another_shape_is_refused() -> None:
    masks = np.zeros((1, 30, 40), bool)
    with pytest.raises(InputError, match="void"):
        j_and_f(masks, masks, np.zeros((1, 40, 30), bool))


@pytest.mark.parametrize(
    ("size", "radius"), [((480, 854), 8), ((720, 1280), 12), ((64, 64), 1), ((75, 100), 1), ((300, 400), 4)], ids=str
)
def test_radius_follows_the_diagonal(size: tuple[int, int], radius: int) -> None:
    assert matching_radius(size) == radius


def test_variance_tells_steady_from_shaky() -> None:
    assert summarise(np.array([0.5, 0.5, 0.5])).variance == 0
    assert summarise(np.array([0.0, 1.0])).variance == 0.25
    assert math.isnan(summarise(np.zeros(0)).mean)
