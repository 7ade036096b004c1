"""Tracklets: proposals batched with shared features against one after the other, and NMS from run lengths.

Discs are proposed ten times in each of seven key frames. Both sides run the same
network; the plain side does for each proposal what the official code does for a video, so its time for all is that of
a few times their number, and their masks must agree.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.harness import Masks, Row, compare_masks, fastest, gain, timed
from benchmarks.plain_propagation import propagate_plain
from benchmarks.propagation import Case, prepare
from benchmarks.scenes import draw_masks, draw_object, write_video
from propagate.proposals import list_key_frames
from propagate.tracklet_suppression import Candidate, SuppressionSettings, suppress
from propagate.tracklet_tracking import TrackletTracker
from propagate.tracklets import TrackletSettings
from rvos.masks.detections import Proposal, VideoProposals
from rvos.masks.mask_sequences import decode, encode
from rvos.masks.runs import Runs
from rvos.masks.tracklets import Tracklet
from rvos.videos import Video

_CASE = Case("r50-aotl", (128, 224), 4)
_N_FRAMES = 8
_KEY_FRAMES = 7
_PER_FRAME = 10
_GOES = 2
_PLAIN = (0, 37)
"""Proposals that the plain side is timed on."""
_N_TRACKLETS, _N_OBJECTS, _LENGTH = 70, 10, 36
_SHIFT, _SPEED = 12, 5
"""Pixels between copies, and from frame to frame."""


def run() -> Iterator[Row]:
    """Yield the time of all tracklets of a video, how far masks differ, and the time of NMS."""
    with tempfile.TemporaryDirectory() as folder:
        yield from measure_tracking(Path(folder))
    yield from measure_suppression()


def measure_tracking(folder: Path) -> Iterator[Row]:
    """Yield the processor seconds per video of both sides, paired, and how far their masks differ."""
    video = write_video(folder / "tracklets", _CASE.size, _N_FRAMES)
    engine, images = prepare(_CASE, video)
    proposals = propose(video)
    tracker = TrackletTracker(engine.shared, TrackletSettings())

    def track() -> Sequence[Tracklet]:
        engine.shared.features.clear()
        return tracker.track(video, proposals).tracklets

    ours, plain = [], []
    for _ in range(_GOES):
        # In turns, so that what else the machine does falls on both.
        found, seconds = timed(track)
        ours.append(seconds)
        alone = []
        for place in _PLAIN:
            proposal = proposals.proposals[place]
            mask = decode((proposal.mask,), _CASE.size)[0]
            masks, seconds = timed(partial(propagate_plain, engine.network, images, proposal.frame, mask))
            plain.append(seconds)
            alone.append(masks)
    baseline = min(plain) * len(proposals.proposals)
    name = f"{_CASE.title}, {len(proposals.proposals)} proposals"
    yield gain(f"{name}, one video", min(ours), baseline, _CASE.bound, "s/video")
    pairs = [(decode(found[place].runs, _CASE.size), masks) for place, masks in zip(_PLAIN, alone, strict=True)]
    yield compare_masks(name, pairs)


def propose(video: Video) -> VideoProposals:
    """Return ten proposals in each key frame."""
    key_frames = list_key_frames(video.n_frames, _KEY_FRAMES)
    found = []
    for frame in key_frames:
        runs = encode(draw_masks(_CASE.size, frame))
        found += [Proposal(frame, runs[place % len(runs)], 0.9, "discs") for place in range(_PER_FRAME)]
    return VideoProposals(video.id, video.frames, _CASE.size, key_frames, tuple(found))


def measure_suppression() -> Iterator[Row]:
    """Yield the processor seconds of NMS from run lengths and from dense masks, and whether both keep the same."""
    tracklets = list(draw_tracklets())
    scores = np.random.default_rng(0).random(len(tracklets)).tolist()
    size = (720, 1280)
    ours, seconds = fastest(partial(_suppress_runs, tracklets, scores, size), _GOES)
    dense, dense_seconds = fastest(partial(_suppress_densely, tracklets, scores, size), 1)
    name = f"NMS, {len(tracklets)} tracklets 720x1280x{_LENGTH}"
    yield gain(name, seconds, dense_seconds, 10, "s/video")
    differing = sum(a != b for a, b in zip(ours, dense, strict=False)) + abs(len(ours) - len(dense))
    yield Row(f"{name}, kept otherwise", float(differing), 0.0, float(differing), "<= 0", "tracklets")


def draw_tracklets() -> Iterator[tuple[bytes, ...]]:
    """Yield run lengths of objects, each several times, a little displaced."""
    for seed in range(_N_OBJECTS):
        outline = draw_object(1, seed=seed)[0] > 0
        for copy in range(_N_TRACKLETS // _N_OBJECTS):
            moved = [np.roll(outline, _SHIFT * copy + _SPEED * frame, axis=1) for frame in range(_LENGTH)]
            yield encode(np.stack(moved))


def _suppress_runs(tracklets: Sequence[tuple[bytes, ...]], scores: Sequence[float], size: tuple[int, int]) -> list[int]:
    candidates = [
        Candidate(Runs.decode(runs, size), score, 0, place)
        for place, (runs, score) in enumerate(zip(tracklets, scores, strict=True))
    ]
    return list(suppress(candidates, SuppressionSettings())[0])


def _suppress_densely(
    tracklets: Sequence[tuple[bytes, ...]], scores: Sequence[float], size: tuple[int, int]
) -> list[int]:
    """Return the places of those kept, pixel by pixel; only kept masks stay in memory."""
    settings, kept = SuppressionSettings(), list[tuple[int, Masks, int]]()
    for place in np.argsort(-np.asarray(scores), kind="stable").tolist():
        masks = decode(tracklets[place], size)
        area = int(np.count_nonzero(masks))
        common = [int(np.count_nonzero(masks & other)) for _, other, _ in kept]
        overlaps = [c / (area + own - c) for c, (_, _, own) in zip(common, kept, strict=True)]
        if all(overlap <= settings.nms_iou for overlap in overlaps):
            kept.append((place, masks, area))
        if len(kept) == settings.keep:
            break
    return [place for place, _, _ in kept]
