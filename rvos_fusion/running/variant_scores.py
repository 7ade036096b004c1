"""The scores of variants of a recipe, each beside the recipe's own and over the same videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import joblib

from rvos.evaluation.figures.base import Figure
from rvos.evaluation.results import ExpressionScore
from rvos.formats import Dataset
from rvos.videos import Video
from rvos_fusion.planning.results import Results, VideoResults
from rvos_fusion.planning.variants import PlannedVariant
from rvos_fusion.scores.scoring import ScoringTask, judge_all, list_scoring_tasks
from rvos_fusion.scores.tables import TableRow, make_table

Scores = list[list[ExpressionScore]]
_TOGETHER = 64


def score_variants(
    own: Results,
    variants: Sequence[PlannedVariant],
    node: str,
    dataset: Dataset,
    videos: Sequence[Video],
    *,
    jobs: int = 1,
) -> Scores:
    """Return the scores of a node as the recipe has it, then of its variants, none of those that lack results.

    Raises what `score_nodes` does.
    """
    settings = [own, *(one.results or own for one in variants if not one.find_missing(node))]
    tasks = list_scoring_tasks(own, dataset, videos)
    found: list[Scores] = joblib.Parallel(n_jobs=jobs)(
        joblib.delayed(_score_settings)(task, node, [one.of_video(task.video.id) for one in settings]) for task in tasks
    )
    return [[score for of_video in found for score in of_video[place]] for place in range(len(settings))]


def _score_settings(task: ScoringTask, node: str, settings: Sequence[VideoResults]) -> Scores:
    judge, known = task.truth.open(), dict[str, list[ExpressionScore]]()
    # Settings that do not reach a video, such as those of large groups, have one result there.
    distinct = {results.fingerprints[node]: results for results in settings}
    names = list(distinct)
    for start in range(0, len(names), _TOGETHER):
        some = names[start : start + _TOGETHER]
        read = [distinct[name].read(node, soft=task.reads_soft, queries=True) for name in some]
        known |= zip(some, judge_all(judge, node, read), strict=True)
    return [known[results.fingerprints[node]] for results in settings]


def tabulate_variants(
    figures: Sequence[Figure], node: str, variants: Sequence[PlannedVariant], scores: Scores
) -> list[TableRow]:
    """Return a row for the recipe's own node and one for each variant, with its gains over the recipe's own."""
    missing = [len(one.find_missing(node)) for one in variants]
    scored = [place for place, lacking in enumerate(missing) if not lacking]
    first, *others = make_table(figures, [node, *(variants[place].name for place in scored)], scores, from_first=True)
    known = dict(zip(scored, others, strict=True))
    rows = [known.get(place, TableRow(one.name, {}, missing=missing[place])) for place, one in enumerate(variants)]
    return [first, *(replace(row, settings=one.variant.settings) for row, one in zip(rows, variants, strict=True))]
