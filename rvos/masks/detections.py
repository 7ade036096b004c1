"""What detectors find: boxes with labels and scores by frame, and proposals, which are masks with confidences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.masks.mask_sequences import decode
from rvos.masks.runs import Runs
from rvos.settings.problems import count


@dataclass(frozen=True, slots=True, eq=False)
class FrameBoxes:
    """The boxes of one frame, best first or as the detector lists them.

    Args:
        boxes: `(N, 4)` float32, left, top, right, bottom in pixels of the original frame.
        scores: `(N,)` float32, higher is better.
        labels: N nouns; empty text where the detector names none.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        n_boxes = len(self.labels)
        if self.boxes.shape != (n_boxes, 4) or self.scores.shape != (n_boxes,):
            raise InputError(
                f"boxes {self.boxes.shape} with scores {self.scores.shape} and "
                f"{count(n_boxes, 'label')}; make them equal"
            )
        if self.boxes.dtype != np.float32 or self.scores.dtype != np.float32:
            raise InputError(f"boxes are {self.boxes.dtype}, scores {self.scores.dtype}; give float32")
        if not np.isfinite(self.boxes).all() or not np.isfinite(self.scores).all():
            raise InputError("boxes or scores that are no finite numbers; check the detector")


@dataclass(frozen=True, slots=True, eq=False)
class FrameInstances:
    """What a detector finds in a frame.

    Args:
        boxes: N of them.
        masks: theirs, as run lengths; None for boxes alone.
        presence: probability that the frame shows what was asked for at all; None: the detector does not say.
    """

    boxes: FrameBoxes
    masks: tuple[bytes, ...] | None = None
    presence: float | None = None

    def __post_init__(self) -> None:
        if self.masks is not None and len(self.masks) != len(self.boxes.labels):
            raise InputError(
                f"{count(len(self.boxes.labels), 'box', 'boxes')} and "
                f"{count(len(self.masks), 'mask')}; give one mask for each box"
            )


def list_presence(found: Mapping[int, FrameInstances], n_frames: int) -> NDArray[np.float32] | None:
    """Return the presence `(T,)` of what was asked for, NaN where nobody looked; None: the detector does not say."""
    known = {frame: one.presence for frame, one in found.items() if one.presence is not None}
    if not known:
        return None
    presence = np.full(n_frames, np.nan, np.float32)
    presence[list(known)] = list(known.values())
    return presence


@dataclass(frozen=True, slots=True, eq=False)
class VideoBoxes:
    """The boxes of a video: names of its T frames, their size (H, W), and the boxes of each."""

    video: str
    frames: tuple[str, ...]
    size: tuple[int, int]
    by_frame: tuple[FrameBoxes, ...]

    def __post_init__(self) -> None:
        if not self.frames or len(self.by_frame) != len(self.frames):
            raise InputError(
                f"{self.video}: {count(len(self.frames), 'frame')}, boxes for {len(self.by_frame)}; make them equal"
            )
        if min(self.size) < 1:
            raise InputError(f"{self.video}: frames of {self.size[0]} x {self.size[1]} pixels; check the frames")


@dataclass(frozen=True, slots=True)
class Proposal:
    """One instance mask of a frame that a tracklet may start from.

    Args:
        frame: index of the frame in its video.
        mask: COCO compressed run lengths at frame size.
        confidence: in [0, 1].
        detector: who proposes it.
        label: noun, or the sentence that a member was asked; empty without.
    """

    frame: int
    mask: bytes
    confidence: float
    detector: str
    label: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 1:
            raise InputError(f"{self.detector}: confidence {self.confidence}; give a number from 0 to 1")


@dataclass(frozen=True, slots=True, eq=False)
class VideoProposals:
    """The proposals of a video.

    Args:
        video: id.
        frames: names of the T frames.
        size: (H, W) of the frames.
        key_frames: indices of the K frames that were looked at, ascending.
        proposals: of all key frames, in their order, best first in each; there may be none.
    """

    video: str
    frames: tuple[str, ...]
    size: tuple[int, int]
    key_frames: tuple[int, ...]
    proposals: tuple[Proposal, ...]

    def __post_init__(self) -> None:
        order = [proposal.frame for proposal in self.proposals]
        if list(self.key_frames) != sorted(set(self.key_frames) & set(range(len(self.frames)))):
            raise InputError(
                f"{self.video}: key frames {self.key_frames} of {count(len(self.frames), 'frame')}; check them"
            )
        if order != sorted(order) or not set(order) <= set(self.key_frames):
            raise InputError(f"{self.video}: proposals in other frames or another order than the key frames; sort them")

    def of_frame(self, frame: int) -> tuple[Proposal, ...]:
        """Return the proposals of a key frame, best first."""
        return tuple(proposal for proposal in self.proposals if proposal.frame == frame)


def box_mask(runs: bytes, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the smallest box (left, top, right, bottom) around a mask; without a pixel it has no side."""
    if not Runs.decode([runs], size).starts.size:
        return (0.0, 0.0, 0.0, 0.0)
    rows, columns = np.nonzero(decode((runs,), size)[0])
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)
