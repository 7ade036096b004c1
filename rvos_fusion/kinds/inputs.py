"""Inputs of nodes, typed by what they must store: `source: Annotated[MasksOf, Key("refine")]`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from rvos.settings import list_fields
from rvos.settings.fields import find_note, strip
from rvos_fusion.kinds.artefacts import CANDIDATES, INSTANCE_PROPOSALS, INSTANCES, MASKS, Artefact


@dataclass(frozen=True, slots=True)
class Input:
    """What a node reads of another one.

    Args:
        node: the other one.
        key: of the recipe that names it, for messages.
        artefact: that it must store.
        soft: what needs its probabilities, in words; empty: nothing does.
        hard_will_do: masks without probabilities count as 0 and 1; probabilities that are there must be kept.
        also: what it may store instead.
    """

    node: str
    key: str
    artefact: Artefact
    soft: str = ""
    hard_will_do: bool = False
    also: tuple[Artefact, ...] = ()


@dataclass(frozen=True, slots=True)
class _Stores:
    """Marks the name of a node: what it must store."""

    artefact: Artefact
    also: tuple[Artefact, ...] = ()


MasksOf = Annotated[str, _Stores(MASKS)]
"""Name of a node with mask sequences."""
InstancesOf = Annotated[str, _Stores(INSTANCES)]
"""Name of a node with masklets."""
ProposalsOf = Annotated[str, _Stores(INSTANCE_PROPOSALS)]
"""Name of a node with proposals."""
CandidatesOf = Annotated[str, _Stores(CANDIDATES)]
"""Name of a node with tracklets."""
AnyTrackletsOf = Annotated[str, _Stores(CANDIDATES, also=(INSTANCES,))]
"""Name of a node with tracklets or with masklets."""


def find_inputs(settings: object) -> tuple[Input, ...]:
    """Return the inputs that the fields of a dataclass name, in their order."""
    cls: type = type(settings)
    return tuple(
        found for one in list_fields(cls) for found in _list_inputs(one.hint, getattr(settings, one.name), one.key)
    )


def _list_inputs(hint: Any, value: Any, key: str) -> Iterator[Input]:
    note = find_note(hint, _Stores)
    if note is not None and value is not None:
        yield Input(value, key, note.artefact, also=note.also)
    elif get_origin(strip(hint)) is tuple:
        for item in value:
            yield from _list_inputs(get_args(strip(hint))[0], item, key)
