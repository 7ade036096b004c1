"""The slices of a report: what every sentence is sliced by, for filters and bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rvos.formats import Dataset
from rvos.videos import Video
from rvos_fusion.report.content import SliceKindRow
from rvos_fusion.scores.slice_facts import ObjectFacts, describe_sentences
from rvos_fusion.scores.slices import SLICES, find_slices

Places = Mapping[tuple[str, str], tuple[tuple[int, ...], ...]]
"""(video, expression) -> for every kind of slice the places of those that the sentence is in."""


def slice_sentences(
    dataset: Dataset, seen: Sequence[tuple[Video, Sequence[ObjectFacts] | None]]
) -> tuple[tuple[SliceKindRow, ...], Places]:
    """Return the kinds of slices that tell sentences apart, and where each sentence is.

    Args:
        seen: the videos that are shown, with what the ground truth says of their sentences.
    """
    has_truth = all(own is not None for _, own in seen)
    facts = [one for video, own in seen for one in describe_sentences(dataset, video, own)]
    rows: list[SliceKindRow] = []
    places: dict[tuple[str, str], list[tuple[int, ...]]] = {(one.video, one.expression.id): [] for one in facts}
    for by, kind in SLICES.items():
        if not facts or (kind.needs_truth and not has_truth):
            continue
        found = find_slices(by, facts)
        if len(found) < 2 and not kind.overlaps:
            continue
        rows.append(SliceKindRow(by, kind.title, tuple(found), kind.overlaps))
        sets = [set(own) for own in found.values()]
        for number, one in enumerate(facts):
            own = tuple(place for place, members in enumerate(sets) if number in members)
            places[one.video, one.expression.id].append(own)
    return tuple(rows), {name: tuple(own) for name, own in places.items()}
