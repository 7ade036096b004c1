"""Masklets as a node: what a detector finds of the sentences' nouns, carried through the video by an engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from propagate.engines.settings import EngineSettings
from propagate.masklets import MaskletSettings, pick_boxes
from runners.detectors.base import DetectorSettings
from rvos.language.nouns import NounSettings
from rvos.masks.detections import list_presence
from rvos.masks.tracklets import Instances
from rvos.settings import Flat, Given, Key, Named, count
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import INSTANCES, Artefact
from rvos_fusion.kinds.base import Node, NodeFile, NodeGraph, Task, WorkerKey
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.networks.boxes import load_detectors
from rvos_fusion.kinds.networks.ladder import NOTHING, RUNGS, Depth, Found, Names, descend, list_ladders
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
    from propagate.masklet_tracking import Masklets, MaskletTracker
    from runners.detectors.base import Detector


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskletsNode(Node):
    """Masks of all instances of the nouns of a video's sentences, once for each noun.

    Args:
        ladder: what is asked for beside the nouns: `broader`: also what each is a sort of, and what has more instances
            is kept; `sentence`: where nothing is found, whole sentences too.
        nouns: how the nouns are found; of the whole recipe.
        rules: how boxes become masklets.
    """

    keyword: ClassVar[str] = "masklets"
    kind: ClassVar[str] = "masklets"
    artefact: ClassVar[Artefact] = INSTANCES

    detector: Annotated[DetectorSettings, Named("detector"), Key("masklets")]
    engine: Annotated[EngineSettings, Named("engine")]
    ladder: Depth = "noun"
    nouns: Annotated[NounSettings, Given("nouns")]
    rules: Annotated[MaskletSettings, Flat()]

    def files(self) -> tuple[NodeFile, ...]:
        return (*engine_files(self.engine), *detector_files(self.detector), *noun_files(self.nouns))

    def sources(self, video: Video, checksums: Checksums) -> object:
        """What is asked for, frames, and what was imported; another sentence of the same noun changes no noun."""
        ladders = list_ladders(video, self.nouns, self.ladder)
        asked = [noun if self.ladder == "noun" else [noun, one.broader, one.sentences] for noun, one in ladders.items()]
        return [asked, checksums.frames(video), stamp_detections(self.detector, video)]

    def check(self, nodes: NodeGraph) -> Iterable[str]:
        if not self.detector.gives_masks and not self.engine.takes_boxes:
            yield (
                f"detector {self.detector.name} gives boxes alone and engine {self.engine.name} starts from masks; "
                "take a SAM 2 engine, or a detector that gives masks"
            )
        if not self.detector.needs_nouns and self.ladder == "sentence":
            yield f"detector {self.detector.name} knows categories, no sentences; set ladder: broader"

    def describe(self) -> str:
        return f"tracks what {self.detector.name} finds by engine {self.engine.name}"

    def detail(self) -> str:
        return f"{self.detector.detector}, {self.engine.network}"

    def worker_key(self) -> WorkerKey | None:
        label = f"detector {self.detector.name} and engine {self.engine.name}"
        return WorkerKey(label, f"{self.detector} {engine_key(self.engine)} {self.rules}", shares=False)

    def check_load(self) -> Iterable[str]:
        yield from explain_detector(self.detector)
        yield from explain_engine(self.engine)

    def make(self, task: Task) -> Instances:
        """Return the masklets; what became of the boxes is written beside the result."""
        detector, tracker = NETWORK.get((self.worker_key(), task.device), lambda: self._load(task))
        video = task.video
        frames, size = self.rules.list_frames(video.n_frames), video.read_size()

        def ask(rungs: Sequence[Names]) -> list[Found]:
            return [dict(zip(frames, own, strict=True)) for own in detector.detect(video, frames, rungs)]

        def count_used(found: Found) -> int:
            return sum(len(pick_boxes(one.boxes, size, self.rules)[1]) for one in found.values())

        steps = descend(list_ladders(video, self.nouns, self.ladder), ask, count_used)
        masklets: Masklets = tracker.track(video, {noun: step.found for noun, step in steps.items()})
        frame_counts = masklets.report()
        report = {
            noun: {"rung": step.rung, "kept": step.kept, "instances": step.instances, "frames": frame_counts[noun]}
            for noun, step in steps.items()
        }
        write_report(task, report)
        said = {noun: list_presence(step.found, video.n_frames) for noun, step in steps.items()}
        return Instances(masklets.tracklets, {noun: own for noun, own in said.items() if own is not None})

    def count_reports(self, contents: Sequence[Any]) -> str:
        """Return how many nouns got their masklets from which rung of the ladder."""
        rungs = Counter(own["rung"] for content in contents for own in content.values())
        counted = ", ".join(f"{rungs[name]} {name}" for name in (*RUNGS, NOTHING) if rungs[name])
        return f"{count(rungs.total(), 'noun')} with instances by: {counted or NOTHING}"

    def _load(self, task: Task) -> tuple[Detector, MaskletTracker]:
        from propagate.masklet_tracking import MaskletTracker

        (detector,), engine = load_detectors([self.detector], self.engine, task)
        assert engine is not None
        takes_boxes, name = self.engine.takes_boxes, self.detector.detector
        return detector, MaskletTracker(engine, self.rules, takes_boxes=takes_boxes, detector=name)
