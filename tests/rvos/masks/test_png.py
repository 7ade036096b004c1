"""PNG files made from runs decode, in two libraries, to the masks they were made of."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from rvos.masks.mask_sequences import encode
from rvos.masks.png import encode_mask_pngs
from rvos.masks.runs import Runs


@st.composite
def sequences(draw: st.DrawFn) -> NDArray[np.bool_]:
    """Masks `(T, H, W)`: empty, full, noise, stripes, and runs longer than a match."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 40), st.sampled_from([1, 2, 7, 31, 257, 258, 259, 700])))
    masks = rng.random(shape) < draw(st.sampled_from([0.0, 0.0, 0.01, 0.5, 0.99, 1.0]))
    if draw(st.booleans()):
        masks[0, :, -1] = True
    if draw(st.booleans()):
        masks[-1, -1, :] = True
    if draw(st.booleans()):
        masks[-1, 0, : shape[2] // 2] = True
    return masks


@settings(deadline=None, max_examples=120)
@given(sequences(), st.booleans())
def test_files_decode_to_their_masks(masks: NDArray[np.bool_], from_runs: bool) -> None:
    size = (masks.shape[1], masks.shape[2])
    files = encode_mask_pngs(Runs.decode(encode(masks), size) if from_runs else Runs.from_masks(masks))
    assert len(files) == len(masks)
    for file, mask in zip(files, masks, strict=True):
        expected = mask.astype(np.uint8) * 255
        with Image.open(io.BytesIO(file)) as image:
            assert image.mode == "L"
            assert np.array_equal(np.asarray(image), expected)
        assert np.array_equal(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED), expected)


def test_runs_and_pixels_give_the_same_bytes() -> None:
    mask = np.random.default_rng(0).random((1, 50, 70)) < 0.3
    assert encode_mask_pngs(Runs.from_masks(mask)) == encode_mask_pngs(Runs.decode(encode(mask), (50, 70)))


def test_touching_and_empty_runs_are_one_run() -> None:
    """Run lengths of other programs may split a run: 3 background, 2 and 4 foreground, 11 background."""
    runs = Runs(np.array([3, 5, 5, 9, 9, 9]), 1, (4, 5))
    expected = np.zeros(20, bool)
    expected[3:9] = True
    (file,) = encode_mask_pngs(runs)
    with Image.open(io.BytesIO(file)) as image:
        assert np.array_equal(np.asarray(image) == 255, expected.reshape(5, 4).T)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (3000, 1), (720, 1280)], ids=str)
@pytest.mark.parametrize("value", [False, True])
def test_plain_masks_of_any_size(tmp_path: Path, size: tuple[int, int], value: bool) -> None:
    path = tmp_path / "00000.png"
    path.write_bytes(encode_mask_pngs(Runs.from_masks(np.full((1, *size), value)))[0])
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), np.full(size, 255 * value, np.uint8))
