"""What a report shows, free of where it comes from: an index that opens at once, and one part for every video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rvos_fusion.scores.curves import Curve

NodeState = Literal["done", "reused", "failed", "missing"]
NodeContent = Literal["masks", "tracklets", "other", "nothing"]
VoteScores = tuple[tuple[float, ...] | None, ...]
"""J&F in per cent of every expression of a video by the settings of a sweep; None: it is not scored."""


@dataclass(frozen=True, slots=True)
class ReportNode:
    """One node of the graph.

    Args:
        name, kind, stage: as in the recipe; models have the stage "models". Where two sides are compared, the name of
            a node starts with its side's, as in `mine/final`, and so do those of its inputs.
        inputs: names of the nodes that it reads.
        state: what the last run did with it.
        seconds: time of its last computation; None where nothing was recorded.
        detail: its own settings in words, for example "threshold 3 of 6".
        weights: votes of each of the first inputs (further ones only decide groups); empty where nothing is counted.
        needs: (expressions in a group, votes it has, votes that keep a pixel) for every size of group and number of
            votes that occur, in units of the weights; empty where nothing is counted.
        only: place of the input that groups of one take as it is; None: they vote too.
        unit: what one vote is in units of the weights.
        settings: what sets the threshold, as in `--set`, of groups of several expressions and of groups of one; empty
            where nothing is counted.
        grouping: place among the report's groupings; None: it has no groups.
        content: what it stores; nothing: masks that no video has yet.
        side: name of the side; empty where one is shown alone.
    """

    name: str
    kind: str
    stage: str
    inputs: tuple[str, ...] = ()
    state: NodeState = "done"
    seconds: float | None = None
    detail: str = ""
    weights: tuple[int, ...] = ()
    needs: tuple[tuple[int, int, int], ...] = ()
    only: int | None = None
    unit: int = 1
    settings: tuple[str, ...] = ()
    grouping: int | None = None
    content: NodeContent = "masks"
    side: str = ""


@dataclass(frozen=True, slots=True)
class LadderRow:
    """One rung: scores in per cent, the gain over the row before with its 95 % interval.

    Args:
        figures: heading and value of each.
        input_of: the last node, in rows of its inputs that were added; their gain is what it gains over this one.
    """

    node: str
    figures: tuple[tuple[str, float | None], ...]
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    input_of: str | None = None


@dataclass(frozen=True, slots=True)
class Ladder:
    """Rungs that belong together; `title` is empty where there is one ladder alone."""

    title: str
    rows: tuple[LadderRow, ...]


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Expressions that are fused with each other, by their places in the video.

    The confidence is 0 to 1 where masks decided, None where the grouping is given.
    """

    expressions: tuple[int, ...]
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class ExpressionRow:
    """What the list knows of an expression.

    Args:
        disagreement: 1 - mean pairwise IoU of the members, in [0, 1].
        best: highest score of any member in any frame; None: no member is stored, or none came with scores.
        scores: J&F in per cent by node, in the order of the report's nodes; None without ground truth or masks.
        slices: for every kind of slice of the report, the places of those that it is in; none where it is not scored.
    """

    id: str
    text: str
    disagreement: float
    best: float | None
    scores: tuple[float | None, ...]
    slices: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class SliceKindRow:
    """A way to slice sentences: its slices by name, in order, and whether a sentence may be in several."""

    name: str
    title: str
    names: tuple[str, ...]
    overlaps: bool


@dataclass(frozen=True, slots=True)
class VideoRow:
    """What the index knows of a video; `part` numbers its file, groups are by grouping, None where it has none."""

    part: int
    id: str
    n_frames: int
    expressions: tuple[ExpressionRow, ...]
    groups: tuple[tuple[GroupRow, ...] | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The index, which has all but masks and pictures; `finals` are the nodes that the recipes submit, if any."""

    title: str
    nodes: tuple[ReportNode, ...]
    videos: tuple[VideoRow, ...]
    ladders: tuple[Ladder, ...] = ()
    curves: tuple[Curve, ...] = ()
    notes: tuple[str, ...] = ()
    finals: tuple[str, ...] = ()
    slices: tuple[SliceKindRow, ...] = ()


@dataclass(frozen=True, slots=True)
class SequenceView:
    """One node's masks of one expression: places among the video's masks and scores by frame, and the key frame.

    `scores`: none where the masks came without. `presence`: of what the sentence names in each frame, None where no
    detector looked; None: none says it.
    `abstains`: the masks are black ones in place of an answer, and have no vote.
    """

    masks: tuple[int, ...]
    scores: tuple[float, ...]
    key_frame: int
    presence: tuple[float | None, ...] | None = None
    abstains: bool = False


@dataclass(frozen=True, slots=True)
class TrackletView:
    """One instance of a video; `masks` as in `SequenceView`, `propagation` in [0, 1] a frame."""

    id: str
    label: str
    detector: str
    confidence: float
    key_frame: int
    masks: tuple[int, ...]
    propagation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GroundingView:
    """How one node scored the tracklets of another.

    Args:
        tracklets: place of that node among the report's nodes.
        by: what scored them, in words.
        rows: for each expression its scores in the order of the tracklets, the place of the chosen one or None, and why
            none was; None where nothing is known.
    """

    tracklets: int
    by: str
    rows: tuple[tuple[tuple[float, ...], int | None, str] | None, ...]


@dataclass(frozen=True, slots=True)
class VideoView:
    """One video: what is loaded when it is shown.

    Args:
        frames: names.
        size: (height, width) of pictures and masks.
        pictures: one a frame, relative to the report's folder of files.
        masks: every distinct mask once, as COCO compressed run lengths.
        truth: for each expression the places of its masks, None where a frame is not annotated; None: no truth at all.
        sequences: by node, in the order of the report's nodes, then by expression; None where nothing is stored.
        refinements: by node, then by expression, see `kinds.refinement_report`; None for nodes that refine nothing.
        tracklets: by node; None for nodes that store none.
        groundings: by node; None for nodes that choose among no tracklets.
        votes: by node, then by expression, J&F in per cent at every point of the node's curve; None where nothing was
            swept, or the expression is not scored.
    """

    id: str
    frames: tuple[str, ...]
    size: tuple[int, int]
    pictures: tuple[str, ...]
    masks: tuple[str, ...]
    truth: tuple[tuple[int | None, ...], ...] | None
    sequences: tuple[tuple[SequenceView | None, ...] | None, ...]
    refinements: tuple[tuple[Mapping[str, object], ...] | None, ...]
    tracklets: tuple[tuple[TrackletView, ...] | None, ...]
    groundings: tuple[GroundingView | None, ...] = ()
    votes: tuple[VoteScores | None, ...] = ()
