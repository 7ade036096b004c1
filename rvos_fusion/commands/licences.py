"""`rvos licences RECIPE`: licence and attribution of everything that a result stands on."""

from __future__ import annotations

import argparse

from rvos.errors import ConfigError
from rvos.settings import count, nearest
from rvos_fusion.commands.shared_options import add_recipe_options, open_recipe
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.tables import Column, Table, print_tables, read_form
from rvos_fusion.weights.licences import Source, list_ancestors, list_sources, name_statements


def _show_licence(source: Source) -> str:
    return source.licence if source.is_known else f"unknown; state it in {name_statements(source)}"


_COLUMNS = (
    Column("what", "what"),
    Column("path", "path", folds=True),
    Column("licence", "licence", forms=("json",)),
    Column("licence", _show_licence, forms=("text",), folds=True),
    Column("attribution", "attribution", forms=("json",)),
    Column("name", "attribution", forms=("text",), folds=True),
    Column("nodes", "nodes", folds=True),
)


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example:\n  rvos licences recipes/paper.yaml --node stage2"
    add_recipe_options(parser)
    parser.add_argument("--node", help="default: the recipe's submission, else all nodes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print a line for each weight, import and data set."""
    recipe = open_recipe(options)
    nodes = build_graph(recipe).nodes
    name = options.node or recipe.submission
    if name is not None:
        known = [node.name for node in recipe.nodes]
        if name not in known:
            raise ConfigError(f"{recipe.path}: no node {name!r}; {nearest(name, known)}")
        nodes = tuple(list_ancestors(recipe, name))
    sources = list_sources(recipe, nodes)
    unknown = sum(not source.is_known for source in sources)
    notes = (f"{count(len(sources), 'source')}, {unknown} of unknown licence",)
    print_tables([Table(_COLUMNS, sources, notes=notes, name="sources")], read_form(options), {"node": name})
    return 0
