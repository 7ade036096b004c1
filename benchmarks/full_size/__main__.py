"""Networks of official size without the official files.

`make FOLDER [NAME ...]` writes stand-ins: envelopes, names and shapes are the official ones where the table does not
say otherwise, values follow from the names as in a parity case, and tokenisers pass their check. `recipes/paper.yaml
--set paths.weights=FOLDER` then reads them. `run FOLDER [RECIPE ...]` runs recipes with them on a few synthetic clips.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.full_size.making import NAMES, make
from benchmarks.full_size.running import TRIALS, Clips, run
from benchmarks.harness import print_markdown

_GB = 1e9


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or run recipes with them; 0, or 1 where a node failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.full_size", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("make", help="write the files")
    making.add_argument("folder", type=Path, metavar="FOLDER")
    making.add_argument("names", nargs="*", metavar="NAME", help=f"none: all of {', '.join(NAMES)}")
    making.set_defaults(call=_make)
    running = commands.add_parser("run", help="run recipes, and print time, memory and share of the machine by node")
    running.add_argument("folder", type=Path, metavar="FOLDER", help="where `make` wrote the files")
    running.add_argument("names", nargs="*", metavar="RECIPE", help=f"none: all of {', '.join(TRIALS)}")
    running.add_argument(
        "--size", nargs=2, type=int, default=Clips().size, metavar=("H", "W"), help="default: 720 1280"
    )
    for what in ("videos", "frames", "sentences"):
        most = getattr(Clips(), f"n_{what}")
        running.add_argument(f"--{what}", type=int, default=most, metavar="N", help=f"default: {most}")
    running.add_argument(
        "--work", type=Path, default=Path("runs/full-size"), help="for clips and results; default: %(default)s"
    )
    running.set_defaults(call=_run)
    options = parser.parse_args(arguments)
    known = NAMES if options.call is _make else TRIALS
    if unknown := sorted(set(options.names) - set(known)):
        parser.error(f"no {', '.join(unknown)}; choose from {', '.join(known)}")
    status: int = options.call(options)
    return status


def _make(options: argparse.Namespace) -> int:
    options.folder.mkdir(parents=True, exist_ok=True)
    print_markdown(
        ("file", "GB", "million parameters", "names and shapes"),
        (
            (made.path.name, f"{made.path.stat().st_size / _GB:.2f}", f"{made.parameters / 1e6:.0f}", made.source)
            for made in make(options.folder, options.names)
        ),
    )
    return 0


def _run(options: argparse.Namespace) -> int:
    """Print a row for every node; 1 where one failed."""
    clips = Clips(options.videos, options.frames, options.sentences, tuple(options.size))
    height, width = clips.size
    print(
        f"videos: {clips.n_videos} of {clips.n_frames} frames {height} x {width}, {clips.n_sentences} sentences each\n"
    )
    failed = []

    def list_rows() -> Iterator[tuple[str, ...]]:
        for ran in run(options.folder, options.work, options.names, clips):
            failed.extend([ran.node] if ran.status else [])
            share = "-" if ran.share is None else f"{ran.share:.0%}"
            state = "failed" if ran.status else "done"
            yield ran.recipe, ran.node, f"{ran.seconds:.2f}", f"{ran.gib:.2f}", share, state

    print_markdown(
        ("recipe", "node", "processor seconds a frame", "peak GiB", "share of a large product", "state"), list_rows()
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
