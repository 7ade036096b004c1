"""The kinds of node by the key of a recipe that names them.

A kind is imported when a recipe is read; it imports its networks only where it computes, so that commands that only
look at results start quickly. Where an entry has the keys of two kinds, the upper one of this table is meant.
"""

from __future__ import annotations

from importlib import import_module

from pipeline.kinds.base import Node

KINDS: dict[str, str] = {
    "import": "pipeline.kinds.imported:ImportNode",
    "runner": "pipeline.kinds.member:MemberNode",
    "propagate": "pipeline.kinds.propagate:PropagateNode",
    "fuse": "pipeline.kinds.fuse:FuseNode",
    "refine": "pipeline.kinds.refine:RefineNode",
    "masklets": "pipeline.kinds.masklets:MaskletsNode",
    "propose": "pipeline.kinds.propose:ProposeNode",
    "track": "pipeline.kinds.track:TrackNode",
    "ground": "pipeline.kinds.ground:GroundNode",
    "gate": "pipeline.kinds.gate:GateNode",
    "clean_up": "pipeline.kinds.clean_up:CleanUpNode",
}


def list_kinds(section: str) -> dict[str, type[Node]]:
    """Return the kinds whose entries stand in a section of the recipe, by keyword."""
    kinds = {keyword: _load(place) for keyword, place in KINDS.items()}
    return {keyword: kind for keyword, kind in kinds.items() if kind.section == section}


def _load(place: str) -> type[Node]:
    module, _, name = place.partition(":")
    kind: type[Node] = getattr(import_module(module), name)
    return kind
