"""What a node would make with other settings, for scores alone, and which settings of a node are cheap to try."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from rvos.masks.mask_sequences import MaskSequence
from rvos_fusion.kinds.artefacts import Artefact
from rvos_fusion.kinds.base import Task


@dataclass(frozen=True, slots=True)
class Trial(Task):
    """A task whose result is not kept, and beside which nothing is written.

    Args:
        known: what was read, shared by all trials of a video, so that each stored result is read once.
    """

    is_stored: ClassVar[bool] = False

    known: dict[tuple[str, object], Any] = field(default_factory=dict)

    def read(self, name: str, *, soft: bool = False) -> tuple[MaskSequence, ...]:
        """See `Task`."""
        if (name, soft) not in self.known:
            self.known[name, soft] = Task.read(self, name, soft=soft)
        found: tuple[MaskSequence, ...] = self.known[name, soft]
        return found

    def read_artefact(self, name: str, artefact: Artefact) -> Any:
        """See `Task`."""
        if (name, artefact) not in self.known:
            self.known[name, artefact] = Task.read_artefact(self, name, artefact)
        return self.known[name, artefact]


Choice = Mapping[str, str]
"""Settings of a node by key, each as a recipe writes it; `fuse` and the like name its inputs."""


@runtime_checkable
class Swept(Protocol):
    """A node with settings of which many values can be tried at little more than the cost of one."""

    @property
    def cheap(self) -> tuple[str, ...]:
        """The keys of these settings in the recipe; `compute` takes nodes that differ in them alone."""

    def list_values(self, key: str, tasks: Iterable[Task]) -> Sequence[str]:
        """Return the values of a cheap setting that are worth a try, as a recipe writes them.

        `tasks` are those of this node, one a video, and read what its inputs stored.
        """

    def own_value(self, key: str) -> str:
        """Return the value that holds, in the same way, whether the recipe says it or not."""


Values = Mapping[str, Sequence[str]]
"""Values of settings by key, as a recipe writes them."""


class CheapRules:
    """A node whose cheap settings are some of its rules."""

    __slots__ = ()

    rules: Any
    values: ClassVar[Values]
    """Those that are worth a try."""

    @property
    def cheap(self) -> tuple[str, ...]:
        """See `Swept`."""
        return tuple(self.values)

    def list_values(self, key: str, tasks: Iterable[Task]) -> Sequence[str]:
        """See `Swept`."""
        return self.values[key]

    def own_value(self, key: str) -> str:
        """See `Swept`."""
        return f"{getattr(self.rules, key):g}"


@runtime_checkable
class Combining(Swept, Protocol):
    """A node that could do with fewer of its members."""

    def list_subsets(self, tasks: Iterable[Task]) -> Sequence[Choice]:
        """Return every subset of the members with every value of the cheap settings that is worth a try."""
