"""Sweeps of a clean-up over the sizes of islands and holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol, runtime_checkable

import joblib
import numpy as np

from fusion.clean_up import CleanUpRules
from rvos.evaluation.evaluator import SelectedTruth
from rvos.evaluation.resampling import resample_gain
from rvos.formats import Dataset, open_evaluator
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video
from rvos_fusion.planning.results import Results, VideoResults
from rvos_fusion.scores.scoring import Values


@runtime_checkable
class Cleaner(Protocol):
    """How a node cleans masks: what sweeps count."""

    @property
    def name(self) -> str:
        """The node."""
        ...

    @property
    def source(self) -> str:
        """The node whose masks are cleaned."""
        ...

    def clean(self, sequence: MaskSequence, rules: CleanUpRules) -> MaskSequence:
        """Return a sequence of that node with cleaned masks, by these rules."""
        ...


@dataclass(frozen=True, slots=True)
class CleanUpRow:
    """Scores in per cent of one setting, with the gain of J&F over the masks as they are and its 95 % interval."""

    islands: float
    holes: float
    j: float
    f: float
    j_and_f: float
    gain: float
    low: float
    high: float


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

    Raises:
        InputError: no ground truth, or masks that do not fit it.
        StoreError: the input of the node is missing, damaged, or made with other settings.
    """
    pairs = [(0.0, 0.0), *(pair for pair in product(islands, holes) if any(pair))]
    grid = [CleanUpRules(*pair) for pair in pairs]
    results.require([node.source])
    evaluator = open_evaluator(dataset)
    tasks = (
        joblib.delayed(score_video)(results.of_video(video.id), evaluator.select(video), node, grid) for video in videos
    )
    scored: list[Values] = joblib.Parallel(n_jobs=jobs)(tasks)
    # (settings, units, 2) of every video -> (videos, settings), summed over units
    totals = np.stack([own.mean(axis=2).sum(axis=1) for own in scored])
    counts = np.array([own.shape[1] for own in scored])
    means = 100 * np.concatenate(scored, axis=1).mean(axis=1)
    rows = []
    for place, ((island, hole), (j, f)) in enumerate(zip(pairs, means, strict=True)):
        low, high = resample_gain(totals[:, place] - totals[:, 0], counts)
        mean = float(j + f) / 2
        gain = mean - float(means[0].mean())
        rows.append(CleanUpRow(island, hole, float(j), float(f), mean, gain, 100 * low, 100 * high))
    return rows


def score_video(results: VideoResults, truth: SelectedTruth, node: Cleaner, grid: Sequence[CleanUpRules]) -> Values:
    """Return J and F of every setting for every unit of the protocol, `(S, units, 2)`."""
    sequences = results.read(node.source)
    judge = truth.open()
    return np.stack(
        [
            np.array([(one.j_mean, one.f_mean) for one in judge.judge([node.clean(own, rules) for own in sequences])])
            for rules in grid
        ]
    )
