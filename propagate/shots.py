"""Shots of a video: where it is cut, and mask sequences taken apart and joined there.

Source: docs/propagation.md, section on cuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from propagate.collecting import shrink_masks
from rvos.masks.mask_sequences import KeepSoft, MaskSequence, SoftMaps
from rvos.videos import Video

MOST_ALIKE = 0.8
"""Share of the colours that two frames have in common, at most, across a cut; a moving camera leaves more."""
LEAST_APART = 10.0
"""Mean difference of two frames' small pictures, of 255, at least, across a cut; noise of dark frames leaves less."""
_LEVELS, _STEP = 8, 32
_SMALL = (16, 16)
Look = tuple[NDArray[np.float64], NDArray[np.float32]]


def list_shots(video: Video) -> list[range]:
    """Return the frames of every shot, in order. Raises InputError: a frame cannot be read."""
    starts = [0]
    before = _describe(video.read_frame(0))
    for index in range(1, video.n_frames):
        after = _describe(video.read_frame(index))
        if _is_cut(before, after):
            starts.append(index)
        before = after
    return [range(first, end) for first, end in zip(starts, [*starts[1:], video.n_frames], strict=True)]


def take_shot(sequence: MaskSequence, shot: range) -> MaskSequence:
    """Return the part of a sequence in a shot; a stated key frame stays where it is in it."""
    part = slice(shot.start, shot.stop)
    key, soft, probabilities = sequence.key_frame, sequence.soft, sequence.propagation
    return replace(
        sequence,
        frames=sequence.frames[part],
        runs=sequence.runs[part],
        scores=sequence.scores[part],
        key_frame=key - shot.start if key is not None and key in shot else None,
        soft=None if soft is None else SoftMaps(soft.values[part], soft.low, soft.high, soft.kind),
        propagation=None if probabilities is None else probabilities[part],
        presence=None if sequence.presence is None else sequence.presence[part],
        queries=None,
    )


def join_shots(
    source: MaskSequence, shots: Sequence[range], parts: Sequence[MaskSequence], keep_soft: KeepSoft = False
) -> MaskSequence:
    """Return the propagated parts of a sequence as one; its key frame is the best-scored of the shots'.

    Args:
        source: what was propagated: its scores stay.
        keep_soft: as the engine keeps soft maps; a shot without any, as nothing was carried in it, has its masks there.
    """
    keys = [shot.start + part.pick_key_frame() for shot, part in zip(shots, parts, strict=True)]
    known = [part.propagation for part in parts]
    silent = [np.zeros(len(shot), np.float32) for shot in shots]
    soft = [part.soft or shrink_masks(part, keep_soft) for part in parts] if keep_soft else []
    return replace(
        source,
        runs=tuple(run for part in parts for run in part.runs),
        key_frame=max(keys, key=lambda frame: source.scores[frame]),
        soft=_join_soft([maps for maps in soft if maps is not None]),
        propagation=np.concatenate([k if k is not None else s for k, s in zip(known, silent, strict=True)])
        if any(k is not None for k in known)
        else None,
    )


def _join_soft(maps: Sequence[SoftMaps]) -> SoftMaps | None:
    if not maps:
        return None
    first = maps[0]
    return SoftMaps(np.concatenate([one.values for one in maps]), first.low, first.high, first.kind)


def _describe(frame: NDArray[np.uint8]) -> Look:
    """Return the shares of a frame's colours, `(512,)`, and a small picture of it, `(16, 16, 3)`."""
    levels = (frame // _STEP).reshape(-1, 3).astype(np.int64)
    places = (levels[:, 0] * _LEVELS + levels[:, 1]) * _LEVELS + levels[:, 2]
    shares = np.bincount(places, minlength=_LEVELS**3) / len(places)
    return shares, np.asarray(cv2.resize(frame, _SMALL, interpolation=cv2.INTER_AREA), np.float32)


def _is_cut(before: Look, after: Look) -> bool:
    alike = float(np.minimum(before[0], after[0]).sum())
    apart = float(np.abs(before[1] - after[1]).mean())
    return alike <= MOST_ALIKE and apart >= LEAST_APART
