"""What every kind of node states; a new kind is one file with a class of this form and one line in `kinds/table.py`."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Literal

from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.stored.store import Store
from rvos.settings import Form
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import Artefact
from rvos_fusion.kinds.capabilities import Ballot, Chooser, Cleaner, Combination, Gate, Grounding, Refiner
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.entry import NodeEntry

FileUse = Literal["checkpoint", "settings", "data"]


@dataclass(frozen=True, slots=True)
class NodeFile:
    """A file or folder that must be there before a node can run.

    Args:
        what: in a word or two, such as "tokeniser".
        advice: what to say and do where it is missing.
        use: `checkpoint`: its content enters the fingerprint and the manifest; `settings`: the fingerprint alone;
            `data`: neither, as the node's `sources` tell what of it a video needs.
        family: key of `rvos_fusion.weights.known_weights` whose official files such a node reads; empty: none of them.
    """

    path: Path
    what: str
    advice: str
    use: FileUse
    family: str = ""


@dataclass(frozen=True, slots=True)
class WorkerKey:
    """What a worker must have loaded for a node: nodes with equal keys need one load.

    Args:
        label: in words, such as "engine aot".
        content: everything that the load depends on.
        shares: several nodes of one video cost less in one call of `compute`.
    """

    label: str
    # Text, so that keys can be compared and counted.
    content: str
    shares: bool


@dataclass(frozen=True, slots=True)
class Node(ABC):
    """One named result of a recipe; the further fields of a kind are its settings.

    Args:
        line: of the recipe, for messages; 0 where it comes from the command line.
        stage: None for models, which belong to every stage that reads them.
    """

    keyword: ClassVar[str]
    """The key of the recipe that says that an entry is of this kind, such as `propagate`."""
    kind: ClassVar[str]
    """The kind in a word, for people."""
    section: ClassVar[Literal["models", "stages"]]
    """Where such entries stand."""
    artefact: ClassVar[Artefact]
    """What is stored."""
    version: ClassVar[int] = 1
    """Raised when the same recipe gives another result, or a default changes: results of before are made again."""

    name: str
    line: int
    stage: str | None

    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """Return the nodes whose results it reads, each once."""

    @abstractmethod
    def files(self) -> tuple[NodeFile, ...]:
        """Return what must be on disk; with alternatives (a folder or an engine), what will be used."""

    @abstractmethod
    def sources(self, video: Video, checksums: Checksums) -> object:
        """Return, for the fingerprint, what identifies everything that it reads of a video; plain values for JSON."""

    @abstractmethod
    def describe(self) -> str:
        """Return what it does, in a few words, for plans and progress."""

    @abstractmethod
    def detail(self) -> str:
        """Return its own settings in a word or two, for the report."""

    @abstractmethod
    def worker_key(self) -> WorkerKey | None:
        """Return what must be loaded; None: nothing that is worth keeping."""

    @abstractmethod
    def compute(self, tasks: Sequence[Task]) -> Sequence[Any]:
        """Return one artefact for each task.

        Args:
            tasks: of one video; their nodes have equal worker keys, and this node is the first one's.
        """

    # What most kinds have nothing to say about.

    @classmethod
    def read(cls, entry: NodeEntry) -> Node | None:
        """Return the node of an entry; None where problems were noted.

        The fields of the kind are the keys of its entries (`Annotated[str, Key("import")]` where a key has another
        name); a kind that refers to engines or groups, or computes fields from others, reads them here.
        """
        return entry.load(cls, name=entry.name, line=entry.line, stage=entry.stage)

    @classmethod
    def forms(cls) -> tuple[Form, ...]:
        """Return what its entries may hold, for the recipe's JSON schema; a kind with a `read` of its own says it.

        Of several forms the one counts whose `narrowed` names the value of the keyword; the last is for all others.
        """
        return (Form(cls, given=("name", "line", "stage")),)

    def settings(self) -> object:
        """Return, for the fingerprint, the settings that change the result; plain values for JSON.

        All fields, so that a forgotten one cannot let an old result pass for a new one. Paths are left out: moving a
        file changes nothing, and `files` or `sources` stand for what is in it. A kind whose settings have fields
        without effect on the result says here which.
        """
        # Name, line and stage say where a node stands, not what it gives: renaming one makes nothing again.
        return plain_fields(self, without=("name", "line", "stage"))

    def check(self, nodes: Mapping[str, Node]) -> Iterable[str]:
        """Yield what cannot work, as far as the recipe alone tells.

        Args:
            nodes: of the recipe by name; the inputs are there, and there is no cycle.
        """
        return ()

    def warn(self, nodes: Mapping[str, Node]) -> Iterable[str]:
        """Yield what is allowed but looks like a mistake; `nodes` as in `check`."""
        return ()

    def check_videos(self, videos: Sequence[Video]) -> Iterable[str]:
        """Yield what cannot work with these videos, as far as shows without reading pixels.

        Raises:
            InputError: a file that the node takes from them cannot be read.
        """
        return ()

    def check_load(self) -> Iterable[str]:
        """Yield what would keep it from being loaded; no weights are read.

        Only asked of nodes with a worker key, whose files are there.
        """
        return ()

    def check_data(self, videos: Sequence[Video]) -> Iterable[str]:
        """Yield of what it takes from elsewhere what these videos lack, as far as names tell.

        Raises:
            InputError: it cannot be opened at all.
        """
        return ()

    def is_bound(self) -> bool:
        """Tell whether its masks were made elsewhere, so that it has none for any other video."""
        return False

    def protocol(self) -> str | None:
        """Return which frames of a video a network sees together, for the manifest; None without such a choice."""
        return None

    def score_scale(self, nodes: Mapping[str, Node]) -> str | None:
        """Return what its scores are measured on; nodes of one scale can be compared. None: it has no scores."""
        return f"the scores of {self.name}"

    def lacks_soft(self) -> str | None:
        """Return how to keep its probabilities, which it has and does not store; None where that is no fault."""
        return None

    def order_members(self) -> tuple[str, ...]:
        """Return the nodes whose masks tell whether the file's order says anything; none where it does not count."""
        return ()

    def without_order(self) -> Node:
        """Return the node to take where the order of the file says nothing."""
        return self

    def combination(self) -> Combination | None:
        """Return how it combines members; None where it does not."""
        return None

    def gate(self) -> Gate | None:
        """Return how it empties answers; None where it does not."""
        return None

    def unfitted(self) -> Node:
        """Return the node without what was fitted."""
        return self

    def ballot(self) -> Ballot | None:
        """Return how it votes; None where nothing is counted."""
        return None

    def refiner(self) -> Refiner | None:
        """Return how it refines; None where it does something else."""
        return None

    def cleaner(self) -> Cleaner | None:
        """Return how it cleans masks; None where it does something else."""
        return None

    def grounding(self, task: Task) -> Grounding | None:
        """Return how it scored the tracklets of a task's video; None where it scores none, or nothing is known."""
        return None

    def chooser(self) -> Chooser | None:
        """Return what it chooses from; None where it chooses nothing."""
        return None


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
    inputs: tuple[tuple[str, str], ...]
    fingerprint: str
    workspace: Path
    device: str = "auto"
    versions: Mapping[str, int] = field(default_factory=dict)

    def read(self, name: str, *, soft: bool = False) -> tuple[MaskSequence, ...]:
        """Return the masks of one of the inputs.

        Raises:
            StoreError: missing, damaged, or made with other settings.
        """
        # By fingerprint: a worker on a stale file system must not read what an earlier recipe left there.
        return Store(self.workspace).read(name, self.video.id, dict(self.inputs)[name], soft=soft)

    def read_artefact(self, name: str, artefact: Artefact) -> Any:
        """Return the result of one of the inputs that stores something else than masks.

        Raises:
            StoreError: missing, damaged, made with other settings, or of another sort.
        """
        return Store(self.workspace).read_artefact(name, self.video.id, dict(self.inputs)[name], codec=artefact.codec)


def plain_fields(value: Any, *, without: Sequence[str] = ()) -> object:
    """Return the fields of a dataclass as plain values; paths are left out."""
    names = (field.name for field in dataclasses.fields(value) if field.name not in without)
    return plain({name: getattr(value, name) for name in names})


def plain(value: object) -> object:
    """Return a setting as JSON can write it, always in the same way; paths inside of it are left out.

    Raises:
        TypeError: a value that has no such form; the kind must say itself what it means.
    """
    # 1 and 1.0 are different texts: a setting that becomes a float counts as changed, which is safe.
    if value is None or isinstance(value, bool | int | float | str):
        return value
    # As a text of two whole numbers: a float would lose what tells 1/3 from 0.333.
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(content) for key, content in value.items() if not isinstance(content, Path)}
    if isinstance(value, Sequence):
        return [plain(content) for content in value if not isinstance(content, Path)]
    if dataclasses.is_dataclass(value):
        return plain_fields(value)
    # No `repr`: that of an object may hold its address, and no result would ever be found again.
    raise TypeError(f"a setting of type {type(value).__name__} has no plain form")
