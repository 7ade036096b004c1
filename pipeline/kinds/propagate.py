"""A propagation as a node: by an engine, or with masks that were propagated elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pipeline.checksums import Checksums
from pipeline.devices import choose_device
from pipeline.kinds.artefacts import MASKS, Artefact
from pipeline.kinds.base import Node, NodeFile, Task, WorkerKey, plain
from pipeline.kinds.imported import import_folder
from pipeline.kinds.loaded import NETWORK
from pipeline.kinds.reading import count
from pipeline.kinds.stamps import stamp_masks
from pipeline.recipe.entry import NodeEntry
from pipeline.recipe.values import EngineEntry
from rvos.mask_sequences import MaskSequence
from rvos.videos import Video

if TYPE_CHECKING:
    from propagate.propagator import Propagator

_KEYS = ("propagate", "engine", "folder", "key_frames", "references", "key_rule")
_KEY_RULES = ("scores", "steady")
_WITHOUT_EFFECT = frozenset({"cache_megabytes"})


@dataclass(frozen=True, slots=True)
class PropagateNode(Node):
    """Key-frame masks carried forwards and backwards.

    Args:
        source: node whose key-frame masks are carried.
        engine: what carries them; None only where there is a folder.
        folder: masks that were propagated elsewhere; used instead of the engine where the folder exists.
        key_frames: node whose key frames are taken; None: those of `source`.
        n_references: frames that an engine starts from; the key frame alone, or further well-scored ones.
        key_rule: "scores": the key frame is what the source states, or its best-scored frame (Eq. 2); "steady": see
            `propagate.key_frames.pick_steady_frame`.
    """

    keyword: ClassVar[str] = "propagate"
    kind: ClassVar[str] = "propagate"
    section: ClassVar[Literal["models", "stages"]] = "stages"
    artefact: ClassVar[Artefact] = MASKS

    source: str
    engine: EngineEntry | None
    folder: Path | None = None
    key_frames: str | None = None
    n_references: int = 1
    key_rule: str = "scores"

    @classmethod
    def read(cls, entry: NodeEntry) -> Node | None:
        """Read the entry."""
        values, text, where = entry.read_keys(_KEYS, needed=("propagate",)), entry.text, entry.where
        source = text.text(values["propagate"], f"{where}.propagate")
        folder = text.path(values["folder"], f"{where}.folder") if "folder" in values else None
        key_frames = text.text(values["key_frames"], f"{where}.key_frames") if "key_frames" in values else None
        engine = None
        if "engine" in values:
            name = text.choice(values["engine"], f"{where}.engine", tuple(entry.engines))
            engine = entry.engines[name] if name else None
        elif folder is None:
            text.problems.add(entry.mapping, f"{where}: neither 'engine' nor 'folder'; say what propagates")
        references: int | None = 1
        if "references" in values:
            references = text.convert(values["references"], f"{where}.references", count, "a whole number above 0")
        rule: str | None = _KEY_RULES[0]
        if "key_rule" in values:
            rule = text.choice(values["key_rule"], f"{where}.key_rule", _KEY_RULES)
        if source is None or references is None or rule is None:
            return None
        return cls(entry.name, entry.line, entry.stage, source, engine, folder, key_frames, references, rule)

    def inputs(self) -> tuple[str, ...]:
        """The source, and the node that states the key frames."""
        return (self.source,) if self.key_frames in (None, self.source) else (self.source, str(self.key_frames))

    def files(self) -> tuple[NodeFile, ...]:
        """The folder where it is there, else the engine's checkpoint."""
        engine = self._working_engine()
        if engine is None:
            assert self.folder is not None
            return (NodeFile(self.folder, "masks", "no such folder; correct it or name an engine", "data"),)
        also = f" (and no folder {self.folder})" if self.folder is not None else ""
        advice = f"no such checkpoint{also}; put it there or correct the path"
        return (NodeFile(engine.checkpoint, "checkpoint", advice, "checkpoint"),)

    def settings(self) -> object:
        """Key frames and engine; a folder's masks are what they are, whatever the engine would have done."""
        engine = self._working_engine()
        if engine is None:
            return ["propagated elsewhere", self.source, self.key_frames, self.key_rule]
        options = {key: value for key, value in engine.options.items() if key not in _WITHOUT_EFFECT}
        own = [self.source, self.key_frames, self.n_references, self.key_rule]
        # Not the engine's name: calling it otherwise changes nothing.
        return [*own, engine.network, plain(engine.scales), engine.flip, plain(options)]

    def sources(self, video: Video, checksums: Checksums) -> object:
        """The frames that an engine sees, or what the folder holds."""
        if self._working_engine() is not None:
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
        return None if engine is None else WorkerKey(f"engine {engine.name}", repr(engine), shares=True)

    def compute(self, tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
        """Return the propagated masks of all expressions; scores and key frames are those it started from."""
        nodes = [task.node for task in tasks if isinstance(task.node, PropagateNode)]
        starts = [_read_sources(task, node) for task, node in zip(tasks, nodes, strict=True)]
        if self._working_engine() is None:
            return [self._read_folder(task, sources) for task, sources in zip(tasks, starts, strict=True)]
        return self._propagate(tasks, [(start, node.n_references) for start, node in zip(starts, nodes, strict=True)])

    def _working_engine(self) -> EngineEntry | None:
        """Return the engine that will work; None where masks were propagated elsewhere."""
        return None if self.folder is not None and self.folder.is_dir() else self.engine

    def _read_folder(self, task: Task, sources: Sequence[MaskSequence]) -> list[MaskSequence]:
        assert self.folder is not None
        masks = import_folder(self.folder, task, sources)
        return [
            replace(mask, scores=source.scores, key_frame=source.pick_key_frame())
            for mask, source in zip(masks, sources, strict=True)
        ]

    def _propagate(
        self, tasks: Sequence[Task], starts: Sequence[tuple[Sequence[MaskSequence], int]]
    ) -> Sequence[Sequence[MaskSequence]]:
        """Return the propagated masks of several nodes of one video that have one engine; it reads the frames once."""
        from propagate.propagator import Source

        entry, device = self.engine, tasks[0].device
        assert entry is not None
        propagator: Propagator = NETWORK.get((self.worker_key(), device), lambda: _load(entry, device))
        return propagator.propagate(
            tasks[0].video, [Source(sequences, n_references) for sequences, n_references in starts]
        )


def _load(entry: EngineEntry, device: str) -> Propagator:
    """Return a propagator with the loaded engine."""
    from propagate.engines.settings import EngineSettings
    from propagate.engines.table import build_engine
    from propagate.propagator import PropagationSettings, Propagator

    options = dict(entry.options)
    settings = EngineSettings(entry.network, entry.checkpoint, entry.scales, entry.flip, **options)  # type: ignore[arg-type]
    engine = build_engine(settings, device=choose_device(device))
    return Propagator(engine, PropagationSettings(settings.skip_empty, settings.keep_soft))


def _read_sources(task: Task, node: PropagateNode) -> list[MaskSequence]:
    """Return the masks to start from, with the key frames of the node that states them."""
    is_steady = node.key_rule == "steady"
    sources = list(task.read(node.source, soft=is_steady))
    if node.key_frames in (None, node.source):
        return [_restate(source, source, is_steady=is_steady) for source in sources]
    stated = {sequence.expression: sequence for sequence in task.read(str(node.key_frames), soft=is_steady)}
    return [_restate(source, stated[source.expression], is_steady=is_steady) for source in sources]


def _restate(source: MaskSequence, stated: MaskSequence, *, is_steady: bool) -> MaskSequence:
    """Return `source` with the key frame of `stated`, without the soft maps that only the rule needs."""
    from propagate.key_frames import pick_steady_frame

    if is_steady:
        return replace(source, key_frame=pick_steady_frame(stated), soft=None)
    return source if stated is source else replace(source, key_frame=stated.pick_key_frame())


def _find_engine(nodes: Mapping[str, Node], name: str, engine: str) -> str | None:
    """Return the nearest node below `name`, itself included, that propagates with an engine."""
    node = nodes[name]
    if isinstance(node, PropagateNode) and node.engine is not None and node.engine.name == engine:
        return node.name
    return next((found for source in node.inputs() if (found := _find_engine(nodes, source, engine))), None)
