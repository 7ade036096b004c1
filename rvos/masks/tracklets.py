"""Tracklets: the masks of one candidate instance through a video, whatever any sentence says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.runs import Runs
from rvos.settings.problems import count

Setting = str | int | float | bool | None


@dataclass(frozen=True, slots=True, eq=False)
class Tracklet:
    """One candidate instance of a video. Source: tracklet specification, section 2.

    Args:
        video: id.
        id: of the instance within the video.
        frames: names of the T frames.
        size: (H, W) of the original frames.
        runs: T COCO compressed run lengths, column-major.
        propagation: `(T,)` float32 in [0, 1], mean foreground probability inside the mask of a frame.
        confidence: of the proposal that it was carried from, in [0, 1].
        key_frame: index of that proposal's frame.
        label: noun of the proposal; empty where there is none.
        detector: who proposed it; empty where nobody is named.
    """

    video: str
    id: str
    frames: tuple[str, ...]
    size: tuple[int, int]
    runs: tuple[bytes, ...]
    propagation: NDArray[np.float32]
    confidence: float
    key_frame: int
    label: str = ""
    detector: str = ""

    def __post_init__(self) -> None:
        where = f"{self.video}/{self.id}"
        n_frames = len(self.frames)
        if not n_frames or len(self.runs) != n_frames or self.propagation.shape != (n_frames,):
            raise InputError(
                f"{where}: {count(n_frames, 'frame')}, {count(len(self.runs), 'mask')}, propagation "
                f"of shape {self.propagation.shape}; "
                "give one of each for every frame"
            )
        if self.propagation.dtype != np.float32:
            raise InputError(f"{where}: propagation probabilities are {self.propagation.dtype}; give float32")
        if not 0 <= self.confidence <= 1:
            raise InputError(f"{where}: confidence {self.confidence}; give a number from 0 to 1")
        if not 0 <= self.key_frame < n_frames:
            raise InputError(f"{where}: key frame {self.key_frame} is outside the {count(n_frames, 'frame')}")

    @classmethod
    def from_sequence(
        cls, sequence: MaskSequence, name: str, *, confidence: float, label: str, detector: str
    ) -> Tracklet:
        """Return a propagated sequence as a tracklet; where nothing was propagated the probability is 0."""
        propagation = sequence.propagation
        return cls(
            sequence.video,
            name,
            sequence.frames,
            sequence.size,
            sequence.runs,
            np.zeros(sequence.n_frames, np.float32) if propagation is None else propagation,
            confidence,
            sequence.pick_key_frame(),
            label,
            detector,
        )

    def as_runs(self) -> Runs:
        """Return the masks as runs, on which overlaps are computed."""
        return Runs.decode(self.runs, self.size)


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """What was found of a video's nouns.

    Args:
        tracklets: of the same frames and size; there may be none.
        presence: by label, `(T,)` float32 in [0, 1], how sure the detector is that a frame shows any at all; NaN where
            it did not look. Labels of which it does not say so are left out.
    """

    tracklets: tuple[Tracklet, ...]
    presence: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A tracklet that was made and is not among those kept.

    Args:
        id: of the tracklet.
        by: id of the kept tracklet that it repeats; None: enough better ones were kept.
        iou: tracklet IoU with that one, 0 without.
        score: its own.
        key_frame, detector, label: as of a tracklet.
    """

    id: str
    by: str | None
    iou: float
    score: float
    key_frame: int
    detector: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class TrackletSet:
    """The candidates of one video, whatever its sentences say; there may be none. Source: tracklets.md, section 7.

    Args:
        video: id.
        frames: names of the T frames.
        size: (H, W) of the frames.
        tracklets: P kept ones, best first; their order is that of the slots of a grounding network.
        scores: `(P,)` float64 in [0, 1], confidence times mean propagation probability.
        dropped: the others.
        settings: by which they were made.

    Raises:
        InputError: tracklets of another video, other frames or another size; one without a pixel; unequal counts.
    """

    video: str
    frames: tuple[str, ...]
    size: tuple[int, int]
    tracklets: tuple[Tracklet, ...]
    scores: NDArray[np.float64]
    dropped: tuple[Dropped, ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.scores.shape != (len(self.tracklets),) or self.scores.dtype != np.float64:
            raise InputError(
                f"{self.video}: {count(len(self.tracklets), 'tracklet')}, scores {self.scores.dtype} of shape "
                f"{self.scores.shape}; give one float64 for each"
            )
        for tracklet in self.tracklets:
            if (tracklet.video, tracklet.frames, tracklet.size) != (self.video, self.frames, self.size):
                raise InputError(
                    f"{self.video}/{tracklet.id}: a tracklet of {tracklet.video} with "
                    f"{count(len(tracklet.frames), 'frame')} of "
                    f"{tracklet.size}, expected {len(self.frames)} of {self.size}; make them of one video"
                )

    def __len__(self) -> int:
        """Return P."""
        return len(self.tracklets)

    def content_hash(self) -> str:
        """Return what tells these tracklets and their order from all others, 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for part in self._content():
            # With its length, so that no two contents run together to the same bytes.
            digest.update(len(part).to_bytes(8, "little") + part)
        return digest.hexdigest()

    def _content(self) -> Iterator[bytes]:
        yield from (name.encode() for name in (self.video, *self.frames))
        yield repr(self.size).encode()
        yield self.scores.astype("<f8").tobytes()
        for tracklet in self.tracklets:
            yield from tracklet.runs
            yield tracklet.propagation.astype("<f4").tobytes()
