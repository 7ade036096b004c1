"""`python -m benchmarks [NAME ...]`: runs all modules of this folder that have `run()`, and prints a table."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

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
    print(f"{'measured':52} {'ours':>10} {'baseline':>10} {'unit':16} {'ratio':>8}  {'bound':8} result")
    kept = [_run(name) for name in options.names or list_benchmarks()]
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


def list_benchmarks() -> list[str]:
    """Return the names of the modules that have `run()`."""
    names = sorted(path.stem for path in _FOLDER.glob("*.py") if path.stem not in _HELPERS)
    return [name for name in names if "\ndef run(" in (_FOLDER / f"{name}.py").read_text(encoding="utf-8")]


if __name__ == "__main__":
    sys.exit(main())
