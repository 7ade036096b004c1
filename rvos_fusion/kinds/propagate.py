"""A propagation as a node: by an engine, or with masks that were propagated elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from propagate.engines.settings import EngineSettings
from propagate.key_rules.base import KeyRule
from propagate.key_rules.scores import BestScore
from propagate.key_rules.table import KEY_RULES
from rvos.errors import ConfigError
from rvos.ids import list_paths
from rvos.imports import open_source
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.settings import Chosen, Key, Named, Section
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import MASKS
from rvos_fusion.kinds.base import Node, NodeFile, NodeGraph, Task, WorkerKey
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.foreign.masks import find_lacking, import_folder
from rvos_fusion.kinds.foreign.stamps import stamp_masks
from rvos_fusion.kinds.inputs import Input, MasksOf
from rvos_fusion.kinds.networks.carriers import carrier_key, load_carrier
from rvos_fusion.kinds.networks.named import engine_files, explain_engine
from rvos_fusion.kinds.networks.operations import Clip, Effort, foresee_engine
from rvos_fusion.kinds.plain import plain_fields

if TYPE_CHECKING:
    from propagate.propagator import Propagator

Pair = tuple[MaskSequence, MaskSequence]
"""What is propagated, and what decides where it starts."""
Job = tuple["PropagateNode", Sequence[Pair]]
"""A node and its expressions."""
_FORMER = {"key_rule": "rule", "key_frames": "of", "references": "references"}
"""Keys of before, and what they are called inside of `key`."""


@dataclass(frozen=True, slots=True)
class PropagateNode(Node):
    """Key-frame masks carried forwards and backwards.

    Args:
        source: node whose key-frame masks are carried.
        engine: what carries them; None only where there is a folder.
        folder: masks that were propagated elsewhere; used instead of the engine where the folder exists.
        key: which frames it starts from.
        cuts: `split`: every shot has a key frame of its own, and nothing is carried across a cut.
    """

    keyword: ClassVar[str] = "propagate"
    kind: ClassVar[str] = "propagate"

    source: Annotated[MasksOf, Key("propagate")]
    engine: Annotated[EngineSettings | None, Named("engine")] = None
    folder: Path | None = None
    key: Annotated[KeyRule, Chosen("rule", KEY_RULES, "scores")] = field(default_factory=BestScore)
    cuts: Literal["ignore", "split"] = "ignore"

    def __post_init__(self) -> None:
        if self.engine is None and self.folder is None:
            raise ConfigError("neither 'engine' nor 'folder'; say what propagates")

    @staticmethod
    def explain_former(section: Section) -> str | None:
        """Return what to write instead of the keys that said the key frames before there was `key`."""
        given = [old for old in _FORMER if section.find(old) is not None]
        line = ", ".join(f"{_FORMER[old]}: {section.read_word(old)}" for old in given)
        return f"{' and '.join(given)} stand under 'key' now; write key: {{{line}}}" if given else None

    def reads(self) -> tuple[Input, ...]:
        soft = f"key: {{rule: {self.key.rule}}}" if self.key.needs_soft and self._working_engine() else ""
        if self.key.of in (None, self.source):
            return (Input(self.source, "propagate", MASKS, soft),)
        return Input(self.source, "propagate", MASKS), Input(str(self.key.of), "key.of", MASKS, soft)

    def files(self) -> tuple[NodeFile, ...]:
        engine = self._working_engine()
        if engine is None:
            assert self.folder is not None
            return (NodeFile(self.folder, "masks", "no such folder; correct it or name an engine", "results"),)
        return tuple(engine_files(engine, f" (and no folder {self.folder})" if self.folder is not None else ""))

    def settings(self) -> object:
        """All of them; a folder's masks are what they are, whatever the engine would have done."""
        return plain_fields(self, without=() if self._working_engine() else ("engine", "cuts"))

    def sources(self, video: Video, checksums: Checksums) -> object:
        if self._working_engine() is not None:
            # Masks and scores come in by the fingerprints of the inputs; of the video itself an engine sees frames
            # alone.
            return checksums.frames(video)
        assert self.folder is not None
        return ["propagated elsewhere", stamp_masks(self.folder, video)]

    def warn(self, nodes: NodeGraph) -> Iterable[str]:
        """Warn where the engine already worked on the input: the paper mixes engines on purpose."""
        for node in nodes.below(self.source):
            if not isinstance(node, PropagateNode) or self.engine is None or node.engine is None:
                continue
            is_same = node.engine.checkpoint is not None and node.engine.checkpoint == self.engine.checkpoint
            if is_same or node.engine == self.engine:
                before = node.engine.name
                name = "" if before == self.engine.name else f" by the name {before!r} and with the same checkpoint"
                yield (
                    f"{self.name} propagates with {self.engine.name!r}, as {node.name} did before it{name}; "
                    "another engine usually adds more"
                )
                return

    def describe(self) -> str:
        engine = self._working_engine()
        by = f"folder {self.folder.name if self.folder else ''}" if engine is None else f"engine {engine.name}"
        return f"propagates {self.source} by {by}{', every shot by itself' if self.cuts == 'split' else ''}"

    def detail(self) -> str:
        return self.engine.network if self.engine is not None else "imported"

    def passes_scores_of(self) -> str:
        return self.source

    def soft_maps(self) -> str | None:
        """The engine's probabilities, unless they are not kept; a folder has none."""
        engine = self._working_engine()
        if engine is None:
            return None
        return "" if engine.keep_soft else "set keep_soft: true on the engine"

    def worker_key(self) -> WorkerKey | None:
        """The engine: propagations of one video share its features of the frames."""
        engine = self._working_engine()
        return None if engine is None else carrier_key(engine)

    def foresee(self, clip: Clip) -> Effort | None:
        """See `planning.foresight.Computes`."""
        engine = self._working_engine()
        return None if engine is None else foresee_engine(engine, clip)

    def check_load(self) -> Iterable[str]:
        engine = self._working_engine()
        return () if engine is None else explain_engine(engine)

    def find_lacking(self, videos: Sequence[Video], *, deep: bool = False) -> Iterable[str]:
        if self._working_engine() is not None:
            return ()
        assert self.folder is not None
        source = open_source("png", self.folder, paths=list_paths(video.id for video in videos))
        return find_lacking(source, videos, self.folder, deep=deep)

    def compute(self, tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
        """Return the propagated masks of all expressions; scores and key frames are those it started from."""
        nodes = [task.node for task in tasks if isinstance(task.node, PropagateNode)]
        if self._working_engine() is None:
            return [node._read_folder(task) for task, node in zip(tasks, nodes, strict=True)]
        return self._propagate(tasks, nodes)

    def make(self, task: Task) -> Sequence[MaskSequence]:
        return self.compute([task])[0]

    def _working_engine(self) -> EngineSettings | None:
        """Return the engine that will work; None where masks were propagated elsewhere."""
        return None if self.folder is not None and self.folder.is_dir() else self.engine

    def _read_folder(self, task: Task) -> list[MaskSequence]:
        assert self.folder is not None
        sources = _read_sources(task, self)
        masks = import_folder(self.folder, task, [source for source, _ in sources])
        return [
            replace(mask, scores=source.scores, key_frame=self.key.pick(deciding), scored=source.scored)
            for mask, (source, deciding) in zip(masks, sources, strict=True)
        ]

    def _propagate(self, tasks: Sequence[Task], nodes: Sequence[PropagateNode]) -> Sequence[Sequence[MaskSequence]]:
        """Return the propagated masks of several nodes of one video that have one engine; it reads the frames once."""
        from propagate.shots import list_shots

        assert self.engine is not None
        video = tasks[0].video
        propagator = load_carrier(self.engine, tasks[0])
        pairs = [_read_sources(task, node) for task, node in zip(tasks, nodes, strict=True)]
        found: dict[int, list[MaskSequence]] = {}
        for cuts in sorted({node.cuts for node in nodes}):
            shots = list_shots(video) if cuts == "split" else [range(video.n_frames)]
            places = [place for place, node in enumerate(nodes) if node.cuts == cuts]
            jobs = [(nodes[place], pairs[place]) for place in places]
            found |= dict(zip(places, _carry_shots(propagator, video, shots, jobs), strict=True))
        return [found[place] for place in range(len(nodes))]


def _read_sources(task: Task, node: PropagateNode) -> list[Pair]:
    """Return the masks of every expression, and those that decide its key frame."""
    key = node.key
    sources = task.read(node.source, soft=key.reads_soft)
    if key.of in (None, node.source):
        return [(source, source) for source in sources]
    deciding = by_expression(task.read(key.of, soft=key.reads_soft))
    return [(source, deciding[source.expression]) for source in sources]


def _carry_shots(
    propagator: Propagator, video: Video, shots: Sequence[range], jobs: Sequence[Job]
) -> list[list[MaskSequence]]:
    """Return what each node comes to, every shot by itself."""
    if len(shots) == 1:
        return _carry(propagator, video, jobs)
    from propagate.shots import join_shots, take_shot

    parts = [
        _carry(
            propagator,
            video.take(shot),
            [
                (node, [(take_shot(source, shot), take_shot(deciding, shot)) for source, deciding in pairs])
                for node, pairs in jobs
            ],
        )
        for shot in shots
    ]
    return [
        [
            join_shots(
                source,
                shots,
                [part[number][place] for part in parts],
                node.engine is not None and node.engine.keep_soft,
            )
            for place, (source, _) in enumerate(pairs)
        ]
        for number, (node, pairs) in enumerate(jobs)
    ]


def _carry(propagator: Propagator, video: Video, jobs: Sequence[Job]) -> list[list[MaskSequence]]:
    """Return what each node comes to in frames that belong together."""
    from propagate.propagator import Source

    starts = [[node.key.list_starts(*pair) for pair in pairs] for node, pairs in jobs]
    carried = propagator.propagate(
        video,
        [
            Source([start for one in own for start in one], node.key.n_references)
            for own, (node, _) in zip(starts, jobs, strict=True)
        ],
    )
    return [
        [node.key.choose(source, list(islice(found, len(one)))) for (source, _), one in zip(pairs, own, strict=True)]
        for (node, pairs), own, found in zip(jobs, starts, map(iter, carried), strict=True)
    ]
