"""Groups by runs and fusion by assignment at the size of the real validation split, beside dense NumPy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Row, fastest, gain, timed
from benchmarks.scenes import draw_object
from fusion.groups import Group
from fusion.member_masks import MemberMasks
from fusion.methods.assign import Assign
from fusion.rules import fuse_video
from fusion.runs import RunRule, count_hits, group_by_runs
from fusion.votes import read_members
from rvos.masks.mask_sequences import MaskSequence

_FRAMES = 27
_SENTENCES, _VIDEOS, _MEMBERS = 834, 202, 4
_DENSE_FRAMES = 3
_GOES = 30
_GAIN = 100
_OWN = ("0", "1", "2", "3")
_NAMES = ("soc", "mutr", "referformer", "uninext")

Member = dict[str, MaskSequence]


def run() -> Iterable[Row]:
    """Yield the rows of this module."""
    members = [_draw(member) for member in range(_MEMBERS)]
    groups, grouping = fastest(lambda: _group(members), _GOES)
    overlap = timed(lambda: _overlap_densely(members))[1]
    yield _row("runs", grouping, overlap)
    _, assigning = fastest(lambda: _assign(members, groups), _GOES)
    vote = timed(lambda: _vote_densely(members))[1]
    yield _row("assign", assigning, overlap + vote)
    _, both = fastest(lambda: _group_and_assign(members), _GOES)
    yield _row("both of the same masks", both, overlap + vote)


def _row(name: str, seconds: float, dense: float) -> Row:
    """Return the seconds of the whole split from those of a video of four sentences, and of a few frames for dense."""
    ours = seconds * _SENTENCES / len(_OWN)
    baseline = dense * _FRAMES / _DENSE_FRAMES * _SENTENCES / len(_OWN)
    return gain(f"{name}, {_SENTENCES} sentences x {_MEMBERS} members", ours, baseline, _GAIN, "CPU s")


def _draw(member: int) -> Member:
    """Return two objects with two sentences each, as one member sees them."""
    frames = tuple(f"{index:05d}" for index in range(_FRAMES))
    scores = np.linspace(0, 1, _FRAMES, dtype=np.float32)
    return {
        name: MaskSequence.from_masks(
            draw_object(_FRAMES, seed=1 + place // 2, member=2 * member + place % 2) > 0,
            video="video",
            expression=name,
            frames=frames,
            scores=scores,
        )
        for place, name in enumerate(_OWN)
    }


def _group(members: Sequence[Member]) -> tuple[Group, ...]:
    masks = read_members([member.values() for member in members])
    return group_by_runs(count_hits(masks, _OWN), _OWN, RunRule())


def _assign(members: Sequence[Member], groups: Sequence[Group]) -> list[MaskSequence]:
    rule = Assign(tuple(_NAMES))
    return list(fuse_video(members, groups, rule))


def _group_and_assign(members: Sequence[Member]) -> list[MaskSequence]:
    masks = MemberMasks.read(members, _OWN)
    groups = group_by_runs(masks.count_hits(), _OWN, RunRule())
    rule = Assign(tuple(_NAMES))
    return list(fuse_video(members, groups, rule, masks=masks))


def _decode(members: Sequence[Member]) -> list[NDArray[np.bool_]]:
    return [
        np.stack([sequence.mask(frame) for frame in range(_DENSE_FRAMES)])
        for member in members
        for sequence in member.values()
    ]


def _overlap_densely(members: Sequence[Member]) -> NDArray[np.float64]:
    """Return the IoU of all pairs over a few frames, pixel by pixel."""
    masks = _decode(members)
    return np.array([[(a & b).sum() / max((a | b).sum(), 1) for b in masks] for a in masks])


def _vote_densely(members: Sequence[Member]) -> list[NDArray[np.bool_]]:
    """Return the majority of each half of the sequences over a few frames."""
    masks = _decode(members)
    half = len(masks) // 2
    return [2 * np.sum(own, axis=0) >= len(own) for own in (masks[:half], masks[half:])]
