"""Sentences that a recipe takes for one object, and masks at hand that say otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rvos.errors import InputError
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.runs import Runs, tracklet_iou
from rvos.settings import count
from rvos.videos import Video
from rvos_fusion.kinds.base import Node, NodeGraph, capability

_APART = 0.1
"""Masks of a lower IoU are of two objects."""


@runtime_checkable
class Guessing(Protocol):
    """A node that takes sentences for one object by their order or by a file."""

    def guessed_pairs(self, video: Video) -> Sequence[tuple[str, str]]:
        """Return pairs of expressions."""


@runtime_checkable
class Sampled(Protocol):
    """A node whose masks are at hand before a run."""

    def sample(self, video: Video, *, deep: bool = False) -> Sequence[MaskSequence]:
        """Return some of the masks of a video, or all; raises InputError."""


@dataclass(frozen=True, slots=True)
class ApartPairs:
    """Pairs of a node that all masks at hand place on two objects; `outweigh`: they are more than the others."""

    node: Node
    text: str
    outweigh: bool


def find_apart_pairs(nodes: NodeGraph, videos: Sequence[Video], *, deep: bool = False) -> Iterator[ApartPairs]:
    """Yield what masks say against the pairs of nodes; `deep` reads all masks, not some."""
    for name, node in nodes.items():
        guessing = capability(node, Guessing)
        givers = [giver for below in nodes.below(name) if (giver := capability(below, Sampled)) is not None]
        verdicts: dict[str, bool] = {}
        for video in videos if guessing is not None and givers else ():
            assert guessing is not None
            pairs = guessing.guessed_pairs(video)
            masks = [_read(giver, video, deep=deep) for giver in givers] if pairs else []
            for first, second in pairs:
                likeness = [_compare(own, first, second) for own in masks if own.keys() >= {first, second}]
                known = [value for value in likeness if value is not None]
                if known:
                    verdicts[f"{video.id}/{first} and {second}"] = max(known) < _APART
        apart = [pair for pair, is_apart in verdicts.items() if is_apart]
        if apart:
            text = f"two objects by the masks in {len(apart)} of {count(len(verdicts), 'pair')}, first {apart[0]}"
            advice = "group by object_id, runs or a file"
            yield ApartPairs(node, f"{text}; {advice}", 2 * len(apart) > len(verdicts))


def _read(giver: Sampled, video: Video, *, deep: bool) -> Mapping[str, Runs]:
    try:
        return {one.expression: Runs.decode(one.runs, one.size) for one in giver.sample(video, deep=deep)}
    except InputError:  # told by whoever looks at the masks themselves
        return {}


def _compare(masks: Mapping[str, Runs], first: str, second: str) -> float | None:
    """Return the IoU of two sentences' masks; None where one of them is empty."""
    a, b = masks[first], masks[second]
    return tracklet_iou(a, b) if a.area() and b.area() else None
