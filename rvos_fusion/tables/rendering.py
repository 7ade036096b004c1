"""Tables as text for terminals and pipes, CSV for spreadsheets, Markdown for papers and issues, JSON for programs."""

from __future__ import annotations

import argparse
import csv
import io
import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence

from rvos_fusion.tables.table import Column, Form, Table

_UNFOLDED = 100_000
"""Width of a page where nothing is folded."""
_GAP = 2
_NOTHING: Mapping[str, object] = {}
_NARROWEST = 12
_HEADING_WIDTHS = (16, 12, 8)


def add_forms(parser: argparse.ArgumentParser, *, json_help: str = "print one JSON object") -> None:
    """Declare `--json`, `--csv` and `--markdown`, of which one at most can be given."""
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help=json_help)
    forms.add_argument("--csv", action="store_true", help="print the table as CSV, with all digits")
    forms.add_argument("--markdown", action="store_true", help="print the table as Markdown")


def read_form(options: argparse.Namespace) -> Form:
    """Return the form that was asked for; commands without `--csv` and `--markdown` know text and JSON."""
    asked: tuple[Form, ...] = ("json", "csv", "markdown")
    return next((form for form in asked if getattr(options, form, False)), "text")


def print_tables(tables: Sequence[Table], form: Form, content: Mapping[str, object] = _NOTHING) -> None:
    """Print tables below each other; text is folded to the width of a terminal, and never where it goes elsewhere.

    `content` is what the JSON object holds beside the tables, or in place of one of their name.
    """
    if form == "json":
        print_json({**content, **{table.name: table.as_json() for table in tables if table.name not in content}})
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(render(table, form, width=width) for table in tables), end="")


def print_json(content: Mapping[str, object]) -> None:
    """Print one JSON object, in letters that every terminal has."""
    print(json.dumps(content, indent=1))


def render(table: Table, form: Form, *, width: int | None = None) -> str:
    """Return a table with a line break at the end, text folded to `width` columns; None: every row is one line."""
    return _render_text(table, width) if form == "text" else _RENDERERS[form](table)


def _render_text(table: Table, width: int | None) -> str:
    # Not at the top: most commands print one table at their end, some none.
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    page = io.StringIO()
    console = Console(file=page, width=_UNFOLDED, color_system=None, force_terminal=False, legacy_windows=False)
    grid = Grid(box=None, show_header=table.has_headings, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="")
    columns = table.columns_of("text")
    given = _UNFOLDED if width is None else width
    for heading_width in (_UNFOLDED, *_HEADING_WIDTHS):
        fitted = [_fit_column(column, table, heading_width) for column in columns]
        least_width = sum(least + _GAP for _, least in fitted) - _GAP
        if least_width <= given:
            break
    for column, (heading, least) in zip(columns, fitted, strict=True):
        grid.add_column(
            Text(heading),
            justify="right" if _is_numeric(column, table) else "left",
            min_width=least,
            no_wrap=not column.folds,
            overflow="fold",
        )
    for row in table.rows:
        grid.add_row(*(Text(column.show(row)) for column in columns))
    title, notes = Text(table.title), Text("\n".join(table.notes))
    for part, most in ((title, given), (grid, max(given, least_width)), (notes, given)):
        if part:
            console.print(part, width=most, overflow="fold", crop=False)
    return "".join(f"{line.rstrip()}\n" for line in page.getvalue().splitlines())


def _fit_column(column: Column, table: Table, heading_width: int) -> tuple[str, int]:
    """Return a heading, folded at words, and the least width of its column: numbers and names are never cut."""
    from rich.cells import cell_len

    heading = column.heading
    below = max((cell_len(line) for row in table.rows for line in column.show(row).split("\n")), default=0)
    if column.folds:
        return heading, max(cell_len(heading), min(below, _NARROWEST))
    words = [cell_len(word) for word in heading.split()]
    least = max([below, min(cell_len(heading), heading_width), *words])
    return textwrap.fill(heading, max(least, 1), break_long_words=False, break_on_hyphens=False), least


def _render_csv(table: Table) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = table.columns_of("csv")
    writer.writerow([column.heading for column in columns])
    for row in table.rows:
        cells = (column.cell(row) for column in columns)
        writer.writerow([" ".join(cell) if isinstance(cell, tuple) else cell for cell in cells])
    return stream.getvalue()


def _render_markdown(table: Table) -> str:
    columns = table.columns_of("markdown")
    lines = [
        [column.heading for column in columns],
        ["---:" if _is_numeric(column, table) else "---" for column in columns],
        *([_escape(column.show(row)) for column in columns] for row in table.rows),
    ]
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    title = f"{table.title}\n\n" if table.title else ""
    return title + text + "".join(f"\n{note}\n" for note in table.notes)


def _is_numeric(column: Column, table: Table) -> bool:
    """Tell whether a column stands to the right: with a word among its numbers too."""
    return any(isinstance(column.cell(row), int | float) for row in table.rows)


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


_RENDERERS: Mapping[Form, Callable[[Table], str]] = {
    "json": lambda table: json.dumps(table.as_json(), indent=1) + "\n",
    "csv": _render_csv,
    "markdown": _render_markdown,
}
