"""`python -m benchmarks [NAME ...]`: runs some or all of `benchmarks.cases`, and prints a table."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from benchmarks.cases import CASES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named benchmarks, or all; 0 if every bound is kept."""
    listed = "\n".join(f"  {name:16} {aim}" for name, aim in CASES.items())
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=f"{__doc__}\n\n{listed}", formatter_class=form
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="none: all")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(CASES))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; choose from {', '.join(CASES)}")
    print(f"{'measured':52} {'ours':>10} {'baseline':>10} {'unit':16} {'ratio':>8}  {'bound':8} result")
    kept = [_run(name) for name in options.names or CASES]
    return 0 if all(kept) else 1


def _run(name: str) -> bool:
    """Print the rows of a benchmark and tell whether every bound was kept; one that breaks does not end the others."""
    kept = True
    try:
        for row in import_module(f"benchmarks.{name}").run():
            kept &= row.passes
            print(
                f"{row.name:52} {row.ours:>10.4g} {row.baseline:>10.4g} {row.unit:16} {row.ratio:>8.3g}  "
                f"{row.bound:8} {'pass' if row.passes else 'FAIL'}",
                flush=True,
            )
    except Exception:
        print(f"{name}: broke off", flush=True)
        traceback.print_exc()
        return False
    return kept


if __name__ == "__main__":
    sys.exit(main())
