"""`rvos submit RECIPE`: the archive of a node, and beside it what it was made of."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline.commands.recipe_options import add_recipe_options, open_recipe
from pipeline.kinds.artefacts import MASKS
from pipeline.plan import Plan, make_plan
from pipeline.provenance import write_manifest
from pipeline.recipe.graph import build_graph
from pipeline.recipe.recipe import Recipe
from pipeline.recipe_text import nearest
from rvos.datasets import open_dataset
from rvos.errors import ConfigError, StoreError
from rvos.mask_sequences import MaskSequence
from rvos.store import Store
from rvos.submission import write_submission
from rvos.videos import Video


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = "example:\n  rvos submit pipeline.yaml --out submission.zip"
    add_recipe_options(parser)
    parser.add_argument("--node", help="default: the recipe's submission.node")
    parser.add_argument("--out", type=Path, help="archive to write; default: submission.zip in the workspace")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Write archive and manifest."""
    recipe = open_recipe(options)
    node = choose_node(recipe, options.node)
    dataset = open_dataset(recipe.dataset.format, recipe.dataset.root, recipe.dataset.split)
    plan = make_plan(recipe, build_graph(recipe), dataset.videos)
    read = partial(_read_video, plan, node, soft=dataset.format == "ref-davis17")
    _check_finished(plan, node)
    out = options.out or recipe.workspace / "submission.zip"
    n_masks = write_submission(out, dataset, read)
    manifest = write_manifest(out, plan, node, overrides=options.overrides, n_masks=n_masks)
    if options.json:
        print(json.dumps({"archive": str(out), "manifest": str(manifest), "node": node, "masks": n_masks}))
    else:
        print(f"{out}: {n_masks} masks of {len(dataset.videos)} videos from {node}; made of: {manifest}")
    return 0


def choose_node(recipe: Recipe, name: str | None) -> str:
    """Return the node to submit.

    Raises:
        ConfigError: none is given, or the recipe has no such node.
    """
    known = [node.name for node in recipe.nodes if node.artefact is MASKS]
    chosen = name or recipe.submission
    if chosen is None:
        raise ConfigError(f"{recipe.path}: no submission.node; add it, or give --node")
    if chosen not in known:
        raise ConfigError(f"{recipe.path}: no node {chosen!r}; {nearest(chosen, known)}")
    return chosen


def _check_finished(plan: Plan, node: str) -> None:
    """Check that a node has a result for every video.

    Raises:
        StoreError: naming how many are missing.
    """
    if node not in plan.tasks:
        raise StoreError(f"{plan.recipe.path}: no stage needs node {node}, so it was not run; add it to a stage")
    store = Store(plan.recipe.workspace)
    tasks = plan.tasks[node]
    missing = [task.video.id for task in tasks if not store.has(node, task.video.id, task.fingerprint)]
    if missing:
        raise StoreError(
            f"{plan.recipe.workspace}: {node} is missing, or made with other settings, for {len(missing)} of "
            f"{len(tasks)} videos, first {missing[0]}; run first: rvos run {plan.recipe.path}"
        )


def _read_video(plan: Plan, node: str, video: Video, *, soft: bool) -> Sequence[MaskSequence]:
    task = next(task for task in plan.tasks[node] if task.video.id == video.id)
    return Store(plan.recipe.workspace).read(node, video.id, task.fingerprint, soft=soft)
