"""Proposals as a node: instance masks of a few frames, of any number of detectors and of the members."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from propagate.engines.settings import EngineSettings
from propagate.proposals import ProposalSettings, list_key_frames, pool_frame
from propagate.tracklets import find_confidence
from runners.detectors.base import DetectorSettings
from rvos.errors import ConfigError
from rvos.language.nouns import NounFinder, NounSettings, split_names
from rvos.masks.detections import Proposal, VideoProposals
from rvos.settings import Flat, Given, Key, Named, nearest, show
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import INSTANCE_PROPOSALS, Artefact
from rvos_fusion.kinds.base import Node, NodeFile, NodeGraph, Task, WorkerKey
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.inputs import MasksOf
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
from rvos_fusion.kinds.plain import plain_fields
from rvos_fusion.kinds.side_reports import write_report

if TYPE_CHECKING:
    pass

ByFrame = dict[int, list[Proposal]]


@dataclass(frozen=True, slots=True, kw_only=True)
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
    artefact: ClassVar[Artefact] = INSTANCE_PROPOSALS

    detectors: Annotated[tuple[Annotated[DetectorSettings, Named("detector")], ...], Key("propose")]
    members: Annotated[tuple[MasksOf, ...], Key("add_members")] = ()
    asked: Annotated[tuple[str, ...], Key("nouns")] = ()
    engine: Annotated[EngineSettings | None, Named("engine")] = None
    nouns: Annotated[NounSettings, Given("nouns")]
    rules: Annotated[ProposalSettings, Flat()]

    def __post_init__(self) -> None:
        sources = self._names()
        if not sources:
            raise ConfigError("no source of proposals; name a detector, or members under add_members")
        twice = [name for name in dict.fromkeys(sources) if sources.count(name) > 1]
        if twice:
            raise ConfigError(f"two sources of proposals are called {show(twice[0])}; rename the detector")
        for name in self.rules.factors:
            if name not in sources:
                raise ConfigError(f"factors: unknown key {show(name)}; {nearest(name, sources)}")

    def files(self) -> tuple[NodeFile, ...]:
        engine = () if self.engine is None else engine_files(self.engine)
        detectors = (file for detector in self.detectors for file in detector_files(detector))
        return (*engine, *detectors, *(noun_files(self.nouns) if self._asks_for_sentences() else ()))

    def settings(self) -> object:
        """All of them, and the names of the detectors, as proposals state them."""
        return [[one.name for one in self.detectors], plain_fields(self)]

    def sources(self, video: Video, checksums: Checksums) -> object:
        imported = [stamp_detections(one, video) for one in self.detectors]
        sees_frames = any("detections" not in one.files for one in self.detectors) or self.engine is not None
        frames = checksums.frames(video) if sees_frames else list(video.frames)
        return [self._list_nouns(video), frames, imported]

    def check(self, nodes: NodeGraph) -> Iterable[str]:
        return explain_boxes(self.detectors, self.engine)

    def describe(self) -> str:
        return f"proposes masks by {', '.join(self._names())} in {self.rules.key_frames} frames"

    def detail(self) -> str:
        return ", ".join(self._names())

    def worker_key(self) -> WorkerKey | None:
        """All detectors and the engine, loaded together: they take turns in every video."""
        if not self.detectors:
            return None
        label = f"detector {', '.join(one.name for one in self.detectors)}"
        engine = "" if self.engine is None else engine_key(self.engine)
        return WorkerKey(label, f"{self.detectors} {engine}", shares=False)

    def check_load(self) -> Iterable[str]:
        for detector in self.detectors:
            yield from explain_detector(detector)
        if self.engine is not None:
            yield from explain_engine(self.engine)

    def make(self, task: Task) -> VideoProposals:
        """Return the proposals; what became of each mask is written beside the result."""
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
        detectors, engine = NETWORK.get(
            (self.worker_key(), task.device), lambda: load_detectors(self.detectors, self.engine, task)
        )
        nouns = self._list_nouns(task.video)
        found: dict[str, ByFrame] = {}
        for settings, detector in zip(self.detectors, detectors, strict=True):
            names = nouns if settings.needs_nouns else ()
            found[settings.name] = {frame: [] for frame in frames}
            # Nothing to ask for is nothing found.
            if names or not settings.needs_nouns:
                (own,) = detector.detect(task.video, frames, [names])
                for frame, instances in zip(frames, own, strict=True):
                    masks, boxes = find_masks(task.video, frame, instances, engine, settings.name), instances.boxes
                    # Scores of networks are chances; rounding may lift one a little above 1.
                    found[settings.name][frame] = [
                        Proposal(frame, mask, min(max(score, 0.0), 1.0), settings.name, label)
                        for mask, score, label in zip(masks, boxes.scores.tolist(), boxes.labels, strict=True)
                    ]
        return found

    def _names(self) -> tuple[str, ...]:
        return (*(one.name for one in self.detectors), *self.members)

    def _asks_for_sentences(self) -> bool:
        return not self.asked and any(one.needs_nouns for one in self.detectors)

    def _list_nouns(self, video: Video) -> tuple[str, ...]:
        """Return what detectors are asked for, each noun once."""
        if not self._asks_for_sentences():
            return tuple(noun.strip().lower() for noun in self.asked)
        texts = NounFinder(self.nouns).find_all(video)
        return tuple(dict.fromkeys(name for text in texts for name in split_names(text) or (text,)))
