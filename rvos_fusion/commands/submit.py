"""`rvos submit RECIPE`: the archive of a node, and beside it what it was made of."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rvos.formats import find_format
from rvos.formats.submissions import read_team, write_submission
from rvos.imports.missing import add_black
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.settings import count
from rvos.videos import Video
from rvos_fusion.commands.shared_options import add_recipe_options, open_recipe, repeat_options
from rvos_fusion.planning.gaps import list_gaps, make_rest
from rvos_fusion.planning.results import open_results
from rvos_fusion.tables import print_json
from rvos_fusion.weights.provenance import write_manifest


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example:\n  rvos submit pipeline.yaml --out submission.zip"
    add_recipe_options(parser)
    parser.add_argument("--node", help="default: the recipe's submission.node")
    parser.add_argument("--out", type=Path, help="archive to write; default: submission.zip in the workspace")
    parser.add_argument("--team", type=Path, metavar="FILE", help="JSON object to put in as team.json, as servers ask")
    parser.add_argument(
        "--fill-missing", action="store_true", help="write black masks for expressions without a result, and list them"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Write archive and manifest."""
    recipe = open_recipe(options)
    dataset = recipe.dataset.open()
    results = open_results(recipe, dataset.videos, repeat_options(options))
    node = results.choose_submission(options.node)
    gaps = results.find_missing(node) if options.fill_missing else []
    if len(gaps) in (0, len(dataset.videos)):  # an archive of black masks is nobody's wish
        results.require([node])
    filled: list[str] = []
    notes: list[str] = []
    team = read_team(options.team) if options.team is not None else None
    soft = find_format(dataset.format).archive.reads_soft
    out = options.out or recipe.workspace / "submission.zip"

    def read(video: Video) -> Sequence[MaskSequence]:
        found: Sequence[MaskSequence]
        if video.id not in gaps:
            found = results.of_video(video.id).read(node, soft=soft, queries=True)
        else:
            found = add_black(by_expression(make_rest(results, node, video)), video, "empty")
        own = [f"{video.id}/{one.expression}" for one in found if one.missing]
        filled.extend(own)
        if video.id in gaps:
            part = f"{len(own)} of {count(len(found), 'expression')}"
            notes.append(f"{video.id}: no result of {node} for {part}, filled with black masks, first {own[0]}")
        return found

    n_masks = write_submission(out, dataset, read, team=team)
    lacking = {f"{name}: {fill}": own for (name, fill), own in list_gaps(results, [node]).items()}
    manifest = write_manifest(
        out, results.plan, node, overrides=options.overrides, n_masks=n_masks, filled=filled, gaps=lacking
    )
    if options.json:
        content = {"archive": str(out), "manifest": str(manifest), "node": node, "masks": n_masks, "filled": filled}
        print_json(content)
    else:
        for name, own in lacking.items():
            notes.append(f"{name}: no masks for {count(len(own), 'expression')}, first {own[0]}")
        for note in notes:
            print(note, file=sys.stderr)
        print(
            f"{out}: {count(n_masks, 'mask')} of {count(len(dataset.videos), 'video')} from {node}; made of: {manifest}"
        )
    return 0
