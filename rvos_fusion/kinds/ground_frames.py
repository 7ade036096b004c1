"""Grounding frame by frame as a node, without propagation: the baseline that tracklets are measured against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from runners.grounding.settings import GroundingSettings
from rvos.errors import ConfigError
from rvos.masks.detections import VideoProposals
from rvos.masks.grounding import choose_tracklets
from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.masks.tracklets import Tracklet, TrackletSet
from rvos.settings import Key
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import INSTANCE_PROPOSALS
from rvos_fusion.kinds.base import Task
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.inputs import ProposalsOf
from rvos_fusion.kinds.networks.grounding import GroundingNode, describe_models, score_by_networks

_PER_FRAME = 10
"""Proposals of a frame that are asked about, the surest: as many as the paper's networks have slots."""


@dataclass(frozen=True, slots=True)
class GroundFramesNode(GroundingNode):
    """For every sentence and key frame the proposal that fits best, whatever the other frames choose.

    Args:
        proposals: node with instance masks of the key frames.
        models: networks that tell how well they fit the sentences.
    """

    keyword: ClassVar[str] = "ground_frames"
    kind: ClassVar[str] = "ground frames"

    proposals: Annotated[ProposalsOf, Key("ground_frames")]
    models: tuple[GroundingSettings, ...]

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("models is empty; name the checkpoint of a grounding network")

    def sources(self, video: Video, checksums: Checksums) -> object:
        return [[one.text for one in video.expressions], checksums.frames(video)]

    def describe(self) -> str:
        return f"chooses from {self.proposals} in every frame by {self.detail()}"

    def detail(self) -> str:
        return describe_models(self.models)

    def make(self, task: Task) -> list[MaskSequence]:
        """Return for every sentence, in each key frame, the proposal that fits best; other frames are empty.

        A frame's score is that of its proposal, so that the surest frame can be propagated.

        Source: tracklets.md, section 9 (the image-level baseline).
        """
        video, proposals = task.video, task.read_artefact(self.proposals, INSTANCE_PROPOSALS)
        n_frames, n_sentences = video.n_frames, len(video.expressions)
        (empty,) = encode(np.zeros((1, *proposals.size), np.bool_))
        runs = [[empty] * n_frames for _ in range(n_sentences)]
        scores = np.zeros((n_sentences, n_frames), np.float32)
        for frame, clip, candidates in _list_frames(video, proposals):
            found = score_by_networks(self.models, task, clip, candidates)
            for sentence, place in enumerate(choose_tracklets(found)):
                if place is not None:
                    runs[sentence][frame] = candidates.tracklets[place].runs[0]
                    scores[sentence, frame] = found[sentence, place]
        return [
            MaskSequence(video.id, expression.id, video.frames, proposals.size, tuple(own), row)
            for expression, own, row in zip(video.expressions, runs, scores, strict=True)
        ]


def _list_frames(video: Video, proposals: VideoProposals) -> Iterator[tuple[int, Video, TrackletSet]]:
    """Yield every key frame with proposals as a video of one frame, with its proposals as tracklets."""
    for frame in proposals.key_frames:
        own = [one for one in proposals.proposals if one.frame == frame]
        surest = sorted(own, key=lambda one: -one.confidence)[:_PER_FRAME]
        if not surest:
            continue
        clip = video.take([frame])
        certain = np.ones(1, np.float32)
        tracklets = tuple(
            Tracklet(video.id, str(place), clip.frames, proposals.size, (one.mask,), certain, one.confidence, 0)
            for place, one in enumerate(surest)
        )
        confidences = np.array([one.confidence for one in surest], np.float64)
        yield frame, clip, TrackletSet(video.id, clip.frames, proposals.size, tracklets, confidences)
