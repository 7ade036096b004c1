"""Sweeps of a clean-up over the sizes of islands and holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Protocol, runtime_checkable

import numpy as np

from fusion.clean_up import CleanUpRules
from rvos.errors import ConfigError
from rvos.evaluation.resampling import resample_gain
from rvos.formats import Dataset
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video
from rvos_fusion.planning.results import Results
from rvos_fusion.scores.scoring import Named, ScoringTask, Values, average, score_videos, take_values, weigh


@runtime_checkable
class Cleaner(Named, Protocol):
    """How a node cleans masks: what sweeps count."""

    @property
    def source(self) -> str:
        """The node whose masks are cleaned."""

    def clean(self, sequence: MaskSequence, rules: CleanUpRules) -> MaskSequence:
        """Return a sequence of that node with cleaned masks, by these rules."""


@dataclass(frozen=True, slots=True)
class CleanUpRow:
    """Scores in per cent of one setting, with the gain of J&F over the masks as they are and its 95 % interval."""

    islands: float
    holes: float
    j: float
    f: float
    j_and_f: float
    gain: float
    low: float | None
    high: float | None


def sweep_clean_up(
    results: Results,
    dataset: Dataset,
    videos: Sequence[Video],
    node: Cleaner,
    *,
    islands: Sequence[float],
    holes: Sequence[float],
    jobs: int = 1,
) -> list[CleanUpRow]:
    """Return the scores of the masks as they are (both sizes 0), then of every size of islands with every one of holes.

    Raises a ConfigError for a size that is no part of a mask, else what `score_nodes` does.
    """
    wrong = [size for size in (*islands, *holes) if not 0 <= size <= 1]
    if wrong:
        raise ConfigError(f"--islands and --holes are parts of a mask; give 0 to 1, not {wrong[0]:g}")
    pairs = [(0.0, 0.0), *(pair for pair in product(islands, holes) if any(pair))]
    grid = [CleanUpRules(*pair) for pair in pairs]
    results.require([node.source])
    scored = score_videos(results, dataset, videos, partial(_score_video, node, grid), jobs=jobs)
    # (settings, units, 2) of every video -> (videos, settings), summed over units
    weights = weigh(dataset, videos, [own.shape[1] for own in scored])
    totals = np.stack([(own.mean(axis=2) * one).sum(axis=1) for own, one in zip(scored, weights, strict=True)])
    counts = np.array([one.sum() for one in weights])
    means = average(dataset, videos, scored)
    rows = []
    for place, (pair, (j, f)) in enumerate(zip(pairs, means.tolist(), strict=True)):
        limits = resample_gain(100 * (totals[:, place] - totals[:, 0]), counts)
        mean = (j + f) / 2
        rows.append(CleanUpRow(*pair, j, f, mean, mean - float(means[0].mean()), *limits))
    return rows


def _score_video(node: Cleaner, grid: Sequence[CleanUpRules], task: ScoringTask) -> Values:
    """Return J and F of every setting for every unit of the protocol, `(S, units, 2)`."""
    sequences = task.results.read(node.source)
    judge = task.truth.open()
    return np.stack([take_values(judge.judge([node.clean(own, rules) for own in sequences])) for rules in grid])
