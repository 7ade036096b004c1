"""What a grounding says of itself: how the tracklets of a video scored for every sentence, and which answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rvos_fusion.kinds.base import Task
from rvos_fusion.kinds.side_reports import read_report, write_report


@dataclass(frozen=True, slots=True)
class GroundedSentence:
    """How the tracklets of a video scored for a sentence.

    Args:
        scores: in the order of the tracklets.
        chosen: id of the tracklet that answers; None: the fallback does.
        why: the fallback does.
    """

    scores: tuple[float, ...]
    chosen: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Grounding:
    """What a node that chooses among tracklets found for a video; the report shows it.

    Args:
        tracklets: node with the candidates.
        by: what scored them, in words.
        sentences: by expression.
    """

    tracklets: str
    by: str
    sentences: Mapping[str, GroundedSentence]


def write_grounding(task: Task, found: Grounding, content_hash: str) -> None:
    """Write it beside the result of a task; `content_hash` is that of the tracklets.

    Raises:
        StoreError: it cannot be written.
    """
    rows = [
        {
            "expression": name,
            "tracklet": one.chosen,
            "why": one.why,
            "scores": [round(score, 4) for score in one.scores],
        }
        for name, one in found.sentences.items()
    ]
    write_report(task, {"tracklets": content_hash, "by": found.by, "expressions": rows})


def read_grounding(task: Task, tracklets: str) -> Grounding | None:
    """Return what was written beside the result of a task; None where that is not there any more.

    Args:
        tracklets: node with the candidates.
    """
    content = read_report(task)
    if not isinstance(content, dict):
        return None
    try:
        return Grounding(tracklets, str(content.get("by", "")), dict(_parse(content["expressions"])))
    except (KeyError, TypeError, ValueError):  # not written by this version
        return None


def _parse(rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, GroundedSentence]]:
    for row in rows:
        scores = tuple(map(float, row["scores"]))
        yield str(row["expression"]), GroundedSentence(scores, row["tracklet"], row["why"])
