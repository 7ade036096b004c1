"""Evidence against a sentence's target, predicate by predicate, from the tracks of all candidates of a video.

Source: choice.md, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np

from fusion.evidence.tracks import Track, Values, find_camera
from rvos.language.claims import Change, Claims
from rvos.language.directions import Direction

EVIDENCE = ("class", "number", "direction", "change", "relation")
_AXES: dict[Direction, tuple[int, int]] = {"left": (0, -1), "right": (0, 1), "up": (1, -1), "down": (1, 1)}
_FULL_MOVE = 0.1
"""Part of the frame's side by which something has to move to move without doubt."""
_FULL_CHANGE = log(1.5)


def measure_evidence(
    claims: Claims, named: Sequence[Track], tracks: Sequence[Track], *, by_noun: bool, presence: float | None = None
) -> Values:
    """Return how surely each predicate contradicts every candidate, `(5,)` in the order of EVIDENCE, in [0, 1].

    What a sentence does not say is contradicted by nothing: 0. Absence is not told from tracks that are missing.

    Args:
        named: candidates of the sentence's noun.
        tracks: all candidates of the video.
        by_noun: candidates are found by their nouns, so that none of a noun is evidence.
        presence: how sure a detector is that anything of the noun is there; None: it does not say.
    """
    camera = find_camera(tracks)
    moves = [_find_move(track, camera) for track in named]
    anchors = [track for track in tracks if track.label == claims.anchor] or list(tracks)
    return np.array(
        [
            float(by_noun and not named) if presence is None else 1 - presence,
            float(by_noun and claims.number is not None and len(named) < claims.number),
            max((_doubt(_best_move(one, moves), _FULL_MOVE) for one in claims.directions), default=0.0),
            max((_doubt(_best_change(one, named), 1.0) for one in claims.changes), default=0.0),
            0.0 if claims.side is None else 1 - _best_side(claims.side, named, anchors),
        ]
    )


def _find_move(track: Track, camera: Values) -> Values:
    """Return how far a track gets from its first frame to its last, without the camera, `(2,)`."""
    seen = np.flatnonzero(track.areas)
    if len(seen) < 2:
        return np.zeros(2)
    first, last = seen[0], seen[-1]
    return np.asarray((track.centres[last] - camera[last]) - (track.centres[first] - camera[first]))


def _best_move(direction: Direction, moves: Sequence[Values]) -> float:
    axis, sign = _AXES[direction]
    return max((float(sign * move[axis]) for move in moves), default=_FULL_MOVE)


def _best_change(change: Change, named: Sequence[Track]) -> float:
    """Return how surely any candidate changes so, 0 to 1."""
    return max((_find_change(change, track.areas) for track in named), default=1.0)


def _find_change(change: Change, areas: Values) -> float:
    seen = np.flatnonzero(areas)
    if change == "enter":
        return float(areas[0] == 0 or areas[0] < areas.max() / 2)
    if change == "leave":
        return float(areas[-1] == 0 or areas[-1] < areas.max() / 2)
    part = max(1, len(seen) // 3)
    growth = log(areas[seen[-part:]].mean() / areas[seen[:part]].mean()) if len(seen) else 0.0
    return min(1.0, max(0.0, (growth if change == "grow" else -growth) / _FULL_CHANGE))


def _best_side(side: Direction, named: Sequence[Track], anchors: Sequence[Track]) -> float:
    """Return the largest part of its frames that any candidate is on that side of any other one; 1 without a pair."""
    axis, sign = _AXES[side]
    shares = []
    for track in named:
        for anchor in anchors:
            leads = sign * (track.centres - anchor.centres)[:, axis]
            if anchor is not track and np.isfinite(leads).any():
                shares.append(float((leads[np.isfinite(leads)] > 0).mean()))
    return max(shares, default=1.0)


def _doubt(found: float, full: float) -> float:
    """Return 1 where nothing is found, 0 from `full` on."""
    return min(1.0, max(0.0, 1 - found / full))
