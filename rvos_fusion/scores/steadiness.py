"""How steady masks are over time: variance of the scores over frames, IoU of neighbouring frames, by duration.

Source: SOC paper, temporal stability; Long-RVOS, temporal consistency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from rvos.errors import ConfigError
from rvos.evaluation.results import measure_stability
from rvos.formats import Dataset, find_format
from rvos.masks.mask_sequences import encode
from rvos.masks.runs import Runs, intersect_by_frame
from rvos.videos import Video
from rvos_fusion.planning.results import Results
from rvos_fusion.scores.scoring import ScoringTask, Values, score_videos

TRUTH = "ground truth"
_PARTS = 3


@dataclass(frozen=True, slots=True)
class Duration:
    """Videos of like length, in frames; J&F in per cent is that of their units, consistency that of their sentences."""

    shortest: int
    longest: int
    n_videos: int
    j_and_f: float
    consistency: float


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How steady the masks of a node are.

    Args:
        variance_j, variance_j_and_f: over the frames of a unit of the protocol, averaged over units; values in [0, 1].
        consistency: IoU of the masks of neighbouring frames in per cent, averaged over sentences; two empty ones agree.
        durations: J&F and consistency of short, middle and long videos, as far as there are such.
    """

    node: str
    variance_j: float
    variance_j_and_f: float
    consistency: float
    durations: tuple[Duration, ...]


def measure_steadiness(
    results: Results, dataset: Dataset, videos: Sequence[Video], nodes: Sequence[str], *, jobs: int = 1
) -> list[Steadiness]:
    """Return the steadiness of stored nodes, and last that of the ground truth, whose objects move too.

    Raises a ConfigError for a protocol of single frames or no video with two, else what `score_nodes` does.
    """
    if find_format(dataset.format).has_samples:
        raise ConfigError(f"--stability: {dataset.format} scores single frames; leave it out")
    chosen = [video for video in videos if video.n_frames > 1]
    if not chosen:
        raise ConfigError("--stability: no video has two frames; leave it out")
    found = score_videos(results, dataset, chosen, partial(_measure_video, nodes), jobs=jobs)
    parts = _cut(chosen)
    return [
        _summarise(node, np.stack([own[row] for own in found]), chosen, parts)
        for row, node in enumerate([*nodes, TRUTH])
    ]


def measure_consistency(runs: Sequence[bytes], size: tuple[int, int]) -> float:
    """Return the mean IoU of neighbouring masks of a sequence of at least two, in [0, 1]; two empty ones have 1."""
    before, after = Runs.decode(runs[:-1], size), Runs.decode(runs[1:], size)
    common = intersect_by_frame(before, after)
    union = before.areas() + after.areas() - common
    return float(np.where(union == 0, 1.0, common / np.maximum(union, 1)).mean())


def _measure_video(nodes: Sequence[str], task: ScoringTask) -> Values:
    """Return `(nodes + 1, 6)`: sums over units of both variances and J&F, their number; of consistencies too."""
    judge = task.truth.open()
    rows = []
    for node in nodes:
        sequences = task.results.read(node, soft=task.reads_soft)
        scores = judge.judge(sequences)
        stability = measure_stability(scores)
        steady = [measure_consistency(one.runs, one.size) for one in sequences]
        n_units = len(scores)
        sums = (n_units * variance for variance in stability.values())
        rows.append([*sums, sum(one.j_and_f for one in scores), n_units, sum(steady), len(steady)])
    truth = task.masks.read()
    known = [truth.masks(expression) for expression in task.video.expressions]
    steady = [measure_consistency(encode(masks), (masks.shape[1], masks.shape[2])) for masks in known]
    return np.array([*rows, [0.0, 0.0, len(known), len(known), sum(steady), len(steady)]])


def _cut(videos: Sequence[Video]) -> list[list[int]]:
    """Return the places of the videos in three parts by their number of frames; equal numbers stay together."""
    lengths = np.array([video.n_frames for video in videos])
    limits = np.quantile(lengths, np.arange(1, _PARTS) / _PARTS)
    part = np.searchsorted(limits, lengths, side="left")
    cut = [np.flatnonzero(part == number).tolist() for number in range(_PARTS)]
    return [own for own in cut if own]


def _summarise(node: str, sums: Values, videos: Sequence[Video], parts: Sequence[Sequence[int]]) -> Steadiness:
    variance_j, variance_j_and_f, _, n_units, steady, n_sentences = sums.sum(axis=0)
    durations = []
    for places in parts:
        _, _, j_and_f, units, own, sentences = sums[list(places)].sum(axis=0)
        lengths = [videos[place].n_frames for place in places]
        durations.append(
            Duration(min(lengths), max(lengths), len(places), 100 * j_and_f / units, 100 * own / sentences)
        )
    return Steadiness(
        node, variance_j / n_units, variance_j_and_f / n_units, 100 * steady / n_sentences, tuple(durations)
    )
