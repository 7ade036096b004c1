"""The groups of a video as `groups:` of a recipe says: given by the data or a file, or decided by masks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from fusion.fitted_files import read_fitted
from fusion.groups import (
    Group,
    group_by_agreement,
    group_by_object,
    group_neighbours,
    group_none,
    read_group_file,
)
from fusion.runs import RunRule, count_hits, group_by_runs
from fusion.votes import read_members
from rvos.errors import InputError
from rvos.files.atomic import write_atomically
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video
from rvos_fusion.kinds.base import Task
from rvos_fusion.kinds.values import GroupsEntry

_BY_MASKS = ("runs", "agreement")
_GIVEN = {"object_id": group_by_object, "neighbours": group_neighbours, "none": group_none}


def is_by_masks(entry: GroupsEntry) -> bool:
    """Tell whether masks decide, so that groups are known only after the deciding nodes have run."""
    return entry.by in _BY_MASKS


def given_groups(entry: GroupsEntry, video: Video) -> tuple[Group, ...] | None:
    """Return the groups that the data or a file give; None where masks decide.

    Raises:
        InputError: they do not give them.
    """
    if is_by_masks(entry):
        return None
    if entry.by == "file":
        assert entry.file is not None
        return read_group_file(entry.file, [video])[video.id]
    return _GIVEN[entry.by](video)


def find_groups(entry: GroupsEntry, video: Video, read: Callable[[str], Iterable[MaskSequence]]) -> tuple[Group, ...]:
    """Return the groups of a video.

    Args:
        read: returns the stored masks of a node for this video; asked only where masks decide.

    Raises:
        InputError: the data or the file do not give them.
    """
    given = given_groups(entry, video)
    if given is not None:
        return given
    deciding = read_members([read(name) for name in entry.members])
    ids = [expression.id for expression in video.expressions]
    if entry.by == "agreement":
        return group_by_agreement(deciding, ids, threshold=entry.threshold)
    return group_by_runs(count_hits(deciding, ids), ids, read_run_rule(entry))


def read_run_rule(entry: GroupsEntry) -> RunRule:
    """Return what a cut into runs is worth.

    Raises:
        InputError: a fitted file that cannot be used.
    """
    if entry.fitted is None:
        return RunRule(entry.lengths)
    fitted = read_fitted(entry.fitted)
    if fitted.pairs is None:
        raise InputError(f"{entry.fitted}: says nothing about pairs of sentences; fit with labelled objects")
    if set(fitted.deciders) != set(entry.members):
        raise InputError(
            f"{entry.fitted}: groups fitted for {', '.join(fitted.deciders)}, not for {', '.join(entry.members)}; "
            "fit again"
        )
    return RunRule(entry.lengths, fitted.pairs.slope, fitted.pairs.even)


def write_review(task: Task, groups: Sequence[Group]) -> None:
    """Write what masks decided: `rvos run` gathers it into a table for people to correct."""
    texts = {expression.id: expression.text for expression in task.video.expressions}
    review = [
        {"expressions": {name: texts[name] for name in group.expressions}, "confidence": group.confidence}
        for group in groups
    ]
    path = task.workspace / "groups" / f"{task.video.id}.json"
    write_atomically(path, json.dumps(review, indent=1, ensure_ascii=False).encode())
