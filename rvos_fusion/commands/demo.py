"""`rvos demo`: the bundled demo in a folder of its own, from data to archive, after nothing but an install."""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rvos.errors import InputError
from rvos_fusion.synthetic.bundled import find_bundled

_RECIPE = "pipeline.yaml"
_RECIPES = "recipes"
_DEMO = "demo"
_LADDER = ("soc", "soc_aot", "stage1", "stage2", "final")
_PARTS = ("data", "checkpoints", "*.json")


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example:\n  rvos demo --out rvos-demo --jobs 2"
    parser.add_argument(
        "--out", type=Path, default=Path("rvos-demo"), help="folder for recipes, data and results; default: rvos-demo"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    parser.add_argument("--only-copy", action="store_true", help="write recipes, data and checkpoints, run nothing")


def run(options: argparse.Namespace) -> int:
    """Copy the demo where it is not yet, run every command of it, and return the first status that is not 0."""
    copy_demo(options.out)
    if options.only_copy:
        print(options.out)
        return 0
    for words in list_commands(options.jobs):
        print(f"rvos {shlex.join(words)}", file=sys.stderr)
        # A process each, as a user would: the networks of one command do not stay in memory for the next.
        process = subprocess.Popen([sys.executable, "-m", "rvos_fusion.commands.cli", *words], cwd=options.out)
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
        if status:
            return status
    print(f"open {options.out / 'runs' / 'demo' / 'report.html'}", file=sys.stderr)
    return 0


def list_commands(jobs: int) -> Iterator[list[str]]:
    """Yield the words of each command, to be run in the demo's folder."""
    for stage in ("1", "2"):
        yield ["run", _RECIPE, "--stage", stage, "--jobs", str(jobs)]
    yield ["submit", _RECIPE]
    yield ["check-submission", "runs/demo/submission.zip", "--recipe", _RECIPE]
    yield ["report", _RECIPE, "--ladder", *_LADDER]
    yield ["sweep", _RECIPE, "stage1", "--plot", "runs/demo/sweep.png"]
    yield ["table", _RECIPE, *_LADDER]


def copy_demo(folder: Path) -> None:
    """Write the recipes, and what the bundled one reads, into a folder; what is there already is left as it is.

    Raises an InputError where the folder cannot be written.
    """
    source = find_bundled()
    pairs = [(source / _RECIPE, folder / _RECIPE)]
    pairs += [(path, folder / _RECIPES / path.name) for path in sorted((source / _RECIPES).glob("*.yaml"))]
    for pattern in _PARTS:
        for part in sorted((source / _DEMO).glob(pattern)):
            found = sorted(part.rglob("*")) if part.is_dir() else [part]
            pairs += [(path, folder / path.relative_to(source)) for path in found if path.is_file()]
    try:
        for origin, target in pairs:
            if not target.exists():  # a recipe that was edited stays edited
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(origin, target)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); give another folder by --out") from None
