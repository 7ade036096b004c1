"""Where a tracklet is over time, in numbers: place, size, outline, and how they change; no pixel of the frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_BORDER = 0.08
"""Part of a side over which a box is close to the frame's border."""
_FAR = 4
"""A far frame is this part of the video away."""
_SMALLEST = 1e-4
_STEP_SCALE = 8.0
_WAY_SCALE = 2.0
_N_PLACE = 14
_N_CHANGE = 3
_N_WHOLE = 10
PATH_FEATURES = _N_PLACE + 6 * _N_CHANGE + _N_CHANGE + _N_WHOLE


def describe_paths(masks: NDArray[np.bool_]) -> Floats:
    """Return the path features `(T, P, PATH_FEATURES)` of masks `(T, P, H, W)`; zero but for the time where hidden.

    By groups: what is seen in the frame; changes to the neighbouring frames in which the tracklet is seen, to those a
    quarter of the video away, to its first and from its last one; the change over the whole video; and what sums a
    path up. A change is that of centre and logarithmic size.
    """
    n_frames, n_tracklets = masks.shape[:2]
    place = _describe_places(masks.reshape(-1, *masks.shape[2:])).reshape(n_frames, n_tracklets, -1)
    result = np.zeros((n_frames, n_tracklets, PATH_FEATURES), np.float32)
    for tracklet in range(n_tracklets):
        result[:, tracklet] = _describe_path(place[:, tracklet])
    return result


def _describe_places(masks: NDArray[np.bool_]) -> Floats:
    """Return for masks `(N, H, W)`: seen, centre, log sides and size, nearness of four borders, outline; time is 0."""
    height, width = masks.shape[1:]
    result = np.zeros((len(masks), _N_PLACE), np.float32)
    seen = np.flatnonzero(masks.any((1, 2)))
    if not len(seen):
        return result
    shown = masks[seen]
    columns, rows = np.asarray(shown.any(1)), np.asarray(shown.any(2))
    left, right = columns.argmax(1) / width, 1 - columns[:, ::-1].argmax(1) / width
    top, bottom = rows.argmax(1) / height, 1 - rows[:, ::-1].argmax(1) / height
    area, centre, spread = _moments(shown)
    edges = np.stack([left, 1 - right, top, 1 - bottom], 1)
    result[seen, 0] = 1
    result[seen, 1:3] = centre
    result[seen, 3:6] = np.log(np.stack([right - left, bottom - top, np.sqrt(area)], 1))
    result[seen, 6:10] = 1 - np.minimum(edges / _BORDER, 1)
    result[seen, 10:13] = spread
    return result


def _moments(masks: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return covered part of the frame `(N,)`, centre `(N, 2)` from -1 to 1, and outline `(N, 3)`.

    The outline is how much wider than high it is, how tilted (both -1 to 1), and the logarithm of how far its pixels
    spread for their number.
    """
    height, width = masks.shape[1:]
    # Pixels count alike both ways, so that a turn of the thing is a turn of its moments.
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    weights = np.stack([np.ones(width), x, x * x], 1).astype(np.float32)
    by_row = (masks.astype(np.float32) @ weights).astype(np.float64)
    count = by_row[..., 0].sum(1)
    mean_x, mean_y = by_row[..., 1].sum(1) / count, by_row[..., 0] @ y / count
    var_x = by_row[..., 2].sum(1) / count - mean_x**2 + 1 / 12
    var_y = by_row[..., 0] @ (y * y) / count - mean_y**2 + 1 / 12
    both = by_row[..., 1] @ y / count - mean_x * mean_y
    total = np.maximum(var_x + var_y, _SMALLEST)
    outline = np.stack([(var_x - var_y) / total, 2 * both / total, np.log(total / count)], 1)
    centre = np.stack([2 * mean_x / width - 1, 2 * mean_y / height - 1], 1)
    return count / (height * width), centre, outline


def _describe_path(place: Floats) -> Floats:
    """Return `(T, PATH_FEATURES)` of the places `(T, _N_PLACE)` of one tracklet."""
    n_frames = len(place)
    result = np.zeros((n_frames, PATH_FEATURES), np.float32)
    result[:, :_N_PLACE] = place
    # From -1 in the first frame to 1 in the last; a video of one frame has no direction.
    result[:, _N_PLACE - 1] = np.linspace(-1, 1, n_frames) if n_frames > 1 else 0
    seen = np.flatnonzero(place[:, 0] > 0)
    if not len(seen):
        return result
    state = place[:, [1, 2, 5]]
    ranks = np.arange(len(seen))
    far = max(1, round(len(seen) / _FAR))
    others = [
        (ranks - 1, _STEP_SCALE), (ranks + 1, _STEP_SCALE), (ranks - far, _WAY_SCALE), (ranks + far, _WAY_SCALE),
        (0 * ranks, _WAY_SCALE), (0 * ranks + len(seen) - 1, _WAY_SCALE),
    ]  # fmt: skip
    changes = [scale * (state[seen[np.clip(rank, 0, len(seen) - 1)]] - state[seen]) for rank, scale in others]
    result[seen, _N_PLACE : _N_PLACE + 6 * _N_CHANGE] = np.concatenate(changes, 1)
    shown = place[seen]
    extent = _WAY_SCALE * np.ptp(shown[:, [1, 2, 5]], axis=0)
    columns = shown[:, [3, 4, 10, 11]]
    restless = _STEP_SCALE * np.abs(np.diff(columns, axis=0)).mean(0) if len(shown) > 1 else np.zeros(4, np.float32)
    when = [len(seen) / len(place), place[0, 0], place[-1, 0]]
    whole = np.concatenate(
        [_WAY_SCALE * (state[seen[-1]] - state[seen[0]]), np.concatenate([extent, restless, when]).astype(np.float32)]
    )
    result[:, _N_PLACE + 6 * _N_CHANGE :] = whole
    return result
