"""`rvos parity CASE_DIR ...`: the largest difference of every array from the official one."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from rvos_fusion.parity.cases import ArrayDifference
from rvos_fusion.parity.checking import check_case
from rvos_fusion.tables import Column, Table, print_json, print_tables


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example:\n  rvos parity parity/soc/swin_t_released --stages"
    parser.add_argument("cases", nargs="+", type=Path, metavar="CASE_DIR")
    parser.add_argument("--stages", action="store_true", help="let intermediate arrays decide as well")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--threads", type=int, help="CPU threads of torch")


def run(options: argparse.Namespace) -> int:
    """Check every case; 1 if any array is out of its tolerance."""
    if options.threads:
        torch.set_num_threads(options.threads)
    cases = [case for path in options.cases for case in list_cases(path)]
    results = {str(case): check_case(case) for case in cases}
    failed = False
    for folder, (outputs, stages) in results.items():
        deciding = outputs + stages if options.stages else outputs
        failed |= not all(row.passes for row in deciding)
        if not options.json:
            rows = [*(("output", row) for row in outputs), *(("stage", row) for row in stages)]
            verdict = "pass" if all(row.passes for row in deciding) else "FAIL"
            print_tables([Table(_COLUMNS, rows, title=f"{folder}: {verdict}")], "text")
    if options.json:
        print_json(
            {
                folder: {"outputs": _as_json(outputs), "stages": _as_json(stages)}
                for folder, (outputs, stages) in results.items()
            }
        )
    return int(failed)


def list_cases(path: Path) -> list[Path]:
    """Return the condensed cases of a folder that is no case itself; else the path as it is."""
    condensed = sorted(path.glob("*.npz")) if path.is_dir() and not (path / "keys.json").exists() else []
    return condensed or [path]


_COLUMNS = (
    Column("", lambda row: "" if row[1].passes else "!"),
    Column("array", lambda row: f"{row[0]} {row[1].name}", folds=True),
    Column("absolute", lambda row: row[1].absolute, ".3g"),
    Column("relative", lambda row: row[1].relative, ".3g"),
    Column("limit", lambda row: row[1].limit, ".3g"),
)


def _as_json(rows: list[ArrayDifference]) -> dict[str, object]:
    found: dict[str, object] = {}
    for row in rows:
        absolute, relative = (row.absolute, row.relative) if math.isfinite(row.relative) else (None, None)
        found[row.name] = {"absolute": absolute, "relative": relative, "limit": row.limit, "passes": row.passes}
    return found
