"""A recipe as values: data set, members, engines and the nodes of both stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from fusion.groups import SAME_OBJECT, GroupingRule
from fusion.rules import FusionRule
from runners.base import ModelSettings

ImportFormat = Literal["png", "dump", "rle"]
IMPORT_FORMATS: tuple[str, ...] = get_args(ImportFormat)
DumpValues = Literal["logits", "probabilities"]
DUMP_VALUES: tuple[str, ...] = get_args(DumpValues)


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """`dataset:` of a recipe."""

    format: str
    root: Path
    split: str


@dataclass(frozen=True, slots=True)
class GroupsEntry:
    """`groups:` of a recipe.

    Args:
        file: JSON file, for `by: file`.
        members: nodes whose masks decide, for `by: agreement`.
        threshold: smallest tracklet IoU inside a group, for `by: agreement`.
    """

    by: GroupingRule = "none"
    file: Path | None = None
    members: tuple[str, ...] = ()
    threshold: float = SAME_OBJECT
    line: int = 0


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """One entry of `engines:`; the values are those of `propagate.engines.EngineSettings`.

    Args:
        options: further fields of EngineSettings.
    """

    name: str
    line: int
    network: str
    checkpoint: Path
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    options: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemberNode:
    """A referring network."""

    name: str
    line: int
    settings: ModelSettings
    stage: str | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """No node."""
        return ()


@dataclass(frozen=True, slots=True)
class ImportNode:
    """Masks that another system made.

    Args:
        format: `png`: folders `<video>/<exp>/<frame>.png`; `dump`: a `.pth` of the 2023 release; `rle`: JSON.
        path: folder or file.
        values: what a dump's `mask_logits` hold.
        keep_soft: keep soft maps of a dump beside the hard masks, for fusion by average.
    """

    name: str
    line: int
    format: ImportFormat
    path: Path
    values: DumpValues = "logits"
    keep_soft: bool = False
    stage: str | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """No node."""
        return ()


@dataclass(frozen=True, slots=True)
class PropagateNode:
    """Key-frame masks carried forwards and backwards.

    Args:
        source: node whose key-frame masks are carried.
        engine: what carries them.
        folder: masks that were propagated elsewhere; used instead of the engine where the folder exists.
        key_frames: node whose key frames are taken; None: those of `source`.
        n_references: frames that an engine starts from; the key frame alone, or further well-scored ones.
        key_rule: "scores": the key frame is what the source states, or its best-scored frame (Eq. 2); "steady": see
            `propagate.key_frames.pick_steady_frame`.
    """

    name: str
    line: int
    stage: str
    source: str
    engine: EngineEntry | None
    folder: Path | None = None
    key_frames: str | None = None
    n_references: int = 1
    key_rule: str = "scores"

    def uses_folder(self) -> bool:
        """Tell whether masks that were propagated elsewhere are there to be used."""
        return self.folder is not None and self.folder.is_dir()

    def working_engine(self) -> str | None:
        """Return the name of the engine that will work; None where masks were propagated elsewhere."""
        return None if self.engine is None or self.uses_folder() else self.engine.name

    @property
    def inputs(self) -> tuple[str, ...]:
        """The nodes that it reads."""
        return (self.source,) if self.key_frames in (None, self.source) else (self.source, str(self.key_frames))


@dataclass(frozen=True, slots=True)
class FuseNode:
    """Members combined expression by expression or group by group."""

    name: str
    line: int
    stage: str
    members: tuple[str, ...]
    rule: FusionRule
    groups: GroupsEntry

    @property
    def inputs(self) -> tuple[str, ...]:
        """The members, then the nodes that decide the groups."""
        deciding = self.groups.members if self.groups.by == "agreement" else ()
        return tuple(dict.fromkeys((*self.members, *deciding)))


Node = MemberNode | ImportNode | PropagateNode | FuseNode


@dataclass(frozen=True, slots=True)
class Recipe:
    """A checked `pipeline.yaml`.

    Args:
        path: the file.
        nodes: in the order of the file, models first.
        stages: names, in order; `--stage 1` is the first.
        submission: node whose masks are submitted.
    """

    path: Path
    dataset: DatasetEntry
    workspace: Path
    groups: GroupsEntry
    nodes: tuple[Node, ...]
    stages: tuple[str, ...]
    submission: str | None

    def node(self, name: str) -> Node:
        """Return a node by its name; the caller knows that it is there."""
        return next(node for node in self.nodes if node.name == name)


def describe_node(node: Node) -> str:
    """Return what a node does, in a few words."""
    if isinstance(node, MemberNode):
        return f"runs {node.settings.runner}"
    if isinstance(node, ImportNode):
        return f"imports {node.format} {node.path.name}"
    if isinstance(node, PropagateNode):
        by = f"folder {node.folder.name}" if node.uses_folder() and node.folder else f"engine {_engine(node)}"
        return f"propagates {node.source} by {by}"
    assert isinstance(node, FuseNode)
    threshold = f", threshold {node.rule.threshold}" if node.rule.threshold else ""
    return f"fuses {', '.join(node.members)} by {node.rule.method}{threshold}, groups by {node.groups.by}"


def _engine(node: PropagateNode) -> str:
    return node.engine.name if node.engine is not None else "none"
