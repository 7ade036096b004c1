"""Whether the order of the sentences says anything, decided once for a data set and its members.

Groups by runs rest on sentences of one object standing together. The test needs the masks of all videos, so no task of
one video can make it: it is part of the plan. As long as results are missing, or where fewer than two videos have
sentences that stand apart, the order is trusted, as official files keep it. Once all results are there,
the outcome depends on nothing but them, and a recipe whose order says nothing is planned as one without groups. What
was decided is kept in the workspace beside the fingerprints that it was decided from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from fusion.runs import SURE_ORDER, OrderEvidence, count_hits, weigh_order
from fusion.votes import read_members
from rvos.errors import InputError, StoreError
from rvos.files.atomic import write_atomically
from rvos.files.json_files import read_json
from rvos.masks.stored.store import Store
from rvos.settings import count
from rvos.videos import Video
from rvos_fusion.kinds.base import Node, capability
from rvos_fusion.kinds.checksums import Checksums, hash_json
from rvos_fusion.planning.fingerprints import fingerprint_nodes
from rvos_fusion.recipe.recipe import Recipe

_FILE = "sentence_order.json"


@dataclass(frozen=True, slots=True)
class OrderFinding:
    """What the masks of some members say about the order of the file; None while results of videos are missing."""

    members: tuple[str, ...]
    evidence: OrderEvidence | None

    @property
    def is_refuted(self) -> bool:
        """Whether the order is known to say nothing."""
        return self.evidence is not None and self.evidence.is_tested and not self.evidence.is_sure

    def explain(self) -> str:
        """Return the warning for an order that says nothing."""
        assert self.evidence is not None
        return (
            f"groups by runs of {', '.join(self.members)}: sentences that stand together are hit with "
            f"{self.evidence.near:.2f}, distant ones with {self.evidence.far:.2f} (z = {self.evidence.z:.1f} over "
            f"{count(self.evidence.n_videos, 'video')}, expected above {SURE_ORDER:.0f}): the order "
            "of the file says nothing; "
            "every sentence stays on its own; use groups by object_id or a file if you know better"
        )


@runtime_checkable
class Ordered(Protocol):
    """A node that may rest on the order of the file's sentences."""

    def order_members(self) -> tuple[str, ...]:
        """Return the nodes whose masks tell whether that order says anything; none where it does not count."""

    def without_order(self) -> Node:
        """Return the node to take where it says nothing."""


def settle_order(recipe: Recipe, checksums: Checksums) -> tuple[Recipe, tuple[OrderFinding, ...]]:
    """Return the recipe as its sentences' order allows, and what was found for each set of deciding members."""
    ordered = {node.name: own for node in recipe.nodes if (own := capability(node, Ordered)) and own.order_members()}
    sets = tuple(dict.fromkeys(node.order_members() for node in ordered.values()))
    if not sets:
        return recipe, ()
    videos = recipe.dataset.open().videos
    findings = tuple(_find(recipe, members, videos, checksums) for members in sets)
    refuted = {finding.members for finding in findings if finding.is_refuted}
    changed = {name: node.without_order() for name, node in ordered.items() if node.order_members() in refuted}
    return replace(recipe, nodes=tuple(changed.get(node.name, node) for node in recipe.nodes)), findings


def _find(recipe: Recipe, members: tuple[str, ...], videos: Sequence[Video], checksums: Checksums) -> OrderFinding:
    below = recipe.graph.order(*members)
    every = {video.id: fingerprint_nodes(below, video, checksums) for video in videos}
    fingerprints = {video: {name: own[name] for name in members} for video, own in every.items()}
    path = recipe.workspace / _FILE
    key = hash_json([members, fingerprints])
    known = _read(path)
    if key in known:
        return OrderFinding(members, known[key])
    store = Store(recipe.workspace)
    # Names first: to read hundreds of videos in vain, as one is missing, would cost each command of an unfinished run.
    if not all(store.path(name, video, own[name]).exists() for video, own in fingerprints.items() for name in members):
        return OrderFinding(members, None)
    try:
        hits = [
            count_hits(
                read_members([store.read(name, video.id, own[name], soft=False) for name in members]),
                [expression.id for expression in video.expressions],
            )
            for video in videos
            for own in (fingerprints[video.id],)
        ]
    except StoreError:  # damaged, or made with other settings: the run makes it again
        return OrderFinding(members, None)
    evidence = weigh_order(hits)
    content = {name: asdict(found) for name, found in known.items()} | {key: asdict(evidence)}
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
    return OrderFinding(members, evidence)


def _read(path: Path) -> Mapping[str, OrderEvidence]:
    """Return what was decided before, by key; nothing where the file is not of this form."""
    try:
        content: Any = read_json(path)
        return {key: OrderEvidence(**values) for key, values in content.items()}
    except (InputError, AttributeError, TypeError):
        return {}
