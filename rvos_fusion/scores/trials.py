"""What other settings of a node would score: made as a run makes them, and not kept.

What a video's inputs store is read once, and so is its ground truth; equal masks of a frame are scored once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from math import nan
from typing import Any

from rvos.evaluation.figures.base import Figure
from rvos.evaluation.results import ExpressionScore
from rvos.formats import open_evaluator
from rvos.videos import Video
from rvos_fusion.kinds.base import Node, capability
from rvos_fusion.kinds.trials import Choice, Combining, Swept, Trial
from rvos_fusion.planning.results import VideoResults
from rvos_fusion.planning.trials import find_scored, find_written, vary_node
from rvos_fusion.scores.comparison import Labelled
from rvos_fusion.scores.scoring import ScoringTask, judge_all, judge_node, score_videos
from rvos_fusion.scores.tables import TableRow, make_table

MEMBERS = "fuse"
"""The key that names the members."""
GOALS = ("Final", "J&F", "mean IoU")
"""What settings are chosen for: the first figure of these that there is."""
_TOGETHER = 64
Scores = Sequence[ExpressionScore]


@dataclass(frozen=True, slots=True)
class Sweep:
    """What settings of a node score.

    Args:
        node: whose settings they are.
        scored: whose masks are scored; another one where the node itself makes none.
        keys: of the settings.
        figures: of the data set's protocol.
        rows: one for each choice, with gains over the recipe's own, and before them that of the node's input as it is,
            without settings, where it has one.
        own: the recipe's own row.
        tried: those of the rows that were asked for: all settings, or all but the recipe's own.
        units: J&F in per cent of each unit of the protocol by each of `tried`.
    """

    node: str
    scored: str
    keys: tuple[str, ...]
    figures: Sequence[Figure]
    rows: Sequence[TableRow]
    own: TableRow
    tried: Sequence[TableRow]
    units: Sequence[Sequence[float]]

    @property
    def best(self) -> TableRow:
        """The setting with the largest Final, or J&F, or mean IoU; of equals the recipe's own, else the first."""
        return max((row for row in (self.own, *self.rows) if row.settings), key=find_goal)


def find_goal(row: TableRow) -> float:
    """Return the figure that settings are chosen for."""
    return next((row.figures[name] for name in GOALS if name in row.figures), nan)


def sweep_node(
    labelled: Labelled,
    node: Node,
    *,
    given: Mapping[str, Sequence[str]] | None = None,
    subsets: bool = False,
    jobs: int = 1,
) -> Sweep:
    """Return what settings of a node that names cheap ones score.

    Args:
        given: values by key, as a recipe writes them; the others of its cheap settings have those that are worth a try.
        subsets: every subset of the members instead, the best first.

    Raises:
        ConfigError: a value that a recipe refuses, or nothing to be scored.
        StoreError: an input lacks results.
    """
    results, dataset, videos = labelled
    swept = capability(node, Swept)
    assert swept is not None
    after, source = find_scored(results, node), getattr(node, "source", None)
    results.require(dict.fromkeys(name for one in (node, *after) for name in one.inputs() if name != node.name))
    choices = _list_choices(labelled, swept, given or {}, subsets=subsets)
    own = {key: swept.own_value(key) for key in swept.cheap}
    if subsets:
        own[MEMBERS] = json.dumps(getattr(node, "members", ()))
    variants = list(zip(choices, vary_node(results, node, choices), strict=True))
    place = next((place for place, one in enumerate(variants) if one[0] == own or _is_same(one[1], node)), None)
    written = find_written(results, node)
    told = ({key: written.get(key, value) for key, value in own.items()}, node)
    if place is None:
        variants.insert(0, told)
    else:
        variants[place] = told
    found = score_videos(
        results, dataset, videos, partial(score_trials, [one for _, one in variants], after, source), jobs=jobs
    )
    scores = [[one for of_video in found for one in of_video[index]] for index in range(len(found[0]))]
    labels = [(node.name, choice) for choice, _ in variants] + ([] if source is None else [(source, {})])
    figures = open_evaluator(dataset).figures
    rows = _tabulate(figures, labels, scores, place or 0)
    tried = slice(int(place is None), len(variants))
    return Sweep(
        node.name,
        (after or (node,))[-1].name,
        tuple(own),
        figures,
        sorted(rows, key=find_goal, reverse=True) if subsets else rows[len(variants) :] + rows[: len(variants)],
        rows[place or 0],
        rows[tried],
        [[100 * one.j_and_f for one in scored] for scored in scores[tried]],
    )


def _list_choices(
    labelled: Labelled, swept: Swept, given: Mapping[str, Sequence[str]], *, subsets: bool
) -> list[Choice]:
    results, _, videos = labelled

    def tasks() -> Iterator[Trial]:
        return (make_trials([swept], video, results.of_video(video.id))[0] for video in videos)

    combining = capability(swept, Combining) if subsets else None
    if combining is not None:
        return list(combining.list_subsets(tasks()))
    values = {key: given.get(key) or swept.list_values(key, tasks()) for key in swept.cheap}
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


def _is_same(variant: Node, node: Node) -> bool:
    return (variant.settings(), variant.inputs()) == (node.settings(), node.inputs())


def _tabulate(
    figures: Sequence[Figure], labels: Sequence[tuple[str, Choice]], scores: Sequence[Scores], own: int
) -> list[TableRow]:
    """Return a row for each, with gains over that of the recipe."""
    order = [own, *(index for index in range(len(labels)) if index != own)]
    names = [labels[index][0] for index in order]
    made = make_table(figures, names, [scores[index] for index in order], from_first=True)
    rows = dict(zip(order, made, strict=True))
    return [replace(rows[index], settings=labels[index][1]) for index in range(len(labels))]


def score_trials(
    nodes: Sequence[Node], after: Sequence[Node], source: str | None, task: ScoringTask
) -> list[list[ExpressionScore]]:
    """Return the scores of what each node makes of a video, and of the masks of `source` as they are."""
    judge, made = task.truth.open(), _make(nodes, after, task)
    scores = []
    for start in range(0, len(made), _TOGETHER):
        scores += judge_all(judge, (after or nodes)[-1].name, made[start : start + _TOGETHER])
    return scores if source is None else [*scores, judge_node(judge, task, source, task.results)]


def _make(nodes: Sequence[Node], after: Sequence[Node], task: ScoringTask) -> list[Any]:
    trials = make_trials(nodes, task.whole, task.results)
    alike: dict[tuple[str, ...], list[int]] = {}
    for place, node in enumerate(nodes):
        alike.setdefault(node.inputs(), []).append(place)
    made: dict[int, Any] = {}
    for places in alike.values():
        made |= zip(places, nodes[places[0]].compute([trials[place] for place in places]), strict=True)
    for reader in after:
        (trial,) = make_trials([reader], task.whole, task.results)
        for place, own in made.items():
            trial.known[nodes[place].name, nodes[place].artefact] = own
            made[place] = reader.make(trial)
    return [made[place] for place in range(len(nodes))]


def make_trials(nodes: Sequence[Any], video: Video, results: VideoResults) -> list[Trial]:
    """Return a trial of each node for a video; they share what they read."""
    known: dict[tuple[str, object], Any] = {}
    stored = results.fingerprints
    return [
        Trial(
            node,
            video,
            tuple((name, stored[name]) for name in node.inputs()),
            "",
            results.store.workspace,
            known=known,
        )
        for node in nodes
    ]
