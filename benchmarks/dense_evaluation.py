"""J and F the dense way: whole-frame NumPy maps, contours dilated with a disk by OpenCV.

Source: evaluation.md, sections 1 and 2.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def score_dense(truth: Mask, prediction: Mask) -> tuple[list[float], list[float]]:
    """Return J and F of every frame of masks `(T, H, W)`."""
    radius = math.ceil(0.008 * math.hypot(*truth.shape[1:]))
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk = (rows * rows + columns * columns <= radius * radius).astype(np.uint8)
    pairs = list(zip(truth, prediction, strict=True))
    return [_score_region(a, b) for a, b in pairs], [_score_contour(a, b, disk) for a, b in pairs]


def _score_region(truth: Mask, prediction: Mask) -> float:
    union = int(np.sum(truth | prediction))
    return int(np.sum(truth & prediction)) / union if union else 1.0


def _score_contour(truth: Mask, prediction: Mask, disk: NDArray[np.uint8]) -> float:
    of_truth, of_prediction = _find_contour(truth), _find_contour(prediction)
    near_truth = cv2.dilate(of_truth.astype(np.uint8), disk) > 0
    near_prediction = cv2.dilate(of_prediction.astype(np.uint8), disk) > 0
    n_truth, n_prediction = int(of_truth.sum()), int(of_prediction.sum())
    if not n_truth or not n_prediction:
        return float(n_truth == n_prediction)
    precision = int((of_prediction & near_truth).sum()) / n_prediction
    recall = int((of_truth & near_prediction).sum()) / n_truth
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _find_contour(mask: Mask) -> Mask:
    right, below, diagonal = np.zeros_like(mask), np.zeros_like(mask), np.zeros_like(mask)
    right[:, :-1] = mask[:, 1:]
    below[:-1] = mask[1:]
    diagonal[:-1, :-1] = mask[1:, 1:]
    contour = (mask ^ right) | (mask ^ below) | (mask ^ diagonal)
    contour[-1] = mask[-1] ^ right[-1]
    contour[:, -1] = mask[:, -1] ^ below[:, -1]
    contour[-1, -1] = False
    return contour
