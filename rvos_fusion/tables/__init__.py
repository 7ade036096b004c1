"""Everything that is printed in rows: one value, written as text, CSV, Markdown or JSON."""

from rvos_fusion.tables.rendering import add_forms, print_json, print_tables, read_form, render
from rvos_fusion.tables.table import FORMS, PEOPLE, PROGRAMS, Column, Form, Table

__all__ = [
    "FORMS",
    "PEOPLE",
    "PROGRAMS",
    "Column",
    "Form",
    "Table",
    "add_forms",
    "print_json",
    "print_tables",
    "read_form",
    "render",
]
