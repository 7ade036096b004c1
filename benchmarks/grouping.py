"""`python -m benchmarks.grouping RECIPE NODE`: how well groups are found without object ids, and what they are worth.

The data set names its objects, which serve as truth only. Sentences are left out at random as real files lack some; the
stored masks of the others stay as they are. Prints precision and recall of pairs for each share left out, then J&F of
the node's members fused in three ways under five groupings.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusion.assignment import ScoreFit
from fusion.groups import Group, group_by_agreement, group_by_object, group_neighbours, group_none
from fusion.methods.assign import Assign
from fusion.methods.best import Best
from fusion.methods.votes import Votes
from fusion.rules import FusionRule, fuse_video
from fusion.runs import count_hits
from fusion.thresholds import Threshold
from rvos.errors import PipelineError
from rvos.evaluation.evaluator import SelectedTruth
from rvos.formats import open_evaluator
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.runs import Runs
from rvos.videos import Video
from rvos_fusion.commands.shared_options import add_recipe_options, open_recipe
from rvos_fusion.kinds.base import capability
from rvos_fusion.planning.plan import make_plan
from rvos_fusion.planning.results import Results, VideoResults
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.scores.fitting import Combination

GROUPINGS = ("none", "neighbours", "agreement", "runs", "ids")
SHARES = (0.0, 0.015, 0.05, 0.1)
_DRAWS = 5
_SEED = 20260

Pairs = set[tuple[str, str]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grouping", description=__doc__)
    add_recipe_options(parser)
    parser.add_argument("node", metavar="NODE", help="a fusion by assignment with groups by runs; its inputs are there")
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these")
    options = parser.parse_args(arguments)
    try:
        _print_tables(options)
    except PipelineError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


def _print_tables(options: argparse.Namespace) -> None:
    recipe = open_recipe(options)
    dataset = recipe.dataset.open()
    videos = [video for video in dataset.videos if not options.videos or video.id in options.videos]
    results = Results(make_plan(recipe, build_graph(recipe), videos))
    node = capability(recipe.node(options.node), Combination)
    if node is None or not node.order_members():
        raise PipelineError(f"{options.node}: no fusion with groups by runs")
    results.require([*node.members, *node.order_members()])
    evaluator = open_evaluator(dataset)
    deciding = [_Masks.read(results.of_video(video.id), video, node.order_members()) for video in videos]
    _print_pairs(node, deciding)
    print()
    members = [results.of_video(video.id) for video in videos]
    truths = [evaluator.select(video) for video in videos]
    _print_scores(node, deciding, list(zip(members, truths, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class _Masks:
    """What decides the groups of one video."""

    video: Video
    members: Sequence[Mapping[str, Runs]]

    @classmethod
    def read(cls, results: VideoResults, video: Video, names: Iterable[str]) -> _Masks:
        """Read the raw masks of the deciding nodes."""
        return cls(video, [{s.expression: s.as_runs() for s in results.read(name)} for name in names])

    def drop(self, share: float, random: np.random.Generator) -> _Masks:
        """Leave out sentences; one stays."""
        kept = tuple(e for e in self.video.expressions if random.random() >= share)
        return replace(self, video=replace(self.video, expressions=kept or self.video.expressions[:1]))

    def group(self, by: str, node: Combination) -> tuple[Group, ...]:
        """Return the groups by one of GROUPINGS."""
        ids = [expression.id for expression in self.video.expressions]
        if by == "agreement":
            return group_by_agreement(self.members, ids)
        if by == "runs":
            return node.cut_runs(self.video, count_hits(self.members, ids), None)
        return {"none": group_none, "neighbours": group_neighbours, "ids": group_by_object}[by](self.video)


def _print_pairs(node: Combination, masks: Sequence[_Masks]) -> None:
    columns = ("neighbours", "agreement", "runs")
    print(f"pairs of sentences, precision / recall in %, {len(masks)} videos, {_DRAWS} draws")
    print(f"{'left out':>8}  " + "  ".join(f"{name:>13}" for name in columns))
    for share in SHARES:
        counts = {name: np.zeros(3) for name in columns}
        for draw in range(_DRAWS if share else 1):
            for place, whole in enumerate(masks):
                own = whole.drop(share, np.random.default_rng([_SEED, draw, place]))
                truth = _list_pairs(own.group("ids", node))
                for name in columns:
                    found = _list_pairs(own.group(name, node))
                    counts[name] += (len(found & truth), len(found), len(truth))
        cells = [f"{_percent(c[0], c[1])} / {_percent(c[0], c[2])}" for c in counts.values()]
        print(f"{100 * share:>7.1f}%  " + "  ".join(f"{cell:>13}" for cell in cells))


def _list_pairs(groups: Sequence[Group]) -> Pairs:
    return {(a, b) for group in groups for a in group.expressions for b in group.expressions if a < b}


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def _print_scores(
    node: Combination, deciding: Sequence[_Masks], sources: Sequence[tuple[VideoResults, SelectedTruth]]
) -> None:
    print(f"J&F of {', '.join(node.members)}, {len(deciding)} videos, no sentence left out")
    print(f"{'method':>8}  " + "  ".join(f"{name:>10}" for name in GROUPINGS))
    values: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    for masks, (results, selected) in zip(deciding, sources, strict=True):
        members = [results.by_expression(name) for name in node.members]
        judge = selected.open()
        known: dict[tuple[tuple[bytes, ...], ...], NDArray[np.float64]] = {}
        for by in GROUPINGS:
            groups = masks.group(by, node)
            for method, rule in _list_rules(node, by).items():
                fused = _fuse(members, groups, rule, node.rule.read_fits(), masks.video)
                key = tuple(sequence.runs for sequence in fused)
                if key not in known:
                    known[key] = np.array([one.j_and_f for one in judge.judge(fused)])
                values.setdefault((method, by), []).append(known[key])
    for method in ("votes", "best", "assign"):
        cells = [100 * float(np.concatenate(values[method, by]).mean()) for by in GROUPINGS]
        print(f"{method:>8}  " + "  ".join(f"{cell:>10.1f}" for cell in cells))


def _list_rules(node: Combination, by: str) -> dict[str, FusionRule]:
    """Return the three ways; `best` and `assign` weigh scores as the node's fit says."""
    assign = Assign(node.members, capacity=2 if by == "none" else 1)
    return {
        "votes": Votes(node.members, threshold=Threshold.parse("0.5")),
        "best": Best(node.members),
        "assign": assign,
    }


def _fuse(
    members: Sequence[Mapping[str, MaskSequence]],
    groups: Sequence[Group],
    rule: FusionRule,
    fits: Sequence[ScoreFit] | None,
    video: Video,
) -> list[MaskSequence]:
    fused = by_expression(fuse_video(members, groups, rule, fits=fits))
    return [fused[expression.id] for expression in video.expressions]


if __name__ == "__main__":
    sys.exit(main())
