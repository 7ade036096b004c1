"""A propagation as a node: by an engine, or with masks that were propagated elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from propagate.consensus import Trial
from propagate.engines.own import find_engine
from propagate.engines.settings import EngineSettings
from propagate.key_frames import KeySettings
from rvos.errors import ConfigError, PipelineError
from rvos.imports import Source, open_source
from rvos.masks.mask_sequences import MaskSequence
from rvos.settings import Form, Range, nearest, show
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import MASKS, Artefact
from rvos_fusion.kinds.base import Node, NodeFile, Task, WorkerKey, plain
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.devices import choose_device
from rvos_fusion.kinds.entry import NodeEntry
from rvos_fusion.kinds.imported import find_lacking, import_folder
from rvos_fusion.kinds.loaded import NETWORK
from rvos_fusion.kinds.stamps import stamp_masks
from rvos_fusion.kinds.values import EngineEntry

if TYPE_CHECKING:
    from propagate.propagator import Propagator

# How much memory features may take changes the time and no mask.
_WITHOUT_EFFECT = frozenset({"cache_megabytes"})


@dataclass(frozen=True, slots=True)
class _PropagateEntry:
    """The keys of a propagation; `key_frames`, `key_rule` and `references` are the older form of `key`."""

    propagate: str
    engine: str | None = None
    folder: Path | None = None
    key: KeySettings | None = None
    key_frames: str | None = None
    key_rule: Literal["scores", "steady", "consensus"] | None = None
    references: Annotated[int, Range(least=1)] | None = None

    def __post_init__(self) -> None:
        if self.engine is None and self.folder is None:
            raise ConfigError("neither 'engine' nor 'folder'; say what propagates")
        if self.key is not None and (self.key_frames, self.key_rule, self.references) != (None, None, None):
            raise ConfigError(
                "key beside key_frames, key_rule or references; put these into key: {of, rule, references}"
            )

    def key_settings(self) -> KeySettings:
        """Return which frames it starts from, in either form."""
        return self.key or KeySettings(self.key_rule or "scores", self.key_frames, self.references or 1)


@dataclass(frozen=True, slots=True)
class PropagateNode(Node):
    """Key-frame masks carried forwards and backwards.

    Args:
        source: node whose key-frame masks are carried.
        engine: what carries them; None only where there is a folder.
        folder: masks that were propagated elsewhere; used instead of the engine where the folder exists.
        key: which frames it starts from.
    """

    keyword: ClassVar[str] = "propagate"
    kind: ClassVar[str] = "propagate"
    section: ClassVar[Literal["models", "stages"]] = "stages"
    artefact: ClassVar[Artefact] = MASKS

    source: str
    engine: EngineEntry | None
    folder: Path | None = None
    key: KeySettings = field(default_factory=KeySettings)

    @classmethod
    def forms(cls) -> tuple[Form, ...]:
        """Its keys."""
        return (Form(_PropagateEntry),)

    @classmethod
    def read(cls, entry: NodeEntry) -> Node | None:
        """Read the entry."""
        values = entry.load(_PropagateEntry)
        if values is None:
            return None
        if values.engine is not None and values.engine not in entry.engines:
            entry.note(f"engine {show(values.engine)} is unknown; {nearest(values.engine, entry.engines)}")
        engine = None if values.engine is None else entry.engines.get(values.engine)
        return cls(entry.name, entry.line, entry.stage, values.propagate, engine, values.folder, values.key_settings())

    def inputs(self) -> tuple[str, ...]:
        """The source, and the node that states the key frames."""
        return (self.source,) if self.key.of in (None, self.source) else (self.source, str(self.key.of))

    def files(self) -> tuple[NodeFile, ...]:
        """The folder where it is there, else the engine's checkpoint."""
        engine = self._working_engine()
        if engine is None:
            assert self.folder is not None
            return (NodeFile(self.folder, "masks", "no such folder; correct it or name an engine", "data"),)
        also = f" (and no folder {self.folder})" if self.folder is not None else ""
        advice = f"no such checkpoint{also}; put it there or correct the path"
        return engine_files(engine, advice)

    def settings(self) -> object:
        """Key frames and engine; a folder's masks are what they are, whatever the engine would have done."""
        engine = self._working_engine()
        if engine is None:
            # Its files are stamped in `sources`.
            return ["propagated elsewhere", self.source, self.key.of, self.key.rule]
        own = [self.source, self.key.of, self.key.references, self.key.rule]
        return [*own, *describe_engine(engine)]

    def sources(self, video: Video, checksums: Checksums) -> object:
        """The frames that an engine sees, or what the folder holds."""
        if self._working_engine() is not None:
            # Masks and scores come in by the fingerprints of the inputs; of the video itself an engine sees frames
            # alone.
            return checksums.frames(video)
        assert self.folder is not None
        return stamp_masks(self.folder, video)

    def warn(self, nodes: Mapping[str, Node]) -> Iterable[str]:
        """Warn where the engine already worked on the input: the paper mixes engines on purpose."""
        if self.engine is not None and (earlier := _find_engine(nodes, self.source, self.engine.name)):
            yield (
                f"{self.name} propagates with {self.engine.name!r}, as {earlier} did before it; "
                "another engine usually adds more"
            )

    def describe(self) -> str:
        """Source and engine."""
        engine = self._working_engine()
        by = f"folder {self.folder.name if self.folder else ''}" if engine is None else f"engine {engine.name}"
        return f"propagates {self.source} by {by}"

    def detail(self) -> str:
        """The engine's network."""
        return self.engine.network if self.engine is not None else "imported"

    def is_bound(self) -> bool:
        """Where the folder is there."""
        return self._working_engine() is None

    def score_scale(self, nodes: Mapping[str, Node]) -> str | None:
        """The source's: propagation passes scores on."""
        return nodes[self.source].score_scale(nodes)

    def lacks_soft(self) -> str | None:
        """The engine's probabilities, unless they are kept."""
        engine = self._working_engine()
        return None if engine is None or engine.options.get("keep_soft") else "set keep_soft: true on the engine"

    def worker_key(self) -> WorkerKey | None:
        """The engine: propagations of one video share its features of the frames."""
        engine = self._working_engine()
        # The whole entry: the same name with other scales is another load.
        if engine is None:
            return None
        return WorkerKey(f"engine {engine.name}", f"{engine!r}{engine_code(engine)}", shares=True)

    def check_load(self) -> Iterable[str]:
        """The engine, by the outline of its checkpoint."""
        engine = self._working_engine()
        if engine is not None:
            yield from explain_engine(engine)

    def check_data(self, videos: Sequence[Video]) -> Iterable[str]:
        """The masks of the folder."""
        return () if self._working_engine() is not None else find_lacking(_open_folder(self.folder), videos)

    def compute(self, tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
        """Return the propagated masks of all expressions; scores and key frames are those it started from."""
        nodes = [task.node for task in tasks if isinstance(task.node, PropagateNode)]
        if self._working_engine() is None:
            return [self._read_folder(task, _read_sources(task, node)) for task, node in zip(tasks, nodes, strict=True)]
        return self._propagate(tasks, nodes)

    def _working_engine(self) -> EngineEntry | None:
        """Return the engine that will work; None where masks were propagated elsewhere."""
        return None if self.folder is not None and self.folder.is_dir() else self.engine

    def _read_folder(self, task: Task, sources: Sequence[MaskSequence]) -> list[MaskSequence]:
        assert self.folder is not None
        masks = import_folder(self.folder, task, sources)
        return [
            replace(mask, scores=source.scores, key_frame=source.pick_key_frame(), scored=source.scored)
            for mask, source in zip(masks, sources, strict=True)
        ]

    def _propagate(self, tasks: Sequence[Task], nodes: Sequence[PropagateNode]) -> Sequence[Sequence[MaskSequence]]:
        """Return the propagated masks of several nodes of one video that have one engine; it reads the frames once."""
        from propagate.propagator import Source

        entry, device = self.engine, tasks[0].device
        assert entry is not None
        propagator: Propagator = NETWORK.get((self.worker_key(), device), lambda: _load(entry, device))
        trials = [_list_trials(task, node) for task, node in zip(tasks, nodes, strict=True)]
        carried = propagator.propagate(
            tasks[0].video,
            [
                Source(
                    [start for trial in own for start in trial.starts],
                    1 if node.key.is_consensus else node.key.references,
                )
                for own, node in zip(trials, nodes, strict=True)
            ],
        )
        return [
            [trial.choose(list(islice(found, len(trial.starts)))) for trial in own]
            for own, found in zip(trials, map(iter, carried), strict=True)
        ]


def engine_files(entry: EngineEntry, advice: str = "") -> tuple[NodeFile, ...]:
    """Return the checkpoint of an engine, and the code of a user's own.

    Args:
        advice: what to say where the checkpoint is missing.
    """
    settings = engine_settings(entry)
    advice = advice or "no such checkpoint; put it there or correct the path"
    checkpoint = NodeFile(entry.checkpoint, "checkpoint", advice, "checkpoint", settings.family)
    own = () if settings.family != "own" else find_engine(settings).sources
    return (checkpoint, *(NodeFile(path, "source", "no such file; install it again", "settings") for path in own))


def engine_code(entry: EngineEntry) -> str:
    """Return the checksum of a user's own engine, so that a worker loads an edited one anew; else nothing."""
    settings = engine_settings(entry)
    return "" if settings.family != "own" else find_engine(settings).checksum


def explain_engine(entry: EngineEntry) -> Iterator[str]:
    """Yield what would keep an engine from being loaded; no weights are read."""
    from propagate.engines.table import check_engine

    try:
        check_engine(engine_settings(entry))
    except PipelineError as error:
        yield str(error)


def _open_folder(folder: Path | None) -> Source:
    assert folder is not None
    return open_source("png", folder)


def engine_settings(entry: EngineEntry) -> EngineSettings:
    """Return what an entry says, as the engine takes it."""
    options = {**entry.options, "beside": entry.beside}
    return EngineSettings(entry.network, entry.checkpoint, entry.scales, entry.flip, **options)  # type: ignore[arg-type]


def describe_engine(entry: EngineEntry) -> list[object]:
    """Return, for the fingerprint, what of an engine changes the result; not its name, which changes nothing."""
    options = {key: value for key, value in entry.options.items() if key not in _WITHOUT_EFFECT}
    return [entry.network, plain(entry.scales), entry.flip, plain(options)]


def _load(entry: EngineEntry, device: str) -> Propagator:
    """Return a propagator with the loaded engine."""
    from propagate.engines.table import build_engine
    from propagate.propagator import PropagationSettings, Propagator

    settings = engine_settings(entry)
    engine = build_engine(settings, device=choose_device(device))
    return Propagator(engine, PropagationSettings(settings.skip_empty, settings.keep_soft))


def _read_sources(task: Task, node: PropagateNode) -> list[MaskSequence]:
    """Return the masks to start from, with the key frames by the node's rule."""
    key = node.key
    sources = list(task.read(node.source, soft=key.reads_soft))
    if key.of in (None, node.source):
        return [_restate(source, source, key) for source in sources]
    deciding = {sequence.expression: sequence for sequence in task.read(str(key.of), soft=key.reads_soft)}
    return [_restate(source, deciding[source.expression], key) for source in sources]


def _list_trials(task: Task, node: PropagateNode) -> list[Trial]:
    """Return, for every expression, what is carried; by any rule but the consensus that is one sequence."""
    if not node.key.is_consensus:
        return [Trial.of_one(source) for source in _read_sources(task, node)]
    return [Trial.of_several(source, node.key.references) for source in task.read(node.source, soft=True)]


def _restate(source: MaskSequence, deciding: MaskSequence, key: KeySettings) -> MaskSequence:
    """Return `source` with the key frame of `deciding`, without the soft maps that only the rule needs."""
    if key.rule == "scores" and deciding is source:
        return source
    return replace(source, key_frame=key.pick(deciding), soft=None)


def _find_engine(nodes: Mapping[str, Node], name: str, engine: str) -> str | None:
    """Return the nearest node below `name`, itself included, that propagates with an engine."""
    node = nodes[name]
    if isinstance(node, PropagateNode) and node.engine is not None and node.engine.name == engine:
        return node.name
    return next((found for source in node.inputs() if (found := _find_engine(nodes, source, engine))), None)
