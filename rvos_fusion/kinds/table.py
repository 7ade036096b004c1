"""The kinds of node by the key of a recipe that names them.

A kind is imported when a recipe is read; it imports its networks only where it computes, so that commands that only
look at results start quickly. Where an entry has the keys of two kinds, the upper one of this table is meant.
"""

from __future__ import annotations

from importlib import import_module

from rvos.errors import ConfigError
from rvos.settings import Names, list_keys, nearest, show
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
    "ground_frames": "rvos_fusion.kinds.ground_frames:GroundFramesNode",
    "locate": "rvos_fusion.kinds.locate:LocateNode",
    "judge": "rvos_fusion.kinds.judge:JudgeNode",
    "gate": "rvos_fusion.kinds.gate:GateNode",
    "exists": "rvos_fusion.kinds.exists:ExistsNode",
    "clean_up": "rvos_fusion.kinds.clean_up:CleanUpNode",
    "correct": "rvos_fusion.kinds.correct:CorrectNode",
}

VARIANTS: dict[str, tuple[str, ...]] = {
    "runner": ("rvos_fusion.kinds.outside:CommandNode", "rvos_fusion.kinds.outside:OwnNode"),
}
"""Further kinds of a keyword, whose value then decides: the first that takes it is meant."""


def list_kinds(section: str) -> dict[str, type[Node]]:
    """Return the kinds whose entries stand in a section of the recipe, by keyword."""
    kinds = {keyword: _load(place) for keyword, place in KINDS.items()}
    return {keyword: kind for keyword, kind in kinds.items() if kind.section == section}


def list_variants(keyword: str) -> dict[type[Node], Names | None]:
    """Return the kinds of a keyword, each with the values of the keyword that it takes; None: any."""
    kinds = [_load(place) for place in (KINDS[keyword], *VARIANTS.get(keyword, ()))]
    return {kind: list_keys(kind)[keyword].note(Names) for kind in kinds}


def choose_variant(keyword: str, value: str) -> type[Node]:
    """Return the kind that is meant by the value of a keyword; ConfigError where none takes it."""
    variants = list_variants(keyword)
    for kind, names in variants.items():
        if names is None or names.holds(value):
            return kind
    refusing = [names for names in variants.values() if names is not None]
    known = [word for names in refusing for word in names.known()]
    advice = " ".join([nearest(value, known), *(names.advice for names in refusing if names.advice)])
    raise ConfigError(f"{keyword} {show(value)} is unknown; {advice}")


def _load(place: str) -> type[Node]:
    module, _, name = place.partition(":")
    kind: type[Node] = getattr(import_module(module), name)
    return kind
