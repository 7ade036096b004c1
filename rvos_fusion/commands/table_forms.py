"""Tables for other programs: CSV for spreadsheets, Markdown for papers and issues."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterable, Sequence
from typing import Literal

Form = Literal["text", "json", "csv", "markdown"]
Cell = str | int | float | None


def add_forms(parser: argparse.ArgumentParser, *, json_help: str = "print one JSON object") -> None:
    """Declare `--json`, `--csv` and `--markdown`, of which one at most can be given."""
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help=json_help)
    forms.add_argument("--csv", action="store_true", help="print the table as CSV, with all digits")
    forms.add_argument("--markdown", action="store_true", help="print the table as Markdown")


def read_form(options: argparse.Namespace) -> Form:
    """Return the form that was asked for."""
    return "json" if options.json else "csv" if options.csv else "markdown" if options.markdown else "text"


def write_csv(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table as CSV; what is missing is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(rows)
    return stream.getvalue()


def write_markdown(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table as Markdown, numbers to the right and with two digits after the point."""
    listed = [list(row) for row in rows]
    is_text = [any(isinstance(row[place], str) for row in listed) for place in range(len(headings))]
    lines = [
        headings,
        ["---" if text else "---:" for text in is_text],
        *([_show(cell) for cell in row] for row in listed),
    ]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _show(cell: Cell) -> str:
    text = "" if cell is None else f"{cell:.2f}" if isinstance(cell, float) else str(cell)
    return text.replace("|", "\\|").replace("\n", " ")
