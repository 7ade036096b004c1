"""`python -m benchmarks [NAME ...]`: measures what is promised, and prints a table of the aims.

Without a name what fits into ten minutes on two cores; with names, or `--all`, at full length.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from benchmarks.cases import CASES


@dataclass(frozen=True, slots=True)
class Ended:
    """A benchmark that was run: whether every bound was kept, and how long it took."""

    name: str
    kept: bool
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named benchmarks, all, or the short ones; 0 if every bound is kept."""
    listed = "\n".join(f"  {name:16} {case.aim}{' *' * (case.short is None)}" for name, case in CASES.items())
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=f"{__doc__}\n\n{listed}\n\n* only by name, or with --all",
        formatter_class=form,
    )  # fmt: skip
    parser.add_argument("names", nargs="*", metavar="NAME", help="none: those that are short")
    parser.add_argument("--all", action="store_true", help="all of them, at full length: hours")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(CASES))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; choose from {', '.join(CASES)}")
    print(f"{'measured':52} {'ours':>10} {'baseline':>10} {'unit':16} {'ratio':>8}  {'bound':8} result")
    ended = [_run(name, words) for name, words in _choose(options.names, everything=options.all).items()]
    print(f"\n{'benchmark':16} {'state':8} {'seconds':>8}  aim")
    for one in ended:
        print(f"{one.name:16} {'kept' if one.kept else 'MISSED':8} {one.seconds:>8.0f}  {CASES[one.name].aim}")
    return 0 if all(one.kept for one in ended) else 1


def _choose(names: Sequence[str], *, everything: bool) -> dict[str, Mapping[str, Any]]:
    """Return the arguments of every benchmark that is to run."""
    if names or everything:
        return {name: {} for name in names or CASES}
    return {name: case.short for name, case in CASES.items() if case.short is not None}


def _run(name: str, arguments: Mapping[str, Any]) -> Ended:
    """Print the rows of a benchmark; one that breaks off has kept nothing, and does not end the others."""
    kept, start = True, time.perf_counter()
    try:
        for row in import_module(f"benchmarks.{name}").run(**arguments):
            kept &= row.passes
            print(
                f"{row.name:52} {row.ours:>10.4g} {row.baseline:>10.4g} {row.unit:16} {row.ratio:>8.3g}  "
                f"{row.bound:8} {'pass' if row.passes else 'FAIL'}",
                flush=True,
            )
    except Exception:
        print(f"{name}: broke off", flush=True)
        traceback.print_exc()
        kept = False
    return Ended(name, kept, time.perf_counter() - start)


if __name__ == "__main__":
    sys.exit(main())
