"""Mask sequences keep their masks, and say what does not belong together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco

from rvos.errors import InputError
from rvos.masks.frame_queries import FrameQueries
from rvos.masks.mask_sequences import MaskSequence, SoftMaps, decode, encode
from rvos.masks.runs import Runs


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 30), st.integers(1, 30), st.floats(0, 1))
def test_run_lengths_are_those_of_the_coco_library(seed: int, t: int, height: int, width: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((t, height, width)) < share
    masks[rng.integers(t)] = rng.random() < 0.5
    expected = coco.encode(np.asfortranarray(np.moveaxis(masks, 0, -1).astype(np.uint8)))
    runs = encode(masks)
    assert list(runs) == [rle["counts"] for rle in expected]
    assert np.array_equal(decode(runs, (height, width)), masks)
    assert Runs.from_masks(masks).areas().tolist() == masks.sum(axis=(1, 2)).tolist()


def test_views_and_bytes_are_encoded_alike() -> None:
    masks = np.random.default_rng(0).random((3, 20, 30)) < 0.4
    expected = encode(masks)
    assert encode(np.asfortranarray(masks)) == expected
    assert encode(masks.astype(np.uint8) * 255) == expected  # type: ignore[arg-type]
    assert encode(np.repeat(masks, 2, axis=0)[::2]) == expected


@pytest.mark.parametrize("values", [np.array([[[0.0, 1.0]]]), np.array([[[0, 1]]]), np.array([[[0, 255]]], np.uint8)])
def test_numbers_of_masks_are_taken(values: NDArray[Any]) -> None:
    assert decode(encode(values), (1, 2)).tolist() == [[[False, True]]]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.array([[[0.1, 0.7]]]), id="probabilities"),
        pytest.param(np.array([[[-3.0, 1.0]]]), id="logits"),
        pytest.param(np.array([[[0, 1, 2]]]), id="labels"),
        pytest.param(np.array([[[-1, 0, 1]]]), id="signs"),
        pytest.param(np.array([[[0.0, np.nan]]]), id="not a number"),
        pytest.param(np.array([[["0", "1"]]]), id="text"),
        pytest.param(np.zeros((2, 2), bool), id="one mask"),
    ],
)
def test_arrays_that_are_no_masks_are_refused(values: NDArray[Any]) -> None:
    with pytest.raises(InputError, match=r"masks|\(T, H, W\)"):
        encode(values)
    with pytest.raises(InputError, match=r"^v/0: .*(masks|\(T, H, W\))"):
        MaskSequence.from_masks(values, video="v", expression="0", frames=("0",), scores=np.zeros(1, np.float32))


@pytest.mark.parametrize("field", ["scores", "propagation"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(field: str, value: float) -> None:
    with pytest.raises(InputError, match=r"v/0: .* not finite"):
        a_sequence(**{field: np.array([0, value], np.float32)})


def test_presence_is_a_probability_or_unknown_in_each_frame() -> None:
    known = a_sequence(presence=np.array([np.nan, 0.25], np.float32))
    assert known.highest_presence == 0.25
    assert a_sequence(presence=np.full(2, np.nan, np.float32)).highest_presence is None
    assert a_sequence().highest_presence is None
    for wrong in (np.array([1.5, 0], np.float32), np.zeros(3, np.float32), np.zeros(2)):
        with pytest.raises(InputError, match=r"v/0: presence is float.* give a float32 from 0 to 1 for each of the 2"):
            a_sequence(presence=wrong)


def test_soft_maps_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="not finite"):
        SoftMaps(np.full((1, 2, 2), np.nan, np.float16), 0, 1)


def a_sequence(**changes: object) -> MaskSequence:
    values: dict[str, object] = {
        "video": "v",
        "expression": "0",
        "frames": ("a", "b"),
        "size": (2, 3),
        "runs": encode(np.zeros((2, 2, 3), bool)),
        "scores": np.zeros(2, np.float32),
    }
    return MaskSequence(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": ()}, "at least one frame"),
        ({"frames": ("a",)}, "1 frame but 2 masks"),
        ({"scores": np.zeros(3, np.float32)}, r"scores of shape \(3,\)"),
        ({"scores": np.zeros(2)}, "float64"),
        ({"key_frame": 2}, "key frame 2"),
        ({"queries": FrameQueries(2, (), np.zeros(0, np.float32))}, "queries of frame 2"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"v/0: .*{message}"):
        a_sequence(**changes)


@pytest.mark.parametrize("scores", [[0.5], [0.5, np.nan]])
def test_queries_have_one_finite_score_each(scores: list[float]) -> None:
    with pytest.raises(InputError, match="frame 0: "):
        FrameQueries(0, encode(np.zeros((2, 2, 3), bool)), np.array(scores, np.float32))


def test_the_key_frame_is_stated_or_the_first_best_score() -> None:
    assert a_sequence(scores=np.array([0.5, 0.5], np.float32)).pick_key_frame() == 0
    assert a_sequence(scores=np.array([0.25, 0.5], np.float32)).pick_key_frame() == 1
    assert a_sequence(scores=np.array([0.25, 0.5], np.float32), key_frame=0).pick_key_frame() == 0


@settings(deadline=None, max_examples=50)
@given(st.floats(-20, 20, width=32))
def test_soft_values_are_kept_to_half_a_level_inside_their_limits(value: float) -> None:
    soft = SoftMaps.quantise(np.full((1, 2, 2), value, np.float32))
    assert np.abs(soft.dequantise() - np.clip(value, -8, 8)).max() <= 16 / 255 / 2 + 1e-5
