"""`rvos nouns RECIPE`: what a detector is asked for each sentence, for review before anything is tracked."""

from __future__ import annotations

import argparse
from collections import Counter

from rvos.language.nouns import NounFinder
from rvos.settings import count
from rvos_fusion.commands.shared_options import add_recipe_options, open_recipe
from rvos_fusion.planning.plan import select_videos
from rvos_fusion.tables import Column, Table, print_tables, read_form


def register(parser: argparse.ArgumentParser) -> None:
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
    sources = Counter(noun.source for *_, noun in rows)
    pairs = {(video, noun.text) for video, _, noun in rows}
    told = ", ".join(f"{count} from {source}" for source, count in sorted(sources.items()))
    note = (
        f"{count(len(rows), 'sentence')}, {count(len(pairs), 'noun')} to track: {told}; * has no "
        "noun, the whole sentence is asked"
    )
    print_tables([Table(_COLUMNS, rows, notes=(note,), name="sentences")], read_form(options))
    return 0


_COLUMNS = (
    Column("", lambda row: "*" if row[2].source == "expression" else "", forms=("text",)),
    Column("sentence", lambda row: f"{row[0]}/{row[1].id}", forms=("text",)),
    Column("video", lambda row: row[0], forms=("json",)),
    Column("expression", lambda row: row[1].id, forms=("json",)),
    Column("noun", lambda row: row[2].text, folds=True),
    Column("source", lambda row: row[2].source),
    Column("phrase", lambda row: row[2].phrase, folds=True),
    Column("text", lambda row: row[1].text, folds=True),
)
