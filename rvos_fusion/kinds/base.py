"""What every kind of node states; a new kind is one file with a class of this form and one line in `kinds/table.py`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.stored.store import Store
from rvos.settings import Given, Line
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import MASKS, Artefact
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.inputs import Input, find_inputs
from rvos_fusion.kinds.plain import plain_fields

FileUse = Literal["checkpoint", "settings", "data", "results", "manual"]
Capability = TypeVar("Capability")


@dataclass(frozen=True, slots=True)
class NodeFile:
    """A file or folder that must be there before a node can run.

    Args:
        what: in a word or two, such as "tokeniser".
        advice: what to say and do where it is missing.
        use: `checkpoint`: its content enters the fingerprint and the manifest; `settings`: the fingerprint alone;
            `data`: neither, as the node's `sources` tell what of it a video needs; `results`: as `data`, and made
            elsewhere for these videos, so that the node has nothing for any other; `manual`: as `data`, work by hand.
        family: key of `rvos_fusion.weights.known_weights` whose official files such a node reads; empty: none of them.
    """

    path: Path
    what: str
    advice: str
    use: FileUse
    family: str = ""


@dataclass(frozen=True, slots=True)
class WorkerKey:
    """What a worker must have loaded for a node, in words as a label: nodes with equal keys need one load.

    `shares`: several nodes of one video cost less in one call of `compute`.
    """

    label: str
    # Text, so that keys can be compared and counted.
    content: str
    shares: bool


@dataclass(frozen=True, slots=True)
class Node(ABC):
    """One named result of a recipe; the further fields of a kind are the keys of its entries.

    An input is a field whose annotation says what it must store, such as `kinds.inputs.MasksOf`. Notes of
    `rvos.settings` say the rest: another key, the name of an engine, keys of a dataclass in the same mapping.
    What single commands ask of a node stands in protocols beside them; `capability` finds it.

    Args:
        line: of the recipe, for messages; 0 where it comes from the command line.
        stage: None for models, which belong to every stage that reads them.
    """

    keyword: ClassVar[str]
    """The key of the recipe that says that an entry is of this kind, such as `propagate`."""
    kind: ClassVar[str]
    """The kind in a word, for people."""
    section: ClassVar[Literal["models", "stages"]] = "stages"
    """Where such entries stand."""
    artefact: ClassVar[Artefact] = MASKS
    """What is stored."""
    version: ClassVar[int] = 1
    """Raised when the same recipe gives another result, or a default changes: results of before are made again."""

    name: Annotated[str, Given("name")]
    line: Annotated[int, Line()]
    stage: Annotated[str | None, Given("stage")]

    def reads(self) -> tuple[Input, ...]:
        """Return what it reads of other nodes; a kind whose settings decide on it says here how."""
        return find_inputs(self)

    def inputs(self) -> tuple[str, ...]:
        """Return the nodes whose results it reads, each once."""
        return tuple(dict.fromkeys(one.node for one in self.reads()))

    def files(self) -> tuple[NodeFile, ...]:
        """Return what must be on disk; with alternatives (a folder or an engine), what will be used."""
        return ()

    def settings(self) -> object:
        """Return, for the fingerprint, the settings that change the result; plain values for JSON.

        All fields, so that a forgotten one cannot let an old result pass for a new one, as `plain_fields` has them.
        """
        return plain_fields(self)

    def sources(self, video: Video, checksums: Checksums) -> object:
        """Return, for the fingerprint, what identifies everything that it reads of a video; plain values for JSON."""
        return None

    def of_video(self, video: Video) -> Node:
        """Return the node as far as it concerns a video: what is left out does not count for its fingerprint there."""
        return self

    @abstractmethod
    def describe(self) -> str:
        """Return what it does, in a few words, for plans and progress."""

    @abstractmethod
    def detail(self) -> str:
        """Return its own settings in a word or two, for the report."""

    def check(self, nodes: NodeGraph) -> Iterable[str]:
        """Yield what cannot work, as far as the recipe alone tells; the inputs are there, and there is no cycle."""
        return ()

    def check_videos(self, videos: Sequence[Video]) -> Iterable[str]:
        """Yield what cannot work with these videos, without reading pixels; InputError where a file cannot be used."""
        return ()

    def worker_key(self) -> WorkerKey | None:
        """Return what must be loaded; None: nothing that is worth keeping."""
        return None

    def compute(self, tasks: Sequence[Task]) -> Sequence[Any]:
        """Return one artefact for each task of one video; a kind whose nodes share work does it here.

        Their nodes have equal worker keys, and this node is the first one's; or else they differ only in settings that
        `rvos_fusion.kinds.trials.Swept` names.
        """
        return [task.node.make(task) for task in tasks]

    @abstractmethod
    def make(self, task: Task) -> Any:
        """Return its artefact for one video."""


def capability(node: object, protocol: type[Capability]) -> Capability | None:
    """Return the node as something that can do what a runtime-checkable protocol asks; None where it cannot."""
    return node if isinstance(node, protocol) else None


class NodeGraph(Mapping[str, Node]):
    """The nodes of a recipe by name, in its order, and how they stand on each other."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = {node.name: node for node in nodes}

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def below(self, *names: str) -> tuple[Node, ...]:
        """Return nodes and everything that they stand on, the nearest first."""
        found = dict.fromkeys(names)
        waiting = list(names)
        for name in waiting:
            new = [source for source in self[name].inputs() if source not in found]
            found.update(dict.fromkeys(new))
            waiting += new
        return tuple(self[name] for name in found)

    def above(self, *names: str) -> tuple[Node, ...]:
        """Return nodes and everything that stands on them, in an order in which it can be made."""
        found = set(names)
        for node in self.order():
            if found.intersection(node.inputs()):
                found.add(node.name)
        return tuple(node for node in self.order() if node.name in found)

    def order(self, *names: str) -> tuple[Node, ...]:
        """Return all nodes, or some and what they stand on, in the recipe's order where inputs can so come first.

        There are no cycles, or the recipe was refused.
        """
        ordered: dict[str, Node] = {}

        def visit(node: Node) -> None:
            for name in node.inputs():
                if name not in ordered:
                    visit(self[name])
            ordered.setdefault(node.name, node)

        for name in names or self:
            visit(self[name])
        return tuple(ordered.values())


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker needs to compute a node for a video: ids and paths, never arrays.

    Args:
        inputs: name and fingerprint of every node that is read.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.
        versions: of all that makes the result, by name.
    """

    node: Node
    video: Video
    is_stored: ClassVar[bool] = True
    """Whether the result is kept, so that something may be written beside it."""

    inputs: tuple[tuple[str, str], ...]
    fingerprint: str
    workspace: Path
    device: str = "auto"
    versions: Mapping[str, int] = field(default_factory=dict)

    @property
    def place(self) -> Path:
        """Folder for what programs of other environments get and say."""
        return self.workspace / "commands"

    def read(self, name: str, *, soft: bool = False) -> tuple[MaskSequence, ...]:
        """Return the masks of one of the inputs; StoreError where they are missing, damaged, or of other settings."""
        # By fingerprint: a worker on a stale file system must not read what an earlier recipe left there.
        return Store(self.workspace).read(name, self.video.id, dict(self.inputs)[name], soft=soft)

    def read_artefact(self, name: str, artefact: Artefact) -> Any:
        """Return the result of one of the inputs, of any sort; raises as `read` does, and for one of another sort."""
        return Store(self.workspace).read_artefact(name, self.video.id, dict(self.inputs)[name], codec=artefact.codec)
