"""Masklets from boxes or masks of a detector, carried through the video by an engine.

Source: docs/specs/refinement.md, section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from propagate.box_masks import Prompts, prompt
from propagate.collecting import SequenceCollector, begin_sequence
from propagate.engines.protocol import Engine
from propagate.masklets import MaskletSettings, find_instance, pick_boxes
from propagate.passes import EXPRESSIONS_AT_ONCE, Track, cut, run_passes
from rvos.errors import InputError
from rvos.masks.detections import FrameInstances
from rvos.masks.mask_sequences import MaskSequence, decode, encode
from rvos.masks.tracklets import Tracklet
from rvos.videos import Video

FoundByFrame = Mapping[int, FrameInstances]
Mask = NDArray[np.bool_]


@dataclass(slots=True)
class FrameCount:
    """What became of the boxes of one noun in one frame.

    Args:
        frame: its name.
        boxes: that the detector gave.
        used: whose objects were looked at: inside of the frame, not copies of better ones, not too many.
        empty: in which the engine found no mask.
        known: of instances that have a masklet already.
        capped: that came after the largest number of instances.
        started: new masklets.
    """

    frame: str
    boxes: int
    used: int
    empty: int = 0
    known: int = 0
    capped: int = 0
    started: int = 0


@dataclass(frozen=True, slots=True)
class Masklets:
    """The masklets of a video, noun after noun in their order, and what became of the boxes of every noun."""

    tracklets: tuple[Tracklet, ...]
    counts: Mapping[str, tuple[FrameCount, ...]]

    def report(self) -> dict[str, list[dict[str, object]]]:
        """Return the counts as plain values for JSON."""
        return {noun: [asdict(count) for count in counts] for noun, counts in self.counts.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _Prompt:
    """What an engine starts from.

    Args:
        start: a box `(4,)`, or the mask `(H, W)` that the detector gives for it.
        mask: run lengths of what the engine makes of it in the frame; empty: it was not asked yet.
    """

    noun: str
    score: float
    start: Tensor
    is_box: bool
    mask: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class _Masklet:
    noun: str
    score: float
    sequence: MaskSequence


class MaskletTracker:
    """Makes the masklets of videos with one engine, from boxes where it takes them, for a named detector."""

    def __init__(self, engine: Engine, settings: MaskletSettings, *, takes_boxes: bool, detector: str) -> None:
        self._engine = engine
        self._settings = settings
        self._takes_boxes = takes_boxes
        self._detector = detector

    def track(self, video: Video, found: Mapping[str, FoundByFrame]) -> Masklets:
        """Return the masklets of every noun; each is what its noun gives alone, only image features are shared.

        Args:
            found: by noun and index of the frame.

        Raises:
            InputError: boxes without masks for an engine that starts from masks, masks of another size, or a frame
                that cannot be read.
        """
        size = video.read_size()
        made: list[_Masklet] = []
        counts: dict[str, list[FrameCount]] = {noun: [] for noun in found}
        for frame in sorted({frame for by_frame in found.values() for frame in by_frame}):
            prompts: list[_Prompt] = []
            for noun, by_frame in found.items():
                if frame in by_frame:
                    own = self._pick_prompts(video, noun, by_frame[frame], size)
                    counts[noun].append(FrameCount(video.frames[frame], len(by_frame[frame].boxes.labels), len(own)))
                    prompts += own
            now = {noun: rows[-1] for noun, rows in counts.items() if rows}
            new = self._find_new(video, frame, prompts, made, now)
            made += self._carry(video, frame, size, new)
        ordered = [masklet for noun in found for masklet in made if masklet.noun == noun]
        tracklets = tuple(
            Tracklet.from_sequence(
                masklet.sequence, str(number), confidence=masklet.score, label=masklet.noun, detector=self._detector
            )
            for number, masklet in enumerate(ordered)
        )
        return Masklets(tracklets, {noun: tuple(rows) for noun, rows in counts.items()})

    def _pick_prompts(self, video: Video, noun: str, found: FrameInstances, size: tuple[int, int]) -> list[_Prompt]:
        boxes, used = pick_boxes(found.boxes, size, self._settings)
        is_box = self._takes_boxes and (self._settings.box_prompt == "box" or found.masks is None)
        if is_box:
            starts = [torch.from_numpy(boxes[place]) for place in used]
        elif found.masks is None:
            raise InputError(
                f"{video.id}: detector {self._detector} gives boxes alone and the engine starts from masks; "
                "take an engine that starts from boxes, or a detector that gives masks"
            )
        else:
            starts = [torch.from_numpy(decode((found.masks[place],), size)[0]) for place in used]
        scores = [float(found.boxes.scores[place]) for place in used]
        return [_Prompt(noun, score, start, is_box) for score, start in zip(scores, starts, strict=True)]

    def _find_new(
        self,
        video: Video,
        frame: int,
        prompts: Sequence[_Prompt],
        made: Sequence[_Masklet],
        counts: Mapping[str, FrameCount],
    ) -> list[_Prompt]:
        """Return the prompts of instances that have no masklet yet, with their masks, best first."""
        live: dict[str, list[Mask]] = {noun: [] for noun in counts}
        for masklet in made:
            live[masklet.noun].append(masklet.sequence.mask(frame))
        new = []
        masks = prompt(self._engine, video, frame, map(_stack, _cut(prompts))) if prompts else ()
        for start, mask in zip(prompts, masks, strict=True):
            own, count = live[start.noun], counts[start.noun]
            if not mask.any():
                count.empty += 1
            elif find_instance(mask, own, iou=self._settings.associate_iou) is not None:
                count.known += 1
            elif len(own) >= self._settings.max_instances:
                count.capped += 1
            else:
                count.started += 1
                own.append(mask)
                new.append(replace(start, mask=encode(mask[None])[0]))
        return new

    def _carry(self, video: Video, frame: int, size: tuple[int, int], new: Sequence[_Prompt]) -> Iterator[_Masklet]:
        """Yield the masklets that start in a frame, carried forwards and backwards from there."""
        for chunk in _cut(new):
            collectors = [
                SequenceCollector(begin_sequence(video, frame, size, start.mask), key=frame) for start in chunk
            ]
            masks, boxes = _stack(chunk)
            positions = tuple(range(len(chunk)))
            track = Track((frame,), positions, None if masks is None else masks[None].to(torch.uint8), boxes)
            for prediction in run_passes(video, [track], self._engine):
                collectors[prediction.position].add(prediction)
            for start, collector in zip(chunk, collectors, strict=True):
                yield _Masklet(start.noun, start.score, collector.finish())


def _cut(prompts: Sequence[_Prompt]) -> Iterator[Sequence[_Prompt]]:
    """Yield as many at once as there is memory for; boxes and masks never together."""
    for _, alike in groupby(prompts, key=lambda prompt: prompt.is_box):
        yield from cut(list(alike), EXPRESSIONS_AT_ONCE)


def _stack(prompts: Sequence[_Prompt]) -> Prompts:
    """Return masks `(B, H, W)` or boxes `(B, 4)`."""
    starts = torch.stack([prompt.start for prompt in prompts])
    return (None, starts) if prompts[0].is_box else (starts, None)
