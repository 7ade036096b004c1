"""`rvos doctor RECIPE`: what a recipe needs and does not find."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rvos_fusion.commands.shared_options import add_recipe_options, open_recipe
from rvos_fusion.executors.summary import EXIT_INPUT
from rvos_fusion.recipe.graph import find_missing_files
from rvos_fusion.recipe.recipe import Recipe
from rvos_fusion.running.doctor import Finding, examine
from rvos_fusion.tables import Column, Table, print_tables, read_form
from rvos_fusion.weights.known_weights import HUB
from rvos_fusion.weights.provenance import list_versions

_PATIENCE = 20.0


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example:\n  rvos doctor recipes/paper.yaml --set dataset.root=data/refer_youtube_vos --deep"
    add_recipe_options(parser)
    parser.add_argument(
        "--deep", action="store_true", help="decode every image, read all ground truth and all imported masks"
    )
    parser.add_argument(
        "--load",
        action="store_true",
        help="load everything, as a run does before its first task: this executes the modules that the recipe names, "
        "which are only looked at otherwise",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print what was found; 2 where a run would refuse."""
    recipe = open_recipe(options)
    findings = [*_examine_machine(), *examine(recipe, deep=options.deep, executes=options.load)]
    missing = [finding.text for finding in findings if finding.level == "missing"]
    notes = tuple(_list_next(recipe)) if missing else (f"{options.recipe}: ready to run",)
    columns = Column("level", "level"), Column("text", "text", folds=True)
    table = Table(columns, findings, notes=notes, name="findings", has_headings=False)
    print_tables([table], read_form(options), {"ready": not missing})
    if missing:
        more = f" (and {len(missing) - 1} more, listed above)" if len(missing) > 1 else ""
        print(f"rvos doctor: {options.recipe}: cannot run yet: {missing[0]}{more}", file=sys.stderr)
    return EXIT_INPUT if missing else 0


def _list_next(recipe: Recipe) -> Iterator[str]:
    """Yield the commands that fetch what is missing and lies on the hub."""
    places: dict[Path, list[str]] = {}
    for path in dict.fromkeys(file.path for _, file in find_missing_files(recipe.nodes)):
        if path.name in HUB:
            places.setdefault(path.parent, []).append(path.name)
    for place, names in places.items():
        yield f"next: rvos fetch-weights {shlex.join(names)} --out {shlex.quote(os.path.relpath(place))}"


def _examine_machine() -> Iterator[Finding]:
    versions = list_versions()
    for name, version in versions.items():
        if version == "missing":
            yield Finding("missing", f"package {name}: not installed; make install")
    device = _find_gpu() or "no GPU, networks run on the CPU"
    yield Finding("ok", f"Python {versions['python']}, torch {versions['torch']}, {device}")


def _find_gpu() -> str | None:
    """Return the name of the first GPU that the driver knows; torch would take seconds to say the same."""
    try:
        words = ("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
        listed = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(listed.splitlines()), None)
