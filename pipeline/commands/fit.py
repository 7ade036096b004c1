"""`rvos fit RECIPE NODE`: fits a fusion's numbers on labelled videos, and says what they gain on others."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fusion.fitted_files import FittedFile, write_fitted
from fusion.rules import FusionRule
from pipeline.commands.recipe_options import add_recipe_options, open_recipe, repeat_options
from pipeline.fitting import Gain, fit_numbers, fit_votes
from pipeline.kinds.base import Combination
from pipeline.plan import make_plan, select_videos
from pipeline.recipe.graph import build_graph
from pipeline.recipe.recipe import Recipe
from pipeline.results import Results
from rvos.datasets import open_dataset
from rvos.errors import ConfigError
from rvos.settings import nearest


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "examples:\n  rvos fit recipe.yaml stage2 --out fits/stage2.json\n"
        "  rvos fit recipe.yaml stage1    # votes: prints weights and threshold for the recipe"
    )
    add_recipe_options(parser)
    parser.add_argument("node", metavar="NODE", help="a fusion whose inputs are finished on labelled videos")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: the fitted file that the recipe names")
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument("--force", action="store_true", help="fit on fewer than 20 videos too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Fit, print the gains, write the file."""
    recipe, node = _open(options)
    dataset = open_dataset(recipe.dataset.format, recipe.dataset.root, recipe.dataset.split)
    videos = select_videos(dataset, names=options.videos)
    results = Results(make_plan(recipe, build_graph(recipe), videos), repeat_options(options))
    if node.rule.method == "votes" and options.out is None:
        rule, gain = fit_votes(results, dataset, videos, node, force=options.force)
        _print(node.name, len(videos), gain, _describe(node, rule), as_json=options.json)
        return 0
    out = options.out or node.fitted_file()
    if out is None:
        raise ConfigError(f"{node.name}: the recipe names no fitted file; give --out FILE")
    numbers, gain = fit_numbers(results, dataset, videos, node, force=options.force)
    scores = {} if numbers.scores is None else dict(zip(node.members, numbers.scores, strict=True))
    deciders = node.order_members() if numbers.pairs is not None else ()
    made = {"node": node.name, "videos": len(videos)} | {key: round(value, 2) for key, value in asdict(gain).items()}
    write_fitted(out, FittedFile(node.members, scores, numbers.pairs, deciders, made=made))
    _print(node.name, len(videos), gain, {"file": str(out)}, as_json=options.json)
    return 0


def _open(options: argparse.Namespace) -> tuple[Recipe, Combination]:
    """Return the recipe with the node as it is before anything is fitted.

    Raises:
        ConfigError: no such node, or one that combines nothing.
    """
    recipe = open_recipe(options)
    fusions = [node.name for node in recipe.nodes if node.combination() is not None]
    if options.node not in fusions:
        raise ConfigError(f"{recipe.path}: no fusion {options.node!r}; {nearest(options.node, fusions)}")
    named = recipe.node(options.node).combination()
    assert named is not None
    nodes = tuple(
        node.unfitted() if node.name == options.node or any(not file.path.exists() for file in node.files()) else node
        for node in recipe.nodes
    )
    found = replace(recipe, nodes=nodes)
    unfitted = found.node(options.node).combination()
    assert unfitted is not None
    options.out = options.out or (None if named.rule.method == "votes" else named.fitted_file())
    return found, unfitted


def _describe(node: Combination, rule: FusionRule) -> dict[str, Any]:
    """Return weights and threshold as the recipe writes them."""
    weights = {name: str(weight) for name, weight in zip(node.members, rule.weights, strict=True)}
    return {"weights": weights, "threshold": str(rule.threshold)}


def _print(node: str, n_videos: int, gain: Gain, found: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        json.dump({"node": node, "videos": n_videos, **asdict(gain), **found}, sys.stdout, indent=1)
        print()
        return
    print(f"{node}, {n_videos} videos, J&F: plain {gain.plain:.2f}, fitted on the same videos {gain.fitted:.2f}")
    print(
        f"held out {gain.held_out:.2f}: {gain.held_out - gain.plain:+.2f}, 95 % interval "
        f"[{gain.low:+.2f}, {gain.high:+.2f}]"
    )
    if "file" in found:
        print(f"{found['file']}: written; name it in the recipe under 'fitted'")
    else:
        weights = ", ".join(f"{name}: {weight}" for name, weight in found["weights"].items())
        print(f"for the recipe: weights: {{{weights}}}, threshold: {found['threshold']}")
