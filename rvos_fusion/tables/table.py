"""A table as a value: rows of any sort, columns that say what they show of a row and who reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, Literal

Form = Literal["text", "json", "csv", "markdown"]
FORMS: tuple[Form, ...] = ("text", "json", "csv", "markdown")
PEOPLE: tuple[Form, ...] = ("text", "markdown")
PROGRAMS: tuple[Form, ...] = ("json", "csv")


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Args:
        heading: its name in text, CSV and Markdown.
        value: attribute of the rows, or a function of a row.
        digits: format of numbers where people read them; programs get all digits.
        forms: in which it stands.
        folds: long text, which may go on in the next line of a narrow terminal.
        key: in JSON; default: the attribute, or else the heading.
        absent: what people read where there is no value.
    """

    heading: str
    value: str | Callable[[Any], object]
    digits: str = ".2f"
    forms: tuple[Form, ...] = FORMS
    folds: bool = False
    key: str = ""
    absent: str = ""

    @property
    def json_key(self) -> str:
        """Its name in JSON."""
        return self.key or (self.value if isinstance(self.value, str) else self.heading)

    def cell(self, row: object) -> object:
        """Return what it shows of a row; None: nothing."""
        value = getattr(row, self.value) if isinstance(self.value, str) else self.value(row)
        return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value

    def show(self, row: object) -> str:
        """Return what people read."""
        value = self.cell(row)
        if isinstance(value, tuple):
            return ", ".join(value)
        return self.absent if value is None else format(value, self.digits) if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under each other.

    Args:
        title: a line above it, in text and Markdown.
        notes: lines below it, there too.
        name: its key in a JSON object.
        has_headings: False where text needs none.
    """

    columns: tuple[Column, ...]
    rows: Sequence[object]
    title: str = ""
    notes: tuple[str, ...] = ()
    name: str = "rows"
    has_headings: bool = True

    def columns_of(self, form: Form) -> list[Column]:
        """Return the columns that stand in a form."""
        return [column for column in self.columns if form in column.forms]

    def as_json(self) -> list[dict[str, object]]:
        """Return the rows as plain values by key."""
        columns = self.columns_of("json")
        return [{column.json_key: column.cell(row) for column in columns} for row in self.rows]
