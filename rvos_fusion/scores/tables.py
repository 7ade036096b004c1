"""Ablation tables: nodes in an order, each with its gain over the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.evaluation.resampling import resample_gain
from rvos_fusion.scores.scoring import VideoScores, average, average_targets

_RIGHT = 0.5


@dataclass(frozen=True, slots=True)
class TableRow:
    """A node's scores in per cent.

    Args:
        gain: J&F minus that of the row before; None in the first row. In the row of an input that was added: J&F of the
            last named node minus that of this one.
        low, high: 95 % interval of the gain, by paired resampling of videos.
        targets: J&F of the sentences that have a target; None where all have one.
    """

    node: str
    j: float
    f: float
    j_and_f: float
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    input_of: str | None = None
    targets: float | None = None


def make_table(nodes: Sequence[str], scores: Sequence[VideoScores], *, inputs: Sequence[str] = ()) -> list[TableRow]:
    """Return a row for each node, and one for each further input of the last of them.

    Args:
        scores: of the nodes, then of the inputs.
        inputs: of the last node, as far as they are no rows already: a table must not hide what did better alone.
    """
    means, of_targets = 100 * average(scores), average_targets(scores)
    totals = np.stack([video.values.mean(axis=2).sum(axis=1) for video in scores])  # (videos, nodes)
    counts = np.array([video.values.shape[1] for video in scores])
    rows = []
    last = len(nodes) - 1
    for index, node in enumerate([*nodes, *inputs]):
        j, f = float(means[index, 0]), float(means[index, 1])
        gain: float | None = None
        low: float | None = None
        high: float | None = None
        is_added = index > last
        better, worse = (last, index) if is_added else (index, index - 1)
        if index > 0:
            gain = float(means[better].mean() - means[worse].mean())
            low, high = (100 * limit for limit in resample_gain(totals[:, better] - totals[:, worse], counts))
        targets = None if of_targets is None else 100 * float(of_targets[index].mean())
        rows.append(TableRow(node, j, f, (j + f) / 2, gain, low, high, nodes[-1] if is_added else None, targets))
    return rows


def compare_pairs(scores: Sequence[VideoScores]) -> NDArray[np.float64]:
    """Return, for all pairs of nodes, the part of the expressions that exactly one of the two gets right.

    An expression counts as right from J&F 0.5 on. The result is `(nodes, nodes)` in [0, 1] with a zero diagonal;
    members that fail together have small values, and voting cannot mend what all of them get wrong.
    """
    values = np.concatenate([video.values for video in scores], axis=1).mean(axis=2)
    is_right = values >= _RIGHT
    differs: NDArray[np.float64] = (is_right[:, None] != is_right[None]).mean(axis=2)
    return differs
