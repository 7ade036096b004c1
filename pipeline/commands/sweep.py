"""`rvos sweep RECIPE NODE`: every threshold or subset of members of a fusion, scored from one count of votes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import joblib
import numpy as np

from fusion.groups import Group, group_by_agreement
from fusion.sweeps import Setting, count_member_votes, list_shares, list_subsets, list_thresholds, score_settings
from fusion.thresholds import Threshold
from fusion.votes import check_alike, read_runs
from pipeline.commands.recipe_options import add_recipe_options, open_recipe
from pipeline.execution import group_videos, select_videos
from pipeline.graph import build_graph
from pipeline.recipe import FuseNode, Recipe
from pipeline.recipe_text import nearest
from pipeline.scoring import TracedTruth, Values
from rvos.datasets import open_dataset
from rvos.datasets.dataset import TruthSource
from rvos.errors import ConfigError
from rvos.mask_sequences import MaskSequence
from rvos.store import Store
from rvos.videos import Video

_SHOWN = 20
_LARGEST_GROUP = 2


@dataclass(frozen=True, slots=True)
class SweepRow:
    """A setting and its scores in per cent."""

    members: tuple[str, ...]
    threshold: str
    j: float
    f: float
    j_and_f: float


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "examples:\n  rvos sweep pipeline.yaml stage1\n  rvos sweep pipeline.yaml stage1 --members\n"
        "  rvos sweep pipeline.yaml smr --thresholds 2 3 4 0.6"
    )
    add_recipe_options(parser)
    parser.add_argument("node", metavar="NODE", help="a fusion by votes; its inputs must be finished")
    parser.add_argument("--thresholds", nargs="+", default=[], metavar="T", help="default: all that can differ")
    parser.add_argument("--members", action="store_true", help="every subset of the members, with every threshold")
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    parser.add_argument("--json", action="store_true", help="print one JSON object with all settings")


def run(options: argparse.Namespace) -> int:
    """Print the settings, best first for subsets."""
    recipe = open_recipe(options)
    node = find_fusion(recipe, options.node)
    dataset = open_dataset(recipe.dataset.format, recipe.dataset.root, recipe.dataset.split)
    videos = select_videos(dataset, names=options.videos)
    groups = group_videos(node.groups, videos)
    largest = max((len(group.expressions) for own in groups.values() for group in own), default=_LARGEST_GROUP)
    settings = list_settings(node, options.thresholds, subsets=options.members, group_size=largest)
    store = Store(recipe.workspace)
    tasks = (
        joblib.delayed(sweep_video)(store, video, dataset.select_truth(video), node, groups.get(video.id), settings)
        for video in videos
    )
    means = np.concatenate(joblib.Parallel(n_jobs=options.jobs)(tasks), axis=1).mean(axis=1)
    rows = [_make_row(node, setting, 100 * values) for setting, values in zip(settings, means, strict=True)]
    if options.members:
        rows.sort(key=lambda row: -row.j_and_f)
    _print(node.name, rows, as_json=options.json)
    return 0


def find_fusion(recipe: Recipe, name: str) -> FuseNode:
    """Return a fusion by votes.

    Raises:
        ConfigError: no such node, or another kind.
    """
    fusions = {node.name: node for node in build_graph(recipe).nodes if isinstance(node, FuseNode)}
    if name not in fusions:
        raise ConfigError(f"{recipe.path}: no fusion {name!r}; {nearest(name, list(fusions))}")
    if fusions[name].rule.method != "votes":
        raise ConfigError(f"{name}: fuses by {fusions[name].rule.method}; only votes can be swept")
    return fusions[name]


def list_settings(node: FuseNode, thresholds: Sequence[str], *, subsets: bool, group_size: int) -> list[Setting]:
    """Return the settings to score."""
    if subsets:
        return list_subsets(node.rule, group_size)
    parsed = [Threshold.parse(text) for text in thresholds]
    return list_thresholds(node.rule, parsed or list_shares(node.rule.weights, group_size))


def sweep_video(
    store: Store,
    video: Video,
    source: TruthSource,
    node: FuseNode,
    groups: Sequence[Group] | None,
    settings: Sequence[Setting],
) -> Values:
    """Return J and F of every setting and expression of a video, `(settings, expressions, 2)`."""
    members = [{s.expression: s for s in store.read(name, video.id, soft=False)} for name in node.members]
    if groups is None:
        groups = _find_groups(store, video, node)
    truth = TracedTruth(video, source.read())
    order = {expression.id: index for index, expression in enumerate(video.expressions)}
    values = np.empty((len(settings), len(order), 2))
    for group in groups:
        places = [order[expression] for expression in group.expressions]
        values[:, places] = _sweep_group(members, group, truth, settings, names=node.members)
    return values


def _sweep_group(
    members: Sequence[dict[str, MaskSequence]],
    group: Group,
    truth: TracedTruth,
    settings: Sequence[Setting],
    *,
    names: Sequence[str],
) -> Values:
    for expression in group.expressions:
        check_alike([member[expression] for member in members], names)
    votes = count_member_votes([[read_runs(member[e]) for e in group.expressions] for member in members])
    truths = [truth.trace(members[0][expression]) for expression in group.expressions]
    return score_settings(votes, settings, truths, truth.void)


def _find_groups(store: Store, video: Video, node: FuseNode) -> tuple[Group, ...]:
    deciding = [
        {sequence.expression: read_runs(sequence) for sequence in store.read(name, video.id, soft=False)}
        for name in node.groups.members
    ]
    ids = [expression.id for expression in video.expressions]
    return group_by_agreement(deciding, ids, threshold=node.groups.threshold)


def _make_row(node: FuseNode, setting: Setting, values: Values) -> SweepRow:
    j, f = float(values[0]), float(values[1])
    threshold = setting.rule.threshold
    members = tuple(node.members[index] for index in setting.members)
    return SweepRow(members, str(threshold), j, f, (j + f) / 2)


def _print(node: str, rows: Sequence[SweepRow], *, as_json: bool) -> None:
    if as_json:
        json.dump({"node": node, "settings": [asdict(row) for row in rows]}, sys.stdout, indent=1)
        print()
        return
    best = max(rows, key=lambda row: row.j_and_f)
    print(f"  {'threshold':>10}  {'J':>6} {'F':>6} {'J&F':>6}  members")
    for row in rows[:_SHOWN]:
        mark = "*" if row is best else " "
        print(f"{mark} {row.threshold:>10}  {row.j:>6.2f} {row.f:>6.2f} {row.j_and_f:>6.2f}  {', '.join(row.members)}")
    if len(rows) > _SHOWN:
        print(f"  {len(rows) - _SHOWN} more; --json prints all")
