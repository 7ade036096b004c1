"""Masklets from boxes or masks of a detector, carried through the video by an engine.

Source: docs/specs/refinement.md, section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from math import exp

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from propagate.box_masks import Prompts, prompt
from propagate.collecting import SequenceCollector, begin_sequence
from propagate.engines.protocol import Engine, Step
from propagate.masklets import MaskletSettings, find_instance, pick_boxes, suppress
from propagate.passes import EXPRESSIONS_AT_ONCE, Renew, Track, cut, run_passes
from rvos.errors import InputError
from rvos.masks.detections import FrameInstances
from rvos.masks.mask_sequences import MaskSequence, decode, encode
from rvos.masks.tracklets import Tracklet
from rvos.videos import Video

_LEAST_PRESENCE = 1 / (1 + exp(-0.8))
"""Above which an engine must hold a masklet to be in a frame, so that it may start anew there; officially a logit."""
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
        suppressed: whose masks are copies of better ones.
        known: of instances that have a masklet already.
        unsure: whose scores are too low for a new masklet.
        capped: that came after the largest number of instances.
        started: new masklets.
        renewed: masklets that started anew from one of them.
    """

    frame: str
    boxes: int
    used: int
    empty: int = 0
    suppressed: int = 0
    known: int = 0
    unsure: int = 0
    capped: int = 0
    started: int = 0
    renewed: int = 0


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
        start: a box `(4,)`, or the run lengths of the mask that the detector gives for it.
        mask: run lengths of what the engine makes of it in its frame; empty: it was not asked yet.
    """

    noun: str
    score: float
    start: Tensor | bytes
    mask: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class _Masklet:
    noun: str
    score: float
    sequence: MaskSequence


Counts = dict[str, dict[int, FrameCount]]
"""By noun and frame."""
Sure = Mapping[int, Sequence[_Prompt]]
"""By frame, what masklets may start anew from; empty: they never do."""


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
        prompts: dict[int, list[_Prompt]] = {}
        counts: Counts = {noun: {} for noun in found}
        for frame in sorted({frame for by_frame in found.values() for frame in by_frame}):
            seen = {noun: by_frame[frame] for noun, by_frame in found.items() if frame in by_frame}
            prompts[frame] = self._look(video, frame, seen, size, counts)
        sure = self._list_sure(prompts)
        made: list[_Masklet] = []
        for frame, own in prompts.items():
            new = self._find_new(frame, own, made, size, counts)
            made += self._carry(video, frame, size, new, sure, counts)
        ordered = [masklet for noun in found for masklet in made if masklet.noun == noun]
        tracklets = tuple(
            Tracklet.from_sequence(
                masklet.sequence, str(number), confidence=masklet.score, label=masklet.noun, detector=self._detector
            )
            for number, masklet in enumerate(ordered)
        )
        return Masklets(tracklets, {noun: tuple(rows.values()) for noun, rows in counts.items()})

    def _look(
        self, video: Video, frame: int, found: Mapping[str, FrameInstances], size: tuple[int, int], counts: Counts
    ) -> list[_Prompt]:
        """Return what is used of a frame, with its masks, noun by noun and best first."""
        prompts: list[_Prompt] = []
        for noun, instances in found.items():
            own = self._pick_prompts(video, noun, instances, size)
            counts[noun][frame] = FrameCount(video.frames[frame], len(instances.boxes.labels), len(own))
            prompts += own
        starts = (_stack(chunk, size) for chunk in _cut(prompts))
        masks = prompt(self._engine, video, frame, starts) if prompts else ()
        by_noun: dict[str, list[tuple[_Prompt, Mask]]] = {noun: [] for noun in found}
        for start, mask in zip(prompts, masks, strict=True):
            if mask.any():
                by_noun[start.noun].append((start, mask))
            else:
                counts[start.noun][frame].empty += 1
        kept: list[_Prompt] = []
        for noun, pairs in by_noun.items():
            places = suppress([mask for _, mask in pairs], iou=self._settings.mask_iou)
            counts[noun][frame].suppressed = len(pairs) - len(places)
            kept += [replace(pairs[place][0], mask=encode(pairs[place][1][None])[0]) for place in places]
        return kept

    def _pick_prompts(self, video: Video, noun: str, found: FrameInstances, size: tuple[int, int]) -> list[_Prompt]:
        boxes, used = pick_boxes(found.boxes, size, self._settings)
        is_box = self._takes_boxes and (self._settings.box_prompt == "box" or found.masks is None)
        if is_box:
            starts: list[Tensor | bytes] = [torch.from_numpy(boxes[place]) for place in used]
        elif found.masks is None:
            raise InputError(
                f"{video.id}: detector {self._detector} gives boxes alone and the engine starts from masks; "
                "take an engine that starts from boxes, or a detector that gives masks"
            )
        else:
            starts = [found.masks[place] for place in used]
        scores = [float(found.boxes.scores[place]) for place in used]
        return [_Prompt(noun, score, start) for score, start in zip(scores, starts, strict=True)]

    def _list_sure(self, prompts: Mapping[int, Sequence[_Prompt]]) -> Sure:
        """Return the masks from which masklets may start anew."""
        every, least = self._settings.recondition_frames, self._settings.recondition_score
        return {
            frame: [one for one in own if one.score >= least]
            for frame, own in prompts.items()
            if every != "off" and frame % every == 0
        }

    def _find_new(
        self,
        frame: int,
        prompts: Sequence[_Prompt],
        made: Sequence[_Masklet],
        size: tuple[int, int],
        counts: Counts,
    ) -> list[_Prompt]:
        """Return the prompts of instances that have no masklet yet, best first."""
        live: dict[str, list[Mask]] = {noun: [] for noun in counts}
        for masklet in made:
            live[masklet.noun].append(masklet.sequence.mask(frame))
        is_first = {noun: not own for noun, own in live.items()}
        new = []
        for start in prompts:
            own, count = live[start.noun], counts[start.noun][frame]
            mask = decode((start.mask,), size)[0]
            if find_instance(mask, own, iou=self._settings.associate_iou) is not None:
                count.known += 1
            elif start.score < self._settings.new_score and not is_first[start.noun]:
                count.unsure += 1
            elif len(own) >= self._settings.max_instances:
                count.capped += 1
            else:
                count.started += 1
                own.append(mask)
                new.append(start)
        return new

    def _carry(
        self, video: Video, frame: int, size: tuple[int, int], new: Sequence[_Prompt], sure: Sure, counts: Counts
    ) -> Iterator[_Masklet]:
        """Yield the masklets that start in a frame, carried forwards and backwards from there."""
        for chunk in _cut(new):
            collectors = [
                SequenceCollector(begin_sequence(video, frame, size, start.mask), key=frame) for start in chunk
            ]
            # One that may start anew goes alone: it would take the others along.
            n_together = 1 if sure else len(chunk)
            tracks = [
                _start(frame, range(first, first + n_together), chunk, size)
                for first in range(0, len(chunk), n_together)
            ]
            renew = self._choose_renewal([start.noun for start in chunk], size, sure, counts) if sure else None
            for prediction in run_passes(video, tracks, self._engine, renew=renew):
                collectors[prediction.position].add(prediction)
            for start, collector in zip(chunk, collectors, strict=True):
                yield _Masklet(start.noun, start.score, collector.finish())

    def _choose_renewal(self, nouns: Sequence[str], size: tuple[int, int], sure: Sure, counts: Counts) -> Renew:
        """Return what tells where masklets of these nouns start anew, each of a track of its own."""

        def renew(track: Track, frame: int, step: Step) -> Tensor | None:
            (position,) = track.positions
            is_there = step.presence is None or float(step.presence[0]) > _LEAST_PRESENCE
            own = [start.mask for start in sure.get(frame, ()) if start.noun == nouns[position]] if is_there else []
            masks = list(decode(tuple(own), size)) if own else []
            place = find_instance(step.masks[0].cpu().numpy(), masks, iou=self._settings.recondition_iou)
            if place is None:
                return None
            counts[nouns[position]][frame].renewed += 1
            return torch.from_numpy(masks[place].astype(np.uint8))[None]

        return renew


def _start(frame: int, positions: Sequence[int], prompts: Sequence[_Prompt], size: tuple[int, int]) -> Track:
    """Return the track of some prompts, by their positions."""
    masks, boxes = _stack([prompts[position] for position in positions], size)
    return Track((frame,), tuple(positions), None if masks is None else masks[None].to(torch.uint8), boxes)


def _cut(prompts: Sequence[_Prompt]) -> Iterator[Sequence[_Prompt]]:
    """Yield as many at once as there is memory for; boxes and masks never together."""
    for _, alike in groupby(prompts, key=lambda prompt: isinstance(prompt.start, Tensor)):
        yield from cut(list(alike), EXPRESSIONS_AT_ONCE)


def _stack(prompts: Sequence[_Prompt], size: tuple[int, int]) -> Prompts:
    """Return masks `(B, H, W)` or boxes `(B, 4)`."""
    boxes = [one.start for one in prompts if isinstance(one.start, Tensor)]
    runs = tuple(one.start for one in prompts if isinstance(one.start, bytes))
    return (None, torch.stack(boxes)) if boxes else (torch.from_numpy(decode(runs, size)), None)
