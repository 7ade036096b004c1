"""What a report shows, free of where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

NodeState = Literal["done", "reused", "failed", "missing"]


@dataclass(frozen=True, slots=True)
class ReportNode:
    """One node of the graph.

    Args:
        name, kind, stage: as in the recipe; models have the stage "models".
        inputs: names of the nodes that it reads.
        state: what the last run did with it.
        seconds: time of its last computation; None where nothing was recorded.
        detail: its own settings in words, for example "threshold 3 of 6".
        weights: votes of each of the first inputs (further ones only decide groups); empty where nothing is counted.
    """

    name: str
    kind: str
    stage: str
    inputs: tuple[str, ...] = ()
    state: NodeState = "done"
    seconds: float | None = None
    detail: str = ""
    weights: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LadderRow:
    """One rung: scores in per cent, the gain over the row before with its 95 % interval.

    Args:
        input_of: the last node, in rows of its inputs that were added; their gain is what it gains over this one.
    """

    node: str
    j: float
    f: float
    j_and_f: float
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    input_of: str | None = None


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """Score in per cent of one threshold of the swept node."""

    node: str
    threshold: int
    j_and_f: float


@dataclass(frozen=True, slots=True)
class SequenceView:
    """One node's masks of one expression, at picture size.

    Args:
        runs: COCO compressed run lengths as text, one a frame.
        scores: one a frame.
        key_frame: index of the key frame.
        j_and_f: score in per cent where there is ground truth.
    """

    runs: tuple[str, ...]
    scores: tuple[float, ...]
    key_frame: int
    j_and_f: float | None = None


@dataclass(frozen=True, slots=True)
class VoteView:
    """How a fusion votes on one expression.

    Args:
        group: ids of the expressions that vote together, itself included.
        needed: votes that keep a pixel, in the units of the node's weights.
    """

    group: tuple[str, ...]
    needed: int


@dataclass(frozen=True, slots=True)
class ExpressionView:
    """One expression with the masks of every node.

    Args:
        votes: by fusion.
        disagreement: 1 - mean pairwise IoU of the members, in [0, 1].
        truth: runs of the ground truth, or None.
        refinements: by refining node its record of the sentence, see `pipeline.refinement_report`.
    """

    id: str
    text: str
    votes: Mapping[str, VoteView]
    disagreement: float
    sequences: Mapping[str, SequenceView]
    truth: tuple[str, ...] | None = None
    refinements: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VideoView:
    """One video: pictures as data addresses, all of the same size (height, width)."""

    id: str
    frames: tuple[str, ...]
    size: tuple[int, int]
    pictures: tuple[str, ...]
    expressions: tuple[ExpressionView, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything on the page."""

    title: str
    nodes: tuple[ReportNode, ...]
    videos: tuple[VideoView, ...]
    ladder: tuple[LadderRow, ...] = ()
    sweep: tuple[SweepPoint, ...] = ()
    notes: tuple[str, ...] = field(default=())
