"""`python -m benchmarks [NAME ...]`: runs all modules of this folder that have `run()`, and prints a table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.rows import Row

_FOLDER = Path(__file__).parent
_HELPERS = frozenset({"__init__", "__main__", "rows"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named benchmarks, or all; 0 if every bound is kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(list_benchmarks())}")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(list_benchmarks()))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; choose from {', '.join(list_benchmarks())}")
    rows: list[Row] = []
    print(f"{'measured':52} {'ours':>10} {'baseline':>10} {'unit':16} {'ratio':>8}  {'bound':8} result")
    for name in options.names or list_benchmarks():
        for row in import_module(f"benchmarks.{name}").run():
            rows.append(row)
            print(
                f"{row.name:52} {row.ours:>10.4g} {row.baseline:>10.4g} {row.unit:16} {row.ratio:>8.3g}  "
                f"{row.bound:8} {'pass' if row.passes else 'FAIL'}",
                flush=True,
            )
    return 0 if all(row.passes for row in rows) else 1


def list_benchmarks() -> list[str]:
    """Return the names of the modules that have `run()`."""
    names = sorted(path.stem for path in _FOLDER.glob("*.py") if path.stem not in _HELPERS)
    return [name for name in names if "\ndef run(" in (_FOLDER / f"{name}.py").read_text(encoding="utf-8")]


if __name__ == "__main__":
    sys.exit(main())
