"""Masklets as a node: what a detector finds of the sentences' nouns, carried through the video by an engine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from propagate.masklets import MaskletSettings
from rvos.errors import InputError
from rvos.files.atomic import write_atomically
from rvos.files.json_files import expect_object, read_json
from rvos.language.nouns import NounFinder, NounSettings, split_names
from rvos.masks.tracklets import Tracklet
from rvos.settings import Form, nearest, show
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import INSTANCES, Artefact
from rvos_fusion.kinds.base import Node, NodeFile, Task, WorkerKey, plain
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.detections import describe_detector, detector_files, explain_detector, stamp_detections
from rvos_fusion.kinds.devices import choose_device
from rvos_fusion.kinds.entry import NodeEntry
from rvos_fusion.kinds.loaded import NETWORK
from rvos_fusion.kinds.propagate import describe_engine, engine_files, engine_settings, explain_engine
from rvos_fusion.kinds.values import DetectorEntry, EngineEntry

if TYPE_CHECKING:
    from propagate.masklet_tracking import Masklets, MaskletTracker
    from runners.detectors.base import Detector


@dataclass(frozen=True, slots=True, kw_only=True)
class _MaskletsEntry(MaskletSettings):
    """The keys of masklets: detector and engine beside the settings."""

    masklets: str
    engine: str


@dataclass(frozen=True, slots=True)
class MaskletsNode(Node):
    """Masks of all instances of the nouns of a video's sentences, once for each noun.

    Args:
        nouns: how the nouns are found; of the whole recipe.
        rules: how boxes become masklets.
    """

    keyword: ClassVar[str] = "masklets"
    kind: ClassVar[str] = "masklets"
    section: ClassVar[Literal["models", "stages"]] = "stages"
    artefact: ClassVar[Artefact] = INSTANCES

    detector: DetectorEntry
    engine: EngineEntry
    nouns: NounSettings
    rules: MaskletSettings

    @classmethod
    def forms(cls) -> tuple[Form, ...]:
        """Its keys."""
        return (Form(_MaskletsEntry),)

    @classmethod
    def read(cls, entry: NodeEntry) -> Node | None:
        """Read the entry."""
        values = entry.load(_MaskletsEntry)
        if values is None:
            return None
        for what, name, known in (
            ("detector", values.masklets, entry.detectors),
            ("engine", values.engine, entry.engines),
        ):
            if name not in known:
                entry.note(f"{what} {show(name)} is unknown; {nearest(name, known)}")
        detector, engine = entry.detectors.get(values.masklets), entry.engines.get(values.engine)
        if detector is None or engine is None:
            return None
        rules = MaskletSettings(**{one.name: getattr(values, one.name) for one in fields(MaskletSettings)})
        return cls(entry.name, entry.line, entry.stage, detector, engine, entry.nouns, rules)

    def inputs(self) -> tuple[str, ...]:
        """No node: masklets depend on the video alone."""
        return ()

    def files(self) -> tuple[NodeFile, ...]:
        """What detector and engine load, and the user's nouns."""
        return (*engine_files(self.engine), *detector_files(self.detector), *noun_files(self.nouns))

    def settings(self) -> object:
        """Detector, engine and rules; not their names."""
        return [describe_detector(self.detector), *describe_engine(self.engine), plain(self.rules)]

    def sources(self, video: Video, checksums: Checksums) -> object:
        """Nouns, frames, and what was imported; another sentence of the same noun changes nothing."""
        imported = stamp_detections(self.detector, video)
        return [NounFinder(self.nouns).find_all(video), checksums.frames(video), imported]

    def check(self, nodes: Mapping[str, Node]) -> Iterable[str]:
        """Some engines need masks to start from."""
        if not self.detector.settings.gives_masks and not engine_settings(self.engine).takes_boxes:
            yield (
                f"detector {self.detector.name} gives boxes alone and engine {self.engine.name} starts from masks; "
                "take a SAM 2 engine, or a detector that gives masks"
            )

    def describe(self) -> str:
        """Detector and engine."""
        return f"tracks what {self.detector.name} finds by engine {self.engine.name}"

    def detail(self) -> str:
        """The two networks."""
        return f"{self.detector.settings.detector}, {self.engine.network}"

    def is_bound(self) -> bool:
        """Where the detections were made elsewhere."""
        return self.detector.settings.path is not None

    def worker_key(self) -> WorkerKey | None:
        """Detector and engine, both loaded: they take turns in every video."""
        label = f"detector {self.detector.name} and engine {self.engine.name}"
        return WorkerKey(label, repr((self.detector.settings, self.engine, self.rules)), shares=False)

    def check_load(self) -> Iterable[str]:
        """The detector and the engine."""
        yield from explain_detector(self.detector)
        yield from explain_engine(self.engine)

    def compute(self, tasks: Sequence[Task]) -> Sequence[Sequence[Tracklet]]:
        """Return the masklets; what became of the boxes is written to `masklets/NODE/VIDEO.json` of the workspace."""
        return [self._track(task) for task in tasks]

    def _track(self, task: Task) -> Sequence[Tracklet]:
        detector, tracker = NETWORK.get((self.worker_key(), task.device), lambda: self._load(task.device))
        nouns = NounFinder(self.nouns).find_all(task.video)
        frames = self.rules.list_frames(task.video.n_frames)
        found = detector.detect(task.video, frames, [split_names(noun) or (noun,) for noun in nouns])
        by_noun = {noun: dict(zip(frames, own, strict=True)) for noun, own in zip(nouns, found, strict=True)}
        masklets: Masklets = tracker.track(task.video, by_noun)
        write_report(task, masklets.report())
        return masklets.tracklets

    def _load(self, device: str) -> tuple[Detector, MaskletTracker]:
        from propagate.engines.table import build_engine
        from propagate.masklet_tracking import MaskletTracker
        from runners.detectors.table import build_detector

        place, settings = choose_device(device), engine_settings(self.engine)
        detector = build_detector(self.detector.settings, device=place)
        engine = build_engine(settings, device=place)
        tracker = MaskletTracker(
            engine, self.rules, takes_boxes=settings.takes_boxes, detector=self.detector.settings.detector
        )
        return detector, tracker


def noun_files(nouns: NounSettings) -> tuple[NodeFile, ...]:
    """Return the user's file of nouns; what it says of a video counts, not the file."""
    advice = "no such file of nouns; correct nouns.file"
    return () if nouns.file is None else (NodeFile(nouns.file, "nouns", advice, "data"),)


def write_report(task: Task, content: object) -> None:
    """Write what a node says of a video beside its result, for people: `KIND/NODE/VIDEO.json` of the workspace.

    Raises:
        StoreError: it cannot be written.
    """
    path = _name_report(task)
    text = json.dumps({"fingerprint": task.fingerprint, "video": task.video.id, "content": content}, indent=1)
    write_atomically(path, text.encode())


def read_report(task: Task) -> object:
    """Return what a node said of a video beside the result of a task; None where that is not there any more."""
    path = _name_report(task)
    try:
        found = expect_object(read_json(path), where=str(path)) if path.is_file() else {}
    except InputError:
        return None
    return found.get("content") if found.get("fingerprint") == task.fingerprint else None


def _name_report(task: Task) -> Path:
    return task.workspace / task.node.keyword / task.node.name / f"{task.video.id}.json"
