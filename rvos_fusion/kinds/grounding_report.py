"""What a grounding says of itself: how the tracklets of a video scored for every sentence, and which answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rvos_fusion.kinds.base import Task
from rvos_fusion.kinds.side_reports import read_report, write_report


@dataclass(frozen=True, slots=True)
class GroundedSentence:
    """How the tracklets scored for a sentence, the id of the one that answers, and why none does: the fallback then."""

    scores: tuple[float, ...]
    chosen: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Grounding:
    """What a node that chooses among the tracklets of another found for a video, by what; the report shows it."""

    tracklets: str
    by: str
    sentences: Mapping[str, GroundedSentence]


def write_grounding(task: Task, found: Grounding, content_hash: str) -> None:
    """Write it beside the result of a task; `content_hash` is that of the tracklets."""
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
    """Return what was written beside the result of a task that chose of `tracklets`; None where it is not there."""
    content = read_report(task)
    if not isinstance(content, dict):
        return None
    try:
        sentences = {
            str(row["expression"]): GroundedSentence(tuple(map(float, row["scores"])), row["tracklet"], row["why"])
            for row in content["expressions"]
        }
        return Grounding(tracklets, str(content.get("by", "")), sentences)
    except (KeyError, TypeError, ValueError):  # not written by this version
        return None
