"""`rvos nouns RECIPE`: what a detector is asked for each sentence, for review before anything is tracked."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter

from rvos.language.nouns import NounFinder
from rvos_fusion.commands.recipe_options import add_recipe_options, open_recipe
from rvos_fusion.planning.plan import select_videos


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "examples:\n  rvos nouns recipes/mevis_refinement.yaml\n  rvos nouns pipeline.yaml --json\n\n"
        'Correct a noun with nouns: {file: nouns.json} in the recipe; the file is {"VIDEO/EXPRESSION": "noun"} or\n'
        '{"the whole sentence": "noun"}; several nouns are separated by " . ".'
    )
    add_recipe_options(parser)
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument("--json", action="store_true", help="print one JSON object with all sentences")


def run(options: argparse.Namespace) -> int:
    """Print noun, source and phrase of every sentence; those without a noun are marked."""
    recipe = open_recipe(options)
    dataset = recipe.dataset.open()
    finder = NounFinder(recipe.nouns)
    rows = [
        (video.id, expression, finder.find(video, expression))
        for video in select_videos(dataset, names=options.videos)
        for expression in video.expressions
    ]
    if options.json:
        listed = [
            {
                "video": video,
                "expression": expression.id,
                "text": expression.text,
                "noun": noun.text,
                "source": noun.source,
                "phrase": noun.phrase,
            }
            for video, expression, noun in rows
        ]
        json.dump({"sentences": listed}, sys.stdout, indent=1)
        print()
        return 0
    for video, expression, noun in rows:
        mark = "*" if noun.source == "expression" else " "
        print(f"{mark} {video}/{expression.id}  {noun.text}  ({noun.source}: {noun.phrase})  {expression.text}")
    sources = Counter(noun.source for *_, noun in rows)
    pairs = {(video, noun.text) for video, _, noun in rows}
    told = ", ".join(f"{count} from {source}" for source, count in sorted(sources.items()))
    print(f"{len(rows)} sentences, {len(pairs)} nouns to track: {told}; * has no noun, the whole sentence is asked")
    return 0
