"""The kinds of node by the key of a recipe that names them.

A kind is imported when a recipe is read; it imports its networks only where it computes, so that commands that only
look at results start quickly. Where an entry has the keys of two kinds, the upper one of this table is meant.
"""

from __future__ import annotations

from importlib import import_module

from rvos_fusion.kinds.base import Node

KINDS: dict[str, str] = {
    "import": "rvos_fusion.kinds.imported:ImportNode",
    "runner": "rvos_fusion.kinds.member:MemberNode",
    "propagate": "rvos_fusion.kinds.propagate:PropagateNode",
    "fuse": "rvos_fusion.kinds.fuse:FuseNode",
    "refine": "rvos_fusion.kinds.refine:RefineNode",
    "masklets": "rvos_fusion.kinds.masklets:MaskletsNode",
    "propose": "rvos_fusion.kinds.propose:ProposeNode",
    "track": "rvos_fusion.kinds.track:TrackNode",
    "ground": "rvos_fusion.kinds.ground:GroundNode",
    "gate": "rvos_fusion.kinds.gate:GateNode",
    "clean_up": "rvos_fusion.kinds.clean_up:CleanUpNode",
}


def list_kinds(section: str) -> dict[str, type[Node]]:
    """Return the kinds whose entries stand in a section of the recipe, by keyword."""
    kinds = {keyword: _load(place) for keyword, place in KINDS.items()}
    return {keyword: kind for keyword, kind in kinds.items() if kind.section == section}


def _load(place: str) -> type[Node]:
    module, _, name = place.partition(":")
    kind: type[Node] = getattr(import_module(module), name)
    return kind
