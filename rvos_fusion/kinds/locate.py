"""Members without training: a detector reads a sentence in a few frames, and its surest instance is the mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np

from propagate.engines.settings import EngineSettings
from propagate.proposals import list_key_frames
from runners.detectors.base import DetectorSettings
from rvos.language.nouns import NounFinder, NounSettings, plain_sentence, split_names
from rvos.masks.detections import FrameInstances, list_presence
from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.settings import Given, Key, Named, Size
from rvos.videos import Expression, Video
from rvos_fusion.kinds.base import Node, NodeFile, NodeGraph, Task, WorkerKey
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.networks.boxes import explain_boxes, find_masks, load_detectors
from rvos_fusion.kinds.networks.loaded import NETWORK
from rvos_fusion.kinds.networks.named import (
    detector_files,
    engine_files,
    engine_key,
    explain_detector,
    explain_engine,
    noun_files,
    stamp_detections,
)
from rvos_fusion.kinds.side_reports import write_report

if TYPE_CHECKING:
    from propagate.engines.protocol import Engine

Found = Mapping[int, FrameInstances]
"""What was found of a phrase, by frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocateNode(Node):
    """One mask a sentence, in the frame where a detector is surest of it; `propagate` carries it through the video.

    Args:
        detector: is asked for every sentence.
        engine: makes masks of boxes; None: the detector gives masks.
        frames: how many are looked at, evenly spread.
        phrase: what is asked for: the whole sentence, or its noun.
        nouns: how the nouns are found; of the whole recipe.
    """

    keyword: ClassVar[str] = "locate"
    kind: ClassVar[str] = "locate"

    detector: Annotated[DetectorSettings, Named("detector"), Key("locate")]
    engine: Annotated[EngineSettings | None, Named("engine")] = None
    frames: Size = 8
    phrase: Literal["sentence", "noun"] = "sentence"
    nouns: Annotated[NounSettings, Given("nouns")]

    def files(self) -> tuple[NodeFile, ...]:
        engine = () if self.engine is None else engine_files(self.engine)
        return (*engine, *detector_files(self.detector), *(noun_files(self.nouns) if self.phrase == "noun" else ()))

    def sources(self, video: Video, checksums: Checksums) -> object:
        return [self._list_phrases(video), checksums.frames(video), stamp_detections(self.detector, video)]

    def check(self, nodes: NodeGraph) -> Iterable[str]:
        yield from explain_boxes([self.detector], self.engine)
        if not self.detector.needs_nouns and self.phrase == "sentence":
            yield f"detector {self.detector.name} knows categories, no sentences; set phrase: noun"

    def describe(self) -> str:
        return f"locates sentences by {self.detector.name} in {self.frames} frames"

    def detail(self) -> str:
        return self.detector.detector

    def score_scale(self) -> str:
        return f"the scores of {self.detector.detector}"

    def worker_key(self) -> WorkerKey | None:
        """Detector and engine, loaded together: they take turns in every video."""
        engine = "" if self.engine is None else engine_key(self.engine)
        return WorkerKey(f"detector {self.detector.name}", f"{self.detector} {engine}", shares=False)

    def check_load(self) -> Iterable[str]:
        yield from explain_detector(self.detector)
        if self.engine is not None:
            yield from explain_engine(self.engine)

    def make(self, task: Task) -> list[MaskSequence]:
        """Return the sequences; what was asked, and where it was found, is written beside the result."""
        video = task.video
        (detector,), engine = NETWORK.get(
            (self.worker_key(), task.device), lambda: load_detectors([self.detector], self.engine, task)
        )
        looked, phrases = list_key_frames(video.n_frames, self.frames), self._list_phrases(video)
        asked = [names for names in dict.fromkeys(phrases) if names]
        found = {
            names: dict(zip(looked, own, strict=True))
            for names, own in zip(asked, detector.detect(video, looked, asked) if asked else (), strict=True)
        }
        sequences, rows = [], []
        for expression, names in zip(video.expressions, phrases, strict=True):
            sequence = self._choose(video, expression, found.get(names, {}), engine)
            sequences.append(sequence)
            best = {video.frames[frame]: round(float(sequence.scores[frame]), 4) for frame in looked}
            rows.append({"expression": expression.id, "asked": list(names), "best_scores": best})
        write_report(task, {"frames": [video.frames[frame] for frame in looked], "sentences": rows})
        return sequences

    def _choose(self, video: Video, expression: Expression, found: Found, engine: Engine | None) -> MaskSequence:
        """Return the mask of the surest instance; scores are those of each frame's surest, 0 where nobody looked."""
        size, scores = video.read_size(), np.zeros(video.n_frames, np.float32)
        for frame, instances in found.items():
            scores[frame] = instances.boxes.scores.max(initial=0)
        (nothing,) = encode(np.zeros((1, *size), np.bool_))
        runs = [nothing] * video.n_frames
        key = int(scores.argmax())
        if scores[key] > 0:
            instances = found[key]
            best = int(instances.boxes.scores.argmax())
            (runs[key],) = find_masks(video, key, instances, engine, self.detector.name, only=best)
        presence = list_presence(found, video.n_frames)
        return MaskSequence(
            video.id, expression.id, video.frames, size, tuple(runs), scores, key_frame=key, presence=presence
        )

    def _list_phrases(self, video: Video) -> list[tuple[str, ...]]:
        """Return what is asked for each sentence; nothing where it has no word."""
        if self.phrase == "noun":
            finder = NounFinder(self.nouns)
            return [split_names(finder.find(video, expression).text) for expression in video.expressions]
        return [(text,) if (text := plain_sentence(expression)) else () for expression in video.expressions]
