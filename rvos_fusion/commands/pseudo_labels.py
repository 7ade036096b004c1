"""`rvos pseudo-labels RECIPE NODE`: the masks of a node as a split to train on."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from rvos.errors import ConfigError, InputError
from rvos.formats import find_format
from rvos.ids import check_id
from rvos.settings import count
from rvos_fusion.clips.pseudo_labels import write_pseudo_labels
from rvos_fusion.commands.entrants import open_one
from rvos_fusion.commands.shared_options import add_recipe_options, open_recipe
from rvos_fusion.tables import print_json


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example:\n  rvos pseudo-labels recipe.yaml final --out data/pseudo --least-score 0.6"
    add_recipe_options(parser)
    parser.add_argument("node", metavar="NODE", help="finished for all videos of the recipe's split")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder of the new split, in the layout of Ref-YouTube-VOS, or of MeViS where answers may overlap",
    )
    parser.add_argument("--split", default="train", help="its name (default: train)")
    parser.add_argument("--least-score", type=float, metavar="S", help="leave out sentences of a lower mean score")
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Write the split, and say what was left out."""
    recipe = open_recipe(options)
    try:
        check_id(options.split, where="--split", what="split")
    except InputError as error:
        raise InputError(f"{error}; name a folder") from None
    form = recipe.dataset.format
    if find_format(form).has_samples:
        raise ConfigError(f"{recipe.path}: {form} is windows of single frames; take a data set of whole videos")
    one = open_one(options, recipe)
    (node,) = one.results.choose_nodes([options.node])
    counts = write_pseudo_labels(
        one.results,
        node,
        one.videos,
        options.out,
        split=options.split,
        least_score=options.least_score,
        overlapping=find_format(form).overlapping,
        quiet=options.quiet,
    )
    if options.json:
        print_json({"node": node, "out": str(options.out), **asdict(counts)})
        return 0
    left = "".join(f", {count} {reason}" for reason, count in counts.dropped.items())
    print(
        f"{options.out}: {count(counts.expressions, 'sentence')} of "
        f"{count(counts.objects, 'object')} in {count(counts.videos, 'video')}, split "
        f"{options.split}; left out: {count(sum(counts.dropped.values()), 'sentence')}{left}"
    )
    return 0
