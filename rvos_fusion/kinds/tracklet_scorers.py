"""What tells how well tracklets fit a video's sentences: the part of a `ground` node that can be exchanged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from fusion.votes import vote
from propagate.tracklet_agreement import score_agreement
from rvos.masks.grounding import Scores
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.tracklets import TrackletSet
from rvos.videos import Video
from rvos_fusion.kinds.base import NodeFile, Task, WorkerKey
from rvos_fusion.kinds.checksums import Checksums


@dataclass(frozen=True, slots=True)
class GroundedSentence:
    """How the tracklets of a video scored for a sentence.

    Args:
        scores: in the order of the tracklets.
        chosen: id of the tracklet that answers; None: the fallback does.
        why: the fallback does.
    """

    scores: tuple[float, ...]
    chosen: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Grounding:
    """What a node that chooses among tracklets found for a video; the report shows it.

    Args:
        tracklets: node with the candidates.
        by: what scored them, in words.
        sentences: by expression.
    """

    tracklets: str
    by: str
    sentences: Mapping[str, GroundedSentence]


class TrackletScorer(Protocol):
    """Scores for tracklets; what it needs to know of recipe, files and video is asked as of a node."""

    def files(self) -> tuple[NodeFile, ...]:
        """Return what must be on disk."""
        ...

    def sources(self, video: Video, checksums: Checksums) -> object:
        """Return what of a video it reads."""
        ...

    def describe(self) -> str:
        """Return what decides, in a few words."""
        ...

    def worker_key(self) -> WorkerKey | None:
        """Return what must be loaded; None: nothing."""
        ...

    def check_load(self) -> Iterable[str]:
        """Yield what would keep it from being loaded; no weights are read."""
        ...

    def scores(self, task: Task, tracklets: TrackletSet) -> Scores:
        """Return the score of every tracklet for every sentence of the task's video, `(E, P)`; P is at least 1."""
        ...

    def fall_back(self, task: Task) -> Mapping[str, MaskSequence]:
        """Return the answers by sentence where no tracklet will do; none: they are empty."""
        ...


@dataclass(frozen=True, slots=True)
class AgreementScorer:
    """Tracklets score by their overlap with the masks of members; no training, no text.

    Args:
        members: at least one.
        weights: of the members in their order, above 0.

    Source: tracklets.md, section 6.2.
    """

    members: tuple[str, ...]
    weights: tuple[float, ...]

    def files(self) -> tuple[NodeFile, ...]:
        """See `TrackletScorer`."""
        return ()

    def sources(self, video: Video, checksums: Checksums) -> object:
        """See `TrackletScorer`; the members' fingerprints say it all."""
        return None

    def describe(self) -> str:
        """See `TrackletScorer`."""
        return f"agreement with {', '.join(self.members)}"

    def worker_key(self) -> WorkerKey | None:
        """See `TrackletScorer`."""
        return None

    def check_load(self) -> Iterable[str]:
        """See `TrackletScorer`."""
        return ()

    def scores(self, task: Task, tracklets: TrackletSet) -> Scores:
        """See `TrackletScorer`."""
        own = [tracklet.as_runs() for tracklet in tracklets.tracklets]
        members = self._read(task, tracklets)
        rows = []
        for expression in task.video.expressions:
            masks = [member[expression.id].as_runs() for member in members]
            rows.append(score_agreement(own, masks, self.weights))
        return np.array(rows, np.float64).reshape(len(rows), len(own))

    def fall_back(self, task: Task) -> Mapping[str, MaskSequence]:
        """See `TrackletScorer`; the members' majority, a tie passes."""
        members = [by_expression(task.read(name)) for name in self.members]
        needed = -(-len(members) // 2)
        found = {}
        for expression in task.video.expressions:
            own = [member[expression.id] for member in members]
            found[expression.id] = replace(own[0], runs=vote(own, needed=needed).encode(), propagation=None)
        return found

    def _read(self, task: Task, tracklets: TrackletSet) -> Sequence[Mapping[str, MaskSequence]]:
        members = [by_expression(task.read(name)) for name in self.members]
        for name, member in zip(self.members, members, strict=True):
            for sequence in member.values():
                sequence.check_fits(
                    task.video, tracklets.size, advice=f"make the masks of {name} or the tracklets again"
                )
        return members
