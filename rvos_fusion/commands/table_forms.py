"""The options that choose in which form a command prints its rows."""

from __future__ import annotations

import argparse

from rvos_fusion.tables import Form


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
