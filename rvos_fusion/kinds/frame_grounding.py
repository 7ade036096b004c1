"""Grounding frame by frame, without propagation: the baseline that tracklets are measured against."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rvos.masks.detections import VideoProposals
from rvos.masks.grounding import choose_tracklets
from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.masks.tracklets import Tracklet, TrackletSet
from rvos.videos import Video
from rvos_fusion.kinds.base import Task
from rvos_fusion.kinds.grounding_networks import NetworkScorer

_PER_FRAME = 10
"""Proposals of a frame that are asked about, the surest: as many as the paper's networks have slots."""


def ground_frames(task: Task, scorer: NetworkScorer, proposals: VideoProposals) -> list[MaskSequence]:
    """Return for every sentence, in each key frame, the proposal that fits best; other frames are empty.

    A frame's score is that of its proposal, so that the surest frame can be propagated.

    Source: tracklets.md, section 9 (the image-level baseline).
    """
    video = task.video
    n_frames, n_sentences = video.n_frames, len(video.expressions)
    (empty,) = encode(np.zeros((1, *proposals.size), np.bool_))
    runs = [[empty] * n_frames for _ in range(n_sentences)]
    scores = np.zeros((n_sentences, n_frames), np.float32)
    for frame, clip, candidates in _list_frames(video, proposals):
        found = scorer.score_video(task, clip, candidates)
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
