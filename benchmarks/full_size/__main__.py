"""`python -m benchmarks.full_size make FOLDER [NAME ...]`: files of official size that stand in for the official ones.

Envelopes, names and shapes are the official ones where the table does not say otherwise, values follow from the names
as in a parity case, and tokenisers pass their check. `recipes/paper.yaml --set paths.weights=FOLDER` then reads them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.full_size.making import NAMES, make
from benchmarks.harness import print_markdown

_GB = 1e9


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files; 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.full_size", description=__doc__)
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("make", help="write the files")
    making.add_argument("folder", type=Path, metavar="FOLDER")
    making.add_argument("names", nargs="*", metavar="NAME", help=f"none: all of {', '.join(NAMES)}")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - set(NAMES)):
        parser.error(f"no network {', '.join(unknown)}; choose from {', '.join(NAMES)}")
    options.folder.mkdir(parents=True, exist_ok=True)
    print_markdown(
        ("file", "GB", "million parameters", "names and shapes"),
        (
            (made.path.name, f"{made.path.stat().st_size / _GB:.2f}", f"{made.parameters / 1e6:.0f}", made.source)
            for made in make(options.folder, options.names)
        ),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
