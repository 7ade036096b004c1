"""Sizes, mirroring and resizing, with values from the specifications."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from propagate.engines.aot.frames import pick_labels, prepare_labels, to_probabilities
from propagate.engines.inputs import prepare_frame
from propagate.engines.protocol import Augmentation, list_augmentations

CPU = torch.device("cpu")


def test_each_scale_is_followed_by_its_mirror() -> None:
    assert list_augmentations((0.8, 1.0), flip=True) == (
        Augmentation(0.8, False),
        Augmentation(0.8, True),
        Augmentation(1.0, False),
        Augmentation(1.0, True),
    )


def test_frames_are_normalised_and_mirrored() -> None:
    frame = np.zeros((16, 16, 3), dtype=np.uint8)
    frame[:, 0] = 255
    image = prepare_frame(frame, (16, 16), mirrored=True, device=CPU)
    assert image.shape == (1, 3, 16, 16)
    torch.testing.assert_close(image[0, :, 3, 15], torch.tensor([(1 - m) / d for m, d in _NORMS]))
    torch.testing.assert_close(image[0, :, 3, 0], torch.tensor([-m / d for m, d in _NORMS]))


_NORMS = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))


def test_resize_keeps_the_overshoot() -> None:
    frame = np.zeros((32, 32, 3), dtype=np.uint8)
    frame[:, 16:] = 255
    image = prepare_frame(frame, (80, 80), mirrored=False, device=CPU)
    assert image[0, 0].max() > (1 - 0.485) / 0.229 + 1e-3


def test_labels_are_mirrored_before_the_resize() -> None:
    labels = torch.arange(5)[None, None].expand(1, 4, 5)
    plain, mirrored = (prepare_labels(labels, (4, 3), mirrored=m)[0, 0].tolist() for m in (False, True))
    assert plain == [0, 1, 3]
    assert mirrored == [4, 3, 1]


def test_nearest_positions_are_float32() -> None:
    # 150 -> 145: at row 58 exact arithmetic gives 60, the float32 scale 59.
    labels = torch.arange(150)[None, :, None].expand(1, 150, 2)
    exact = [row * 150 // 145 for row in range(145)]
    found = prepare_labels(labels, (145, 2), mirrored=False)[0, :, 0].tolist()
    assert found != exact
    assert all(0 <= a - b <= 1 for a, b in zip(exact, found, strict=True))


def test_probabilities_are_mirrored_back() -> None:
    logits = torch.zeros(1, 2, 2, 4)
    logits[:, 1, :, 0] = 5
    probabilities = to_probabilities(logits, (2, 4), align_corners=True, mirrored=True)
    assert probabilities[0, 1, 0].argmax() == 3


@pytest.mark.parametrize("channels", [2, 3, 11])
def test_labels_are_the_argmax_and_ties_go_to_the_first(channels: int) -> None:
    torch.manual_seed(0)
    probabilities = torch.randint(0, 4, (channels, 40, 50)).float()
    expected = np.argmax(probabilities.numpy(), axis=0)  # NumPy promises the first of equal values
    np.testing.assert_array_equal(pick_labels(probabilities).numpy(), expected)
