"""Every proposal carried through its video: one state each, many at a time, image features once a frame.

Source: docs/specs/tracklets.md, sections 2.3 and 2.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch

from propagate.collecting import mean_inside
from propagate.engines.aot.engine import AotEngine
from propagate.engines.aot.joint import JointEngine
from propagate.engines.protocol import Engine
from propagate.passes import Prediction, Track, run_passes
from propagate.propagator import EXPRESSIONS_AT_ONCE, share_out
from propagate.tracklets import TrackletSettings
from rvos.errors import ConfigError, InputError
from rvos.masks.detections import Proposal, VideoProposals
from rvos.masks.mask_sequences import decode, encode
from rvos.masks.runs import Runs, tracklet_iou
from rvos.masks.tracklets import Tracklet
from rvos.videos import Video

EXPLAINED_IOU = 0.9
_MOST_AT_ONCE = 64
_PIXELS_AT_ONCE = EXPRESSIONS_AT_ONCE * 480 * 854


@dataclass(frozen=True, slots=True)
class Tracked:
    """What became of a video's proposals.

    Args:
        tracklets: those that were carried, in the order of the proposals; ids are `KEY_FRAME.PROPOSAL`.
        explained: ids of the proposals that were not carried, as an earlier tracklet covers them.
    """

    tracklets: tuple[Tracklet, ...]
    explained: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Named:
    id: str
    proposal: Proposal


class TrackletTracker:
    """Makes the tracklets of videos with one engine.

    Args:
        engine: starts from masks; with `joint` it must be AOT or DeAOT.

    Raises:
        ConfigError: objects that should compete, and an engine whose objects never meet.
    """

    def __init__(self, engine: Engine, settings: TrackletSettings) -> None:
        self._engine = let_compete(engine) if settings.joint else engine
        self._settings = settings

    def track(self, video: Video, proposals: VideoProposals) -> Tracked:
        """Return a tracklet for every proposal that is carried.

        In its key frame a tracklet is the proposal itself, with probability 1; elsewhere the probability is the mean
        foreground probability inside of the mask, times how sure the engine is that the object is there.

        Raises:
            InputError: proposals of another video or size, or a frame cannot be read.
            CheckpointError: the network gives values that are not finite.
        """
        _check_fits(video, proposals)
        named = [
            _Named(f"{frame}.{number}", proposal)
            for frame in proposals.key_frames
            for number, proposal in enumerate(proposals.of_frame(frame))
        ]
        if not self._settings.skip_explained:
            return Tracked(tuple(self._carry(video, named, proposals.size)))
        made: list[Tracklet] = []
        explained: list[str] = []
        for _, own in groupby(named, key=lambda one: one.proposal.frame):
            of_frame = list(own)
            known = [one.id for one in of_frame if _is_explained(one.proposal, made)]
            explained += known
            made += self._carry(video, [one for one in of_frame if one.id not in known], proposals.size)
        return Tracked(tuple(made), tuple(explained))

    def _carry(self, video: Video, named: Sequence[_Named], size: tuple[int, int]) -> list[Tracklet]:
        at_once = max(EXPRESSIONS_AT_ONCE, min(_MOST_AT_ONCE, _PIXELS_AT_ONCE // (size[0] * size[1])))
        collectors = [_Collector(video, one, size) for one in named]
        together = self._engine.most_objects if isinstance(self._engine, JointEngine) else at_once
        tracks = list(_make_tracks(named, size, min(together, at_once)))
        for some in share_out(tracks, at_once):
            for prediction in run_passes(video, some, self._engine):
                collectors[prediction.position].add(prediction)
        return [collector.finish() for collector in collectors]


def let_compete(engine: Engine) -> Engine:
    """Return the engine with the objects of a session as identities of one state.

    Raises:
        ConfigError: its objects never meet.
    """
    if not isinstance(engine, AotEngine):
        raise ConfigError("joint: the objects of this engine never meet; leave it out, or take AOT or DeAOT")
    return JointEngine(engine)


class _Collector:
    """Gathers the frames of one tracklet."""

    def __init__(self, video: Video, named: _Named, size: tuple[int, int]) -> None:
        self._video = video
        self._named = named
        self._size = size
        nothing = encode(np.zeros((1, *size), np.bool_))[0]
        self._runs = [nothing] * video.n_frames
        self._propagation = np.zeros(video.n_frames, np.float32)
        self._runs[named.proposal.frame] = named.proposal.mask
        self._propagation[named.proposal.frame] = 1

    def add(self, prediction: Prediction) -> None:
        presence = 1.0 if prediction.presence is None else float(prediction.presence)
        self._runs[prediction.frame] = encode(prediction.mask.cpu().numpy()[None])[0]
        self._propagation[prediction.frame] = presence * mean_inside(prediction.probability, prediction.mask)

    def finish(self) -> Tracklet:
        proposal = self._named.proposal
        return Tracklet(
            self._video.id,
            self._named.id,
            self._video.frames,
            self._size,
            tuple(self._runs),
            self._propagation,
            proposal.confidence,
            proposal.frame,
            proposal.label,
            proposal.detector,
        )


def _make_tracks(named: Sequence[_Named], size: tuple[int, int], most: int) -> Iterator[Track]:
    """Yield the proposals of each key frame as batches of at most `most`."""
    places = range(len(named))
    for frame, own in groupby(places, key=lambda place: named[place].proposal.frame):
        together = tuple(own)
        for start in range(0, len(together), most):
            chunk = together[start : start + most]
            masks = decode(tuple(named[place].proposal.mask for place in chunk), size)
            yield Track((frame,), chunk, torch.from_numpy(masks.view(np.uint8))[None])


def _is_explained(proposal: Proposal, made: Sequence[Tracklet]) -> bool:
    """Tell whether a tracklet that is at least as sure covers the proposal."""
    for tracklet in made:
        if proposal.confidence > tracklet.confidence:
            continue
        own, other = (Runs.decode((runs,), tracklet.size) for runs in (proposal.mask, tracklet.runs[proposal.frame]))
        if tracklet_iou(own, other) > EXPLAINED_IOU:
            return True
    return False


def _check_fits(video: Video, proposals: VideoProposals) -> None:
    size = video.read_size()
    if (proposals.video, proposals.frames) != (video.id, video.frames):
        raise InputError(
            f"{video.id}: proposals of {proposals.video} with {len(proposals.frames)} frames, the data set lists "
            f"{video.n_frames}, or other names; make them of this data set"
        )
    if proposals.size != size:
        raise InputError(
            f"{video.id}: proposals of {proposals.size[0]} x {proposals.size[1]} pixels (H x W), frames of "
            f"{size[0]} x {size[1]}; make them at the frame size"
        )
