"""From what was carried through a video to its candidates: members' own sequences beside it, scores, and NMS.

Source: docs/specs/tracklets.md, sections 2.5, 3, 6.2 and 6.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from propagate.tracklet_suppression import Candidate, ProbabilityMean, SuppressionSettings, score_tracklet, suppress
from rvos.errors import InputError
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.runs import Runs, tracklet_iou
from rvos.masks.tracklets import Dropped, Tracklet, TrackletSet
from rvos.videos import Video


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackletSettings(SuppressionSettings):
    """How proposals become the candidates of a video.

    Args:
        prob_mean: frames over which the propagation probability is averaged; see `score_tracklet`.
        skip_explained: a proposal that a tracklet of an earlier key frame covers, and that is no surer, is not carried.
        joint: the proposals of a key frame compete for pixels, in one pass; not the method, but cheaper.
    """

    prob_mean: ProbabilityMean = "all"
    skip_explained: bool = False
    joint: bool = False


def choose_candidates(
    tracklets: Sequence[Tracklet], *, video: Video, size: tuple[int, int], settings: TrackletSettings
) -> TrackletSet:
    """Return the tracklets that stay, best first, and what became of the others.

    Args:
        tracklets: of this video, those of earlier key frames first, each key frame's in the order of its proposals.
        size: (H, W) of its frames.

    Raises:
        InputError: a tracklet without a pixel.
    """
    candidates = [_weigh(tracklet, place, settings) for place, tracklet in enumerate(tracklets)]
    kept, suppressed = suppress(candidates, settings)
    dropped = tuple(
        Dropped(
            tracklets[one.place].id,
            None if one.by is None else tracklets[one.by].id,
            one.iou,
            candidates[one.place].score,
            tracklets[one.place].key_frame,
            tracklets[one.place].detector,
            tracklets[one.place].label,
        )
        for one in suppressed
    )
    scores = np.array([candidates[place].score for place in kept], np.float64)
    return TrackletSet(
        video.id, video.frames, size, tuple(tracklets[place] for place in kept), scores, dropped, asdict(settings)
    )


def _weigh(tracklet: Tracklet, place: int, settings: TrackletSettings) -> Candidate:
    runs = tracklet.as_runs()
    if not runs.starts.size:
        raise InputError(f"{tracklet.video}/{tracklet.id}: a tracklet without a pixel in any frame; leave it out")
    score = score_tracklet(tracklet.confidence, tracklet.propagation, runs.areas(), mean=settings.prob_mean)
    return Candidate(runs, score, tracklet.key_frame, place)


def score_agreement(
    tracklets: Sequence[Runs], members: Sequence[Runs], weights: Sequence[float]
) -> NDArray[np.float64]:
    """Return the weighted mean tracklet IoU of every tracklet with the members' masks for one sentence, `(P,)`.

    Args:
        members: at least one.
        weights: of the members, above 0; only their ratios count.
    """
    overlaps = np.array([[tracklet_iou(tracklet, member) for member in members] for tracklet in tracklets], np.float64)
    shares = np.asarray(weights, np.float64) / np.sum(weights)
    return overlaps.reshape(len(tracklets), len(members)) @ shares


def find_confidence(sequence: MaskSequence, frame: int) -> float:
    """Return how sure a member is of a frame's mask, in [0, 1]: its score, or 1 where it gives none."""
    return min(max(float(sequence.scores[frame]), 0.0), 1.0) if sequence.scored else 1.0


def to_tracklet(sequence: MaskSequence, *, member: str) -> Tracklet | None:
    """Return a member's own sequence as a candidate; None where it marks nothing.

    Its key frame is the member's, or the largest mask where that one is empty. Its confidence is the mean over the
    frames: no mask was carried from its best one, so that one says little of the others. Masks that were not
    propagated count with probability 1.
    """
    areas = sequence.as_runs().areas()
    if not areas.any():
        return None
    stated = sequence.pick_key_frame()
    key_frame = stated if areas[stated] else int(np.argmax(areas))
    propagation = (areas > 0).astype(np.float32) if sequence.propagation is None else sequence.propagation
    confidence = sum(find_confidence(sequence, frame) for frame in range(sequence.n_frames)) / sequence.n_frames
    return Tracklet.from_sequence(
        replace(sequence, key_frame=key_frame, propagation=propagation),
        f"{member}/{sequence.expression}",
        confidence=confidence,
        label=sequence.expression,
        detector=member,
    )


def to_sequence(tracklet: Tracklet, *, expression: str, score: float) -> MaskSequence:
    """Return a tracklet as a sentence's answer: its masks, its key frame, and in every frame the score."""
    return MaskSequence(
        tracklet.video,
        expression,
        tracklet.frames,
        tracklet.size,
        tracklet.runs,
        np.full(len(tracklet.frames), score, np.float32),
        tracklet.key_frame,
        propagation=tracklet.propagation,
    )
