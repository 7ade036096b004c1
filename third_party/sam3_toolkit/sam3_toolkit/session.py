"""One object on its way through a video.

Source: docs/specs/sam3.md, sections 5 to 7.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sam3_toolkit.images import enlarge, prepare_box
from sam3_toolkit.memory import ObjectMemory, Seen
from sam3_toolkit.tracker import Found, ImageMaps, Tracker


@dataclass(frozen=True, slots=True, eq=False)
class TrackerFrame:
    """A frame as sessions see it: its maps are shared, its place tells which memories are older.

    Args:
        size: (H, W) of the frame.
    """

    maps: ImageMaps
    index: int
    n_frames: int
    size: tuple[int, int]


class TrackedObject:
    """One object with its own memory: several objects never meet.

    Args:
        keeps_turn: the backward pass goes on with what the forward pass remembered, as in the official predictor.
    """

    def __init__(self, tracker: Tracker, *, keeps_turn: bool = False) -> None:
        self.memory = ObjectMemory(keeps_turn=keeps_turn)
        self._tracker = tracker
        self._last = 0
        self._at_hand: tuple[TrackerFrame, Found] | None = None

    def start_from_mask(self, frame: TrackerFrame, mask: Tensor) -> None:
        """Take a mask `(H, W)` as the truth of a frame."""
        self._prompt(frame, self._tracker.given_mask(frame.maps, mask))

    def start_from_box(self, frame: TrackerFrame, box: Tensor) -> None:
        """Find the object in a box `(4,)`, x0, y0, x1, y1 in pixels of the frame."""
        self._prompt(frame, self._tracker.given_box(frame.maps, prepare_box(box, frame.size, self._tracker.side)))

    def prompted(self, frame: TrackerFrame) -> Seen:
        """Return what a prompted frame gave."""
        return self.memory.prompted[frame.index]

    def step(self, frame: TrackerFrame) -> Found | Seen:
        """Return the outcome of the next frame in the direction of travel."""
        backwards, self._last = frame.index < self._last, frame.index
        if frame.index in self.memory.prompted:
            self._at_hand = None
            return self.memory.prompted[frame.index]
        recalled = self.memory.recall(frame.index, backwards=backwards, n_frames=frame.n_frames)
        found = self._tracker.track(frame.maps, recalled, frame.n_frames)
        self._at_hand = frame, found
        return found

    def commit(self, mask: Tensor) -> None:
        """Remember the frame stepped to last with the mask `(H, W)` decided for it; prompted frames stay as they are.

        Where the mask is the network's own it remembers its probabilities, else the mask.
        """
        if self._at_hand is None:
            return
        frame, found = self._at_hand
        if not torch.equal(mask, enlarge(found.logits, frame.size)[0, 0] > 0):
            found = self._tracker.given_mask(frame.maps, mask)
        self.memory.track(frame.index, self._tracker.remember(frame.maps, found, is_prompt=False))
        self._at_hand = None

    def _prompt(self, frame: TrackerFrame, found: Found) -> None:
        self.memory.prompt(frame.index, self._tracker.remember(frame.maps, found, is_prompt=True))
        self._last = frame.index
