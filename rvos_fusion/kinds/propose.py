"""Proposals as a node: instance masks of a few frames, of any number of detectors and of the members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Literal

from propagate.proposals import ProposalSettings, list_key_frames, pool_frame
from propagate.tracklets import find_confidence
from rvos.errors import ConfigError, InputError
from rvos.language.nouns import NounFinder, NounSettings, split_names
from rvos.masks.detections import FrameInstances, Proposal, VideoProposals
from rvos.settings import Form, nearest, show
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import INSTANCE_PROPOSALS, MASKS, Artefact
from rvos_fusion.kinds.base import Node, NodeFile, Task, WorkerKey, plain
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.detections import describe_detector, detector_files, explain_detector, stamp_detections
from rvos_fusion.kinds.devices import choose_device
from rvos_fusion.kinds.entry import NodeEntry
from rvos_fusion.kinds.loaded import NETWORK
from rvos_fusion.kinds.masklets import noun_files, write_report
from rvos_fusion.kinds.propagate import describe_engine, engine_files, engine_settings, explain_engine
from rvos_fusion.kinds.values import DetectorEntry, EngineEntry

if TYPE_CHECKING:
    from propagate.engines.protocol import Engine
    from runners.detectors.base import Detector

ByFrame = dict[int, list[Proposal]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProposeEntry(ProposalSettings):
    """The keys of proposals: their sources beside the settings."""

    propose: tuple[str, ...]
    add_members: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()
    engine: str | None = None

    def __post_init__(self) -> None:
        # Named, as `super()` does not find its class where a dataclass with slots is made anew.
        ProposalSettings.__post_init__(self)
        if not self.propose and not self.add_members:
            raise ConfigError("no source of proposals; name a detector, or members under add_members")
        sources = (*self.propose, *self.add_members)
        twice = [name for name in dict.fromkeys(sources) if sources.count(name) > 1]
        if twice:
            raise ConfigError(f"two sources of proposals are called {show(twice[0])}; rename the detector")
        for name in self.factors:
            if name not in sources:
                raise ConfigError(f"factors: unknown key {show(name)}; {nearest(name, sources)}")


@dataclass(frozen=True, slots=True)
class ProposeNode(Node):
    """Instance masks of the key frames of a video, whatever its sentences say.

    Args:
        detectors: sources that look at the frames; those that need nouns are asked for all of them at once.
        members: nodes whose masks of all sentences are proposals too.
        asked: nouns to ask for; none: those of the video's sentences.
        engine: makes masks of boxes; None: every detector gives masks.
        nouns: how the nouns of sentences are found; of the whole recipe.
        rules: which frames are looked at, and what is used there.
    """

    keyword: ClassVar[str] = "propose"
    kind: ClassVar[str] = "propose"
    section: ClassVar[Literal["models", "stages"]] = "stages"
    artefact: ClassVar[Artefact] = INSTANCE_PROPOSALS

    detectors: tuple[DetectorEntry, ...]
    members: tuple[str, ...]
    asked: tuple[str, ...]
    engine: EngineEntry | None
    nouns: NounSettings
    rules: ProposalSettings

    @classmethod
    def forms(cls) -> tuple[Form, ...]:
        """Its keys."""
        return (Form(_ProposeEntry),)

    @classmethod
    def read(cls, entry: NodeEntry) -> Node | None:
        """Read the entry."""
        values = entry.load(_ProposeEntry)
        if values is None:
            return None
        for name in values.propose:
            if name not in entry.detectors:
                entry.note(f"detector {show(name)} is unknown; {nearest(name, entry.detectors)}")
        if values.engine is not None and values.engine not in entry.engines:
            entry.note(f"engine {show(values.engine)} is unknown; {nearest(values.engine, entry.engines)}")
        detectors = tuple(found for name in values.propose if (found := entry.detectors.get(name)) is not None)
        engine = None if values.engine is None else entry.engines.get(values.engine)
        rules = ProposalSettings(**{one.name: getattr(values, one.name) for one in fields(ProposalSettings)})
        asked = tuple(noun.strip().lower() for noun in values.nouns)
        return cls(
            entry.name, entry.line, entry.stage, detectors, values.add_members, asked, engine, entry.nouns, rules
        )

    def inputs(self) -> tuple[str, ...]:
        """The members."""
        return self.members

    def files(self) -> tuple[NodeFile, ...]:
        """What detectors and engine load, and the user's nouns."""
        found: list[NodeFile] = []
        if self.engine is not None:
            found += engine_files(self.engine)
        for detector in self.detectors:
            found += list(detector_files(detector))
        return (*found, *(noun_files(self.nouns) if self._asks_for_sentences() else ()))

    def settings(self) -> object:
        """Sources and rules; names of detectors count, as proposals state them."""
        detectors = [[one.name, describe_detector(one)] for one in self.detectors]
        engine = None if self.engine is None else describe_engine(self.engine)
        return [detectors, list(self.members), list(self.asked), engine, plain(self.rules)]

    def sources(self, video: Video, checksums: Checksums) -> object:
        """Nouns, frames, and what was imported."""
        imported = [stamp_detections(one, video) for one in self.detectors]
        frames = checksums.frames(video) if self._sees_frames() else list(video.frames)
        return [self._list_nouns(video), frames, imported]

    def check(self, nodes: Mapping[str, Node]) -> Iterable[str]:
        """Members must have masks, and boxes need an engine that makes masks of them."""
        for name in self.members:
            if nodes[name].artefact is not MASKS:
                yield f"add_members: {name} stores {nodes[name].artefact.codec.name}; name a node with masks"
        for detector in self.detectors:
            if not detector.settings.gives_masks and self.engine is None:
                yield (
                    f"detector {detector.name} gives boxes alone; name under 'engine' a SAM 2 engine that makes masks "
                    "of them, or take a detector that gives masks"
                )
        if self.engine is not None and not engine_settings(self.engine).takes_boxes:
            yield f"engine {self.engine.name} starts from masks; name a SAM 2 engine to make masks of boxes"

    def describe(self) -> str:
        """Sources and number of frames."""
        return f"proposes masks by {', '.join(self._names())} in {self.rules.key_frames} frames"

    def detail(self) -> str:
        """The sources."""
        return ", ".join(self._names())

    def is_bound(self) -> bool:
        """Where detections were made elsewhere."""
        return any(one.settings.path is not None for one in self.detectors)

    def worker_key(self) -> WorkerKey | None:
        """All detectors and the engine, loaded together: they take turns in every video."""
        if not self.detectors:
            return None
        label = f"detector {', '.join(one.name for one in self.detectors)}"
        return WorkerKey(label, repr(([one.settings for one in self.detectors], self.engine)), shares=False)

    def check_load(self) -> Iterable[str]:
        """The detectors and the engine."""
        for detector in self.detectors:
            yield from explain_detector(detector)
        if self.engine is not None:
            yield from explain_engine(self.engine)

    def compute(self, tasks: Sequence[Task]) -> Sequence[VideoProposals]:
        """Return the proposals; what became of each mask is written to `propose/NODE/VIDEO.json` of the workspace."""
        return [self._propose(task) for task in tasks]

    def _propose(self, task: Task) -> VideoProposals:
        video, size = task.video, task.video.read_size()
        key_frames = list_key_frames(video.n_frames, self.rules.key_frames, self.rules.sampling)
        found = {name: self._read_member(task, name, key_frames, size) for name in self.members}
        found = {**self._detect(task, key_frames), **found}
        proposals, counts = [], []
        for frame in key_frames:
            own = {name: found[name][frame] for name in self._names()}
            kept, rows = pool_frame(own, frame=video.frames[frame], size=size, settings=self.rules)
            proposals += kept
            counts += [row.as_json() for row in rows]
        write_report(task, {"key_frames": [video.frames[frame] for frame in key_frames], "counts": counts})
        return VideoProposals(video.id, video.frames, size, key_frames, tuple(proposals))

    def _read_member(self, task: Task, name: str, frames: Sequence[int], size: tuple[int, int]) -> ByFrame:
        found: ByFrame = {frame: [] for frame in frames}
        for sequence in task.read(name):
            sequence.check_fits(task.video, size, advice=f"make the masks of {name} again")
            for frame in frames:
                sure = find_confidence(sequence, frame)
                found[frame].append(Proposal(frame, sequence.runs[frame], sure, name, sequence.expression))
        return found

    def _detect(self, task: Task, frames: Sequence[int]) -> dict[str, ByFrame]:
        if not self.detectors:
            return {}
        detectors, engine = NETWORK.get((self.worker_key(), task.device), lambda: self._load(task.device))
        nouns = self._list_nouns(task.video)
        found: dict[str, ByFrame] = {}
        for entry, detector in zip(self.detectors, detectors, strict=True):
            names = nouns if entry.settings.needs_nouns else ()
            found[entry.name] = {frame: [] for frame in frames}
            # Nothing to ask for is nothing found.
            if names or not entry.settings.needs_nouns:
                (own,) = detector.detect(task.video, frames, [names])
                for frame, instances in zip(frames, own, strict=True):
                    masks = _find_masks(task.video, frame, instances, engine, entry.name)
                    found[entry.name][frame] = list(_to_proposals(frame, instances, masks, entry.name))
        return found

    def _load(self, device: str) -> tuple[list[Detector], Engine | None]:
        from propagate.engines.table import build_engine
        from runners.detectors.table import build_detector

        place = choose_device(device)
        engine = None if self.engine is None else build_engine(engine_settings(self.engine), device=place)
        return [build_detector(one.settings, device=place) for one in self.detectors], engine

    def _names(self) -> tuple[str, ...]:
        return (*(one.name for one in self.detectors), *self.members)

    def _sees_frames(self) -> bool:
        return any(one.settings.path is None for one in self.detectors) or self.engine is not None

    def _asks_for_sentences(self) -> bool:
        return not self.asked and any(one.settings.needs_nouns for one in self.detectors)

    def _list_nouns(self, video: Video) -> tuple[str, ...]:
        """Return what detectors are asked for, each noun once."""
        if not self._asks_for_sentences():
            return self.asked
        texts = NounFinder(self.nouns).find_all(video)
        return tuple(dict.fromkeys(name for text in texts for name in split_names(text) or (text,)))


def _find_masks(
    video: Video, frame: int, instances: FrameInstances, engine: Engine | None, detector: str
) -> tuple[bytes, ...]:
    if instances.masks is not None:
        return instances.masks
    if engine is None:
        raise InputError(
            f"{video.id}/{video.frames[frame]}: {detector} gives boxes alone; give masks too, or name under 'engine' a "
            "SAM 2 engine that makes masks of them"
        )
    from propagate.box_masks import find_masks

    return find_masks(engine, video, frame, instances.boxes.boxes)


def _to_proposals(frame: int, instances: FrameInstances, masks: Sequence[bytes], detector: str) -> Iterator[Proposal]:
    boxes = instances.boxes
    for mask, score, label in zip(masks, boxes.scores.tolist(), boxes.labels, strict=True):
        # Scores of networks are chances; rounding may lift one a little above 1.
        yield Proposal(frame, mask, min(max(score, 0.0), 1.0), detector, label)
