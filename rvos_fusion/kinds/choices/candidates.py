"""The candidates of a video for kinds that take tracklets as well as masklets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from propagate.masklets import list_distinct
from propagate.tracklet_suppression import score_tracklet
from rvos.errors import StoreError
from rvos.masks.grounding import check_tracklets
from rvos.masks.runs import Runs
from rvos.masks.tracklets import Instances, Tracklet, TrackletSet
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import CANDIDATES, INSTANCES, ReadArtefact

_DISTINCT = 0.9
"""Tracklet IoU from which a masklet of a noun is a copy of an earlier one."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a node with tracklets or masklets stored for a video.

    Args:
        runs, scores: of each.
        by_noun: their labels are the nouns that they were found by.
        presence: by noun, how sure a detector is at most that a frame shows any; of those of which it says so.
    """

    tracklets: tuple[Tracklet, ...]
    runs: tuple[Runs, ...]
    scores: Sequence[float]
    by_noun: bool
    presence: Mapping[str, float] = field(default_factory=dict)

    def of_noun(self, noun: str) -> tuple[int, ...]:
        """Return the places of those of a noun, each object once; all where they were not found by nouns."""
        if not self.by_noun:
            return tuple(range(len(self.tracklets)))
        named = [place for place, one in enumerate(self.tracklets) if one.label == noun]
        return tuple(named[place] for place in list_distinct([self.runs[one] for one in named], dedup_iou=_DISTINCT))


def read_candidates(video: Video, read: ReadArtefact, name: str) -> Candidates:
    """Return the candidates of a video. Raises StoreError: they are not there; InputError: of other frames."""
    try:
        found: TrackletSet = read(name, CANDIDATES)
    except StoreError:
        instances: Instances = read(name, INSTANCES)
    else:
        check_tracklets(video, found)
        runs = tuple(one.as_runs() for one in found.tracklets)
        return Candidates(found.tracklets, runs, found.scores.tolist(), by_noun=False)
    masklets = instances.tracklets
    runs = tuple(one.as_runs() for one in masklets)
    scores = [
        score_tracklet(one.confidence, one.propagation, own.areas()) for one, own in zip(masklets, runs, strict=True)
    ]
    looked = {noun: own[np.isfinite(own)] for noun, own in instances.presence.items()}
    presence = {noun: float(own.max()) for noun, own in looked.items() if own.size}
    return Candidates(masklets, runs, scores, by_noun=True, presence=presence)
