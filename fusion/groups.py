"""Groups: which expressions of a video describe the same object and are therefore fused with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np

from rvos.errors import InputError
from rvos.files.json_files import read_json
from rvos.ids import compose_name
from rvos.masks.runs import Runs, intersect, tracklet_iou
from rvos.settings import name_type
from rvos.videos import Video

GroupingRule = Literal["object_id", "runs", "neighbours", "agreement", "file", "none"]
SAME_OBJECT = 0.5

Similarities = dict[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Group:
    """Expressions of one object, in file order; confidence by masks, 0 (a coin's toss) to 1."""

    expressions: tuple[str, ...]
    confidence: float | None = None


def group_by_object(video: Video) -> tuple[Group, ...]:
    """Return the expressions with equal object ids, in the order of their first expression.

    An expression without target is a group of its own: two of them say nothing about each other.

    Raises:
        InputError: an expression without object id.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for expression in video.expressions:
        if not expression.has_target:
            found[("", expression.id)] = [expression.id]  # no object is named like this
            continue
        if not expression.object_ids:
            raise InputError(
                f"{video.id}/{expression.id}: the data has no object id; group by runs, neighbours or a file"
            )
        found.setdefault(tuple(sorted(expression.object_ids)), []).append(expression.id)
    return tuple(Group(tuple(ids)) for ids in found.values())


def group_neighbours(video: Video) -> tuple[Group, ...]:
    """Return the pairs 2i and 2i + 1 in file order; an odd last expression stays alone, as in the 2023 release."""
    ids = [expression.id for expression in video.expressions]
    return tuple(Group(tuple(ids[index : index + 2])) for index in range(0, len(ids), 2))


def group_none(video: Video) -> tuple[Group, ...]:
    """Return every expression on its own."""
    return tuple(Group((expression.id,)) for expression in video.expressions)


def doubt_apart(groups: Sequence[Group], members: Sequence[Mapping[str, Runs]]) -> tuple[Group, ...]:
    """Return given groups with what masks say of them: confidence 0 where two sentences never meet, else 1.

    Two sentences never meet where no member marks a common pixel for them, and at least one marks something for both.
    The same mask for both says nothing: a fusion of the same groups gives it.
    """
    return tuple(
        replace(group, confidence=float(all(_may_meet(pair, members) for pair in combinations(group.expressions, 2))))
        for group in groups
    )


def _may_meet(pair: tuple[str, str], members: Sequence[Mapping[str, Runs]]) -> bool:
    both = [(own[pair[0]], own[pair[1]]) for own in members if own.keys() >= set(pair)]
    unlike = [(a, b) for a, b in both if a.area() and b.area() and not np.array_equal(a.edges, b.edges)]
    return not unlike or any(intersect(a, b) for a, b in unlike)


def group_by_agreement(
    members: Sequence[Mapping[str, Runs]], expressions: Sequence[str], *, threshold: float = SAME_OBJECT
) -> tuple[Group, ...]:
    """Return expressions whose masks the members place on the same object.

    Complete linkage: two groups join while even their least similar expressions are at least `threshold` alike.

    Args:
        members: masks of a video by expression, before any fusion.
        expressions: all ids of the video, in file order.
        threshold: smallest similarity inside a group, in (0, 1).
    """
    # The median withstands a member that misses one expression, and one that answers all with the same salient object.
    similarities: Similarities = {}
    for a, b in combinations(expressions, 2):
        values = [tracklet_iou(left[a], right[b]) for left in members for right in members]
        similarities[a, b] = similarities[b, a] = median(values)
    clusters: list[tuple[str, ...]] = [(expression,) for expression in expressions]
    while len(clusters) > 1:
        pairs = list(combinations(range(len(clusters)), 2))
        linkages = [min(similarities[x, y] for x in clusters[i] for y in clusters[j]) for i, j in pairs]
        if max(linkages) < threshold:
            break
        i, j = pairs[linkages.index(max(linkages))]
        clusters[i] += clusters.pop(j)
    order = {expression: index for index, expression in enumerate(expressions)}
    ordered = sorted((tuple(sorted(cluster, key=order.__getitem__)) for cluster in clusters), key=lambda c: order[c[0]])
    return tuple(Group(cluster, _confidence(cluster, expressions, similarities, threshold)) for cluster in ordered)


def read_group_file(path: Path, videos: Sequence[Video]) -> dict[str, tuple[Group, ...]]:
    """Return the groups of `{video: [[expression, ...], ...]}`. Raises InputError: unknown, repeated or missing ids."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: {name_type(content)}, expected {{video: [[expression, ...], ...]}}")
    return {video.id: _check_file_groups(path, video, content.get(video.id)) for video in videos}


def _check_file_groups(path: Path, video: Video, rows: object) -> tuple[Group, ...]:
    where = f"{path}: video {video.id}"
    if rows is None:
        raise InputError(f"{where} is missing; list its expressions in groups")
    if not isinstance(rows, list) or not all(isinstance(row, list) and row for row in rows):
        raise InputError(f"{where}: groups must be lists of expression ids")
    rows = [[compose_name(one) if isinstance(one, str) else one for one in row] for row in rows]
    listed = [expression for row in rows for expression in row]
    known = [expression.id for expression in video.expressions]
    repeated = sorted({str(e) for e in listed if listed.count(e) > 1})
    unknown = sorted({str(e) for e in listed} - set(known))
    missing = sorted(set(known) - {e for e in listed if isinstance(e, str)})
    for what, ids in (("unknown", unknown), ("repeated", repeated), ("missing", missing)):
        if ids:
            raise InputError(f"{where}: {what} expression {', '.join(ids)}; name each expression once, as text")
    return tuple(Group(tuple(row)) for row in rows)


def _confidence(
    cluster: tuple[str, ...], expressions: Sequence[str], similarities: Similarities, threshold: float
) -> float:
    """Return how far the nearest doubtful pair of a group is from the threshold, scaled to [0, 1]."""
    inside = [(similarities[a, b] - threshold) / (1 - threshold) for a, b in combinations(cluster, 2)]
    outside = [(threshold - similarities[a, b]) / threshold for a in cluster for b in expressions if b not in cluster]
    return min(1.0, max(0.0, min(inside + outside, default=1.0)))
