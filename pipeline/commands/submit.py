"""`rvos submit RECIPE`: the archive of a node, and beside it what it was made of."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pipeline.commands.recipe_options import add_recipe_options, open_recipe, repeat_options
from pipeline.plan import make_plan
from pipeline.provenance import write_manifest
from pipeline.recipe.graph import build_graph
from pipeline.results import Results
from rvos.datasets import open_dataset
from rvos.submission import write_submission


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
    dataset = open_dataset(recipe.dataset.format, recipe.dataset.root, recipe.dataset.split)
    plan = make_plan(recipe, build_graph(recipe), dataset.videos)
    results = Results(plan, repeat_options(options))
    node = results.choose_submission(options.node)
    results.require([node])
    # Ref-DAVIS17 has one map for all objects: soft maps decide where their masks overlap.
    soft = dataset.format == "ref-davis17"
    out = options.out or recipe.workspace / "submission.zip"
    n_masks = write_submission(out, dataset, lambda video: results.of_video(video.id).read(node, soft=soft))
    manifest = write_manifest(out, plan, node, overrides=options.overrides, n_masks=n_masks)
    if options.json:
        print(json.dumps({"archive": str(out), "manifest": str(manifest), "node": node, "masks": n_masks}))
    else:
        print(f"{out}: {n_masks} masks of {len(dataset.videos)} videos from {node}; made of: {manifest}")
    return 0
