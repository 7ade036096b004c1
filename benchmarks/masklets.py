"""Masklets of a video for all of its expressions, against each expression alone: four that share two nouns.

Both sides run the demo's small networks on the same drawn video. Alone, every expression asks the detector anew and
tracks what it finds of its noun, with image features of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.harness import CPU, ROOT, Row, compare_masks, fastest, gain, timed
from propagate.engines.aot.settings import AotSettings
from propagate.engines.table import build_engine
from propagate.masklet_tracking import MaskletTracker
from propagate.masklets import MaskletSettings
from runners.detectors.settings import UninextDetectorSettings
from runners.detectors.table import build_detector
from rvos.language.nouns import NounFinder
from rvos.masks.mask_sequences import decode
from rvos.masks.tracklets import Tracklet
from rvos.videos import Expression, Video
from rvos_fusion.synthetic.synthesis import make_video
from rvos_fusion.synthetic.writers.files import frame_names, write_frames

_CHECKPOINTS = ROOT / "demo" / "checkpoints"
_SEED, _INDEX = 84001, 3
_GOES = 2
_BOUND = 2.0


class Side:
    """Detector and tracker of the demo."""

    def __init__(self) -> None:
        detector = UninextDetectorSettings("uninext", checkpoint=_CHECKPOINTS / "uninext.safetensors")
        self.detector = build_detector(detector, device=CPU)
        self.engine = build_engine(AotSettings("small-aot", _CHECKPOINTS / "aot.safetensors"), device=CPU)
        self.rules = MaskletSettings(detect_frames=5)
        self.tracker = MaskletTracker(self.engine, self.rules, takes_boxes=False, detector="uninext")

    def track(self, video: Video, expressions: Sequence[Expression]) -> tuple[Tracklet, ...]:
        """Return the masklets of the nouns of some expressions, as the node makes them; no features are left over."""
        self.engine.features.clear()
        asked = Video(video.id, video.frames, tuple(expressions), video.image_paths)
        nouns, frames = NounFinder().find_all(asked), self.rules.list_frames(video.n_frames)
        found = self.detector.detect(asked, frames, [(noun,) for noun in nouns])
        by_noun = {noun: dict(zip(frames, own, strict=True)) for noun, own in zip(nouns, found, strict=True)}
        return self.tracker.track(asked, by_noun).tracklets


def run() -> Iterator[Row]:
    """Yield the seconds of all four expressions together and one by one, and how far the masks differ."""
    with tempfile.TemporaryDirectory() as folder:
        video, side = write_video(Path(folder)), Side()
        together, ours = fastest(partial(side.track, video, video.expressions), _GOES)
        alone = [timed(partial(side.track, video, [expression])) for expression in video.expressions]
    plain = sum(seconds for _, seconds in alone)
    yield gain("masklets, 4 expressions that share 2 nouns", ours, plain, _BOUND, "s")
    pairs = [
        (decode(one.runs, one.size), decode(other.runs, other.size))
        for noun in NounFinder().find_all(video)
        for tracks, _ in alone[:2]
        for one, other in zip(_of(tracks, noun), _of(together, noun), strict=False)
    ]
    yield compare_masks(f"{len(pairs)} masklets together and alone", pairs)


def _of(tracks: Sequence[Tracklet], noun: str) -> list[Tracklet]:
    return [track for track in tracks if track.label == noun]


def write_video(folder: Path) -> Video:
    """Write a drawn video whose four expressions name two of its shapes, in turn."""
    drawn = make_video(_SEED, _INDEX)
    names = frame_names(_INDEX, len(drawn.frames))
    write_frames(folder, drawn, names)
    first, second = sorted(set(drawn.categories))[:2]
    texts = (f"the {first}", f"the {second}", f"the {first} on the left", f"the {second} that moves")
    expressions = tuple(Expression(str(number), text) for number, text in enumerate(texts))
    return Video(
        drawn.id, names, expressions, tuple(folder / "JPEGImages" / drawn.id / f"{name}.jpg" for name in names)
    )
