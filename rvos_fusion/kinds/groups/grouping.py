"""The groups of a video as `groups:` of a recipe says: given by the data or a file, or decided by masks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fusion.fitted_files import read_fitted
from fusion.groups import (
    SAME_OBJECT,
    Group,
    GroupingRule,
    group_by_agreement,
    group_by_object,
    group_neighbours,
    group_none,
    read_group_file,
)
from fusion.runs import LENGTHS, RunRule, count_hits, group_by_runs
from fusion.votes import read_members
from rvos.errors import ConfigError, InputError
from rvos.files.atomic import write_text
from rvos.masks.mask_sequences import MaskSequence
from rvos.settings import Line, Range
from rvos.videos import Video
from rvos_fusion.kinds.base import Task
from rvos_fusion.kinds.groups.review import REVIEW_SUFFIX
from rvos_fusion.kinds.inputs import MasksOf
from rvos_fusion.kinds.side_reports import place_beside

_NEEDED = {"file": "file", "agreement": "members", "runs": "members"}
_BY_MASKS = ("runs", "agreement")
_GIVEN = {"object_id": group_by_object, "neighbours": group_neighbours, "none": group_none}


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """`groups:` of a recipe.

    Args:
        file: JSON file, for `by: file`.
        members: nodes whose masks decide, for `by: runs` and `by: agreement`.
        threshold: smallest tracklet IoU inside a group, for `by: agreement`.
        lengths: probability of runs of 1, 2, ... sentences, for `by: runs`.
        fitted: file of `rvos fit` that says what hits are worth, for `by: runs`; None: the built-in numbers.
    """

    by: GroupingRule
    file: Path | None = None
    members: tuple[MasksOf, ...] = ()
    threshold: Annotated[float, Range(above=0, below=1)] = SAME_OBJECT
    lengths: tuple[float, ...] = LENGTHS
    fitted: Path | None = None
    line: Annotated[int, Line()] = 0

    def __post_init__(self) -> None:
        needed = _NEEDED.get(self.by)
        if needed is not None and not getattr(self, needed):
            raise ConfigError(f"by {self.by} needs {needed!r}; add it")
        RunRule(self.lengths)  # refuses what are no probabilities

    @property
    def deciding(self) -> tuple[str, ...]:
        """The nodes whose masks decide, so that groups are known only after these have run."""
        return self.members if self.by in _BY_MASKS else ()


def given_groups(settings: GroupSettings, video: Video) -> tuple[Group, ...] | None:
    """Return the groups that the data or a file give, None where masks decide; InputError where they do not."""
    if settings.deciding:
        return None
    if settings.by == "file":
        assert settings.file is not None
        return read_group_file(settings.file, [video])[video.id]
    return _GIVEN[settings.by](video)


def find_groups(
    settings: GroupSettings, video: Video, read: Callable[[str], Iterable[MaskSequence]]
) -> tuple[Group, ...]:
    """Return the groups of a video; InputError where the data or the file do not give them.

    `read` returns the stored masks of a node for this video; it is asked only where masks decide.
    """
    given = given_groups(settings, video)
    if given is not None:
        return given
    deciding = read_members([read(name) for name in settings.members])
    ids = [expression.id for expression in video.expressions]
    if settings.by == "agreement":
        return group_by_agreement(deciding, ids, threshold=settings.threshold)
    return group_by_runs(count_hits(deciding, ids), ids, read_run_rule(settings))


def read_run_rule(settings: GroupSettings) -> RunRule:
    """Return what a cut into runs is worth; InputError where the fitted file cannot be used."""
    if settings.fitted is None:
        return RunRule(settings.lengths)
    fitted = read_fitted(settings.fitted)
    if fitted.pairs is None:
        raise InputError(f"{settings.fitted}: says nothing about pairs of sentences; fit with labelled objects")
    if set(fitted.deciders) != set(settings.members):
        known, asked = ", ".join(fitted.deciders), ", ".join(settings.members)
        raise InputError(f"{settings.fitted}: groups fitted for {known}, not for {asked}; fit again")
    return RunRule(settings.lengths, fitted.pairs.slope, fitted.pairs.even)


def write_review(task: Task, groups: Sequence[Group]) -> None:
    """Write what masks decided beside a result that is kept: `rvos run` gathers it for people to correct."""
    if not task.is_stored:
        return
    texts = {expression.id: expression.text for expression in task.video.expressions}
    review = [
        {"expressions": {name: texts[name] for name in group.expressions}, "confidence": group.confidence}
        for group in groups
    ]
    write_text(place_beside(task, REVIEW_SUFFIX), json.dumps(review, indent=1, ensure_ascii=False))
