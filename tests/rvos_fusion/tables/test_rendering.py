"""Tables as text, CSV, Markdown and JSON: what is shown to whom, and what is never cut."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvos_fusion.tables import PEOPLE, PROGRAMS, Column, Table, print_tables, render


@dataclass(frozen=True)
class Row:
    node: str
    score: float
    gain: float | None = None
    members: tuple[str, ...] = ()


ROWS = (Row("a", 12.3456), Row("fusion", 2.0, 0.5, ("a", "b")))
COLUMNS = (
    Column("node", "node"),
    Column("J&F", "score"),
    Column("gain", "gain", "+.2f", forms=PROGRAMS),
    Column("gain, %", "gain", "+.1f", forms=PEOPLE),
    Column("members", "members", folds=True),
)


def test_text_has_a_line_a_row_and_numbers_to_the_right() -> None:
    assert render(Table(COLUMNS, ROWS, title="scores", notes=("a note",)), "text").splitlines() == [
        "scores",
        "node      J&F  gain, %  members",
        "a       12.35",
        "fusion   2.00     +0.5  a, b",
        "a note",
    ]


def test_programs_get_all_digits_and_their_own_columns() -> None:
    rows = list(csv.DictReader(io.StringIO(render(Table(COLUMNS, ROWS), "csv"))))
    assert rows[0] == {"node": "a", "J&F": "12.3456", "gain": "", "members": ""}
    assert rows[1]["members"] == "a b"
    assert json.loads(render(Table(COLUMNS, ROWS), "json"))[1] == {
        "node": "fusion",
        "score": 2.0,
        "gain": 0.5,
        "members": ["a", "b"],
    }


def test_markdown_keeps_bars_inside_of_cells() -> None:
    table = Table((Column("node", "node"), Column("J&F", "score")), [Row("a|b", 1.0)], notes=("a note",))
    assert render(table, "markdown") == "| node | J&F |\n| --- | ---: |\n| a\\|b | 1.00 |\n\na note\n"


def test_a_word_among_numbers_stands_to_the_right_as_they_do() -> None:
    column = Column("window", lambda row: "coarse" if row.gain is None else 5)
    assert render(Table((column,), ROWS), "text").splitlines() == ["window", "coarse", "     5"]


@pytest.mark.parametrize("text", ["[bold]x[/bold]", ":smile:", "\x1b[31mred", "a\\[b]"])
def test_what_looks_like_markup_is_shown_as_it_is(text: str) -> None:
    table = Table((Column("node", "node"),), [Row(text, 0.0)], title=text, notes=(text,), has_headings=False)
    assert render(table, "text").splitlines() == [text] * 3


@given(st.lists(st.text("abc ", min_size=1, max_size=60), min_size=1, max_size=4), st.integers(20, 90))
def test_long_text_is_folded_at_words_and_numbers_stay_whole(texts: list[str], width: int) -> None:
    columns = (Column("number", lambda row: 123.456), Column("text", lambda row: row, folds=True))
    lines = render(Table(columns, texts), "text", width=width).splitlines()
    assert max(map(len, lines)) <= max(width, len("number  ") + 12)
    assert sum("123.46" in line for line in lines) == len(texts)
    shown = "".join(line[len("number  ") :].replace(" ", "") for line in lines[1:])
    assert shown == "".join(texts).replace(" ", "")


def test_one_row_is_one_line_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table((Column("text", lambda row: row, folds=True),), ["word " * 100])
    print_tables([table], "text")
    assert capsys.readouterr().out == "text\n" + ("word " * 100).rstrip() + "\n"


def test_tables_share_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    tables = [Table(COLUMNS[:1], ROWS), Table(COLUMNS[:1], ROWS, name="others")]
    print_tables(tables, "json", {"videos": 3, "others": "these instead"})
    content = json.loads(capsys.readouterr().out)
    assert content == {"videos": 3, "others": "these instead", "rows": [{"node": "a"}, {"node": "fusion"}]}


def test_headings_are_folded_where_a_terminal_is_narrow() -> None:
    table = Table((Column("node", "node"), Column("a long heading of it", "score")), ROWS)
    assert render(table, "text", width=26).splitlines() == [
        "          a long heading",
        "node               of it",
        "a                  12.35",
        "fusion              2.00",
    ]


def test_a_table_without_rows_is_its_headings() -> None:
    assert render(Table(COLUMNS, ()), "text") == "node  J&F  gain, %  members\n"
