"""Every proposal carried through its video: one state each, many at a time, image features once a frame.

Source: docs/specs/tracklets.md, sections 2.3 and 2.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch

from propagate.collecting import SequenceCollector, begin_sequence
from propagate.engines.protocol import Competing, Engine
from propagate.passes import EXPRESSIONS_AT_ONCE, Track, cut, run_passes
from propagate.propagator import share_out
from propagate.tracklets import TrackletSettings
from rvos.errors import ConfigError, InputError
from rvos.masks.detections import Proposal, VideoProposals
from rvos.masks.mask_sequences import decode
from rvos.masks.runs import Runs, tracklet_iou
from rvos.masks.tracklets import Tracklet
from rvos.settings import count
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


class TrackletTracker:
    """Makes the tracklets of videos with one engine.

    Args:
        engine: starts from masks; with `joint` its objects must be able to compete.

    Raises:
        ConfigError: objects that should compete, and an engine whose objects never meet.
    """

    def __init__(self, engine: Engine, settings: TrackletSettings) -> None:
        if settings.joint and not isinstance(engine, Competing):
            raise ConfigError("joint: the objects of this engine never meet; leave it out, or take AOT or DeAOT")
        self._engine = engine
        self._settings = settings

    def track(self, video: Video, proposals: VideoProposals) -> Tracked:
        """Return a tracklet for every proposal that is carried.

        In its key frame a tracklet is the proposal itself, with probability 1; elsewhere the probability is the mean
        foreground probability inside of the mask, times how sure the engine is that the object is there.

        Raises:
            InputError: proposals of another video or size, or a frame cannot be read.
            CheckpointError: the network gives values that are not finite.
        """
        size = video.read_size()
        if (proposals.video, proposals.frames) != (video.id, video.frames):
            raise InputError(
                f"{video.id}: proposals of {proposals.video} with "
                f"{count(len(proposals.frames), 'frame')}, the data set lists "
                f"{video.n_frames}, or other names; make them of this data set"
            )
        if proposals.size != size:
            raise InputError(
                f"{video.id}: proposals of {proposals.size[0]} x {proposals.size[1]} pixels (H x W), frames of "
                f"{size[0]} x {size[1]}; make them at the frame size"
            )
        named = [
            (f"{frame}.{number}", proposal)
            for frame in proposals.key_frames
            for number, proposal in enumerate(proposals.of_frame(frame))
        ]
        if not self._settings.skip_explained:
            return Tracked(tuple(self._carry(video, named, proposals.size)))
        made: list[Tracklet] = []
        explained: list[str] = []
        for _, own in groupby(named, key=lambda one: one[1].frame):
            of_frame = list(own)
            known = [name for name, proposal in of_frame if _is_explained(proposal, made)]
            explained += known
            made += self._carry(video, [one for one in of_frame if one[0] not in known], proposals.size)
        return Tracked(tuple(made), tuple(explained))

    def _carry(self, video: Video, named: Sequence[tuple[str, Proposal]], size: tuple[int, int]) -> list[Tracklet]:
        at_once = max(EXPRESSIONS_AT_ONCE, min(_MOST_AT_ONCE, _PIXELS_AT_ONCE // (size[0] * size[1])))
        collectors = [
            SequenceCollector(
                begin_sequence(video, proposal.frame, size, proposal.mask), key=proposal.frame, weigh_presence=True
            )
            for _, proposal in named
        ]
        together, open_session = at_once, self._engine.open
        if self._settings.joint and isinstance(self._engine, Competing):
            together, open_session = self._engine.most_objects, self._engine.open_joint
        tracks = list(_make_tracks([proposal for _, proposal in named], size, min(together, at_once)))
        for some in share_out(tracks, at_once):
            for prediction in run_passes(video, some, self._engine, open_session=open_session):
                collectors[prediction.position].add(prediction)
        return [
            Tracklet.from_sequence(
                collector.finish(), name, confidence=own.confidence, label=own.label, detector=own.detector
            )
            for (name, own), collector in zip(named, collectors, strict=True)
        ]


def _make_tracks(proposals: Sequence[Proposal], size: tuple[int, int], most: int) -> Iterator[Track]:
    """Yield the proposals of each key frame as batches of at most `most`."""
    for frame, own in groupby(range(len(proposals)), key=lambda place: proposals[place].frame):
        for chunk in map(tuple, cut(list(own), most)):
            masks = decode(tuple(proposals[place].mask for place in chunk), size)
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
