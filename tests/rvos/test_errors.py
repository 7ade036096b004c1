"""Messages stay on one line whatever the names that they quote hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvos.errors import CheckpointError, ConfigError, InputError, StoreError
from rvos.formats import open_dataset


@pytest.mark.parametrize("error", [InputError, StoreError, CheckpointError])
def test_a_line_break_in_a_name_is_an_escape(error: type[Exception]) -> None:
    assert str(error("v/\n: no text")) == r"v/\n: no text"


@given(st.text())
def test_every_message_can_be_printed_on_one_line(text: str) -> None:
    shown = str(InputError(text))
    assert shown.isprintable()
    assert shown.encode("utf-8").decode("utf-8") == shown


def test_half_a_character_is_an_escape() -> None:
    assert str(InputError("a\udc80b")) == r"a\udc80b"


def test_problems_of_a_recipe_keep_their_lines() -> None:
    assert str(ConfigError("one\ntwo\x07")) == "one\ntwo" + r"\x07"


def test_of_a_line_that_nobody_would_read_start_and_end_are_shown() -> None:
    shown = str(ConfigError(f"recipe.yaml:3: no node '{'x' * 100_000}'; did you mean 'a'?\nsecond"))
    first, second = shown.split("\n")
    assert len(first) < 2000
    assert first.startswith("recipe.yaml:3: no node 'xxx")
    assert first.endswith("xxx'; did you mean 'a'?")
    assert second == "second"


def test_an_expression_id_that_is_a_line_break_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "meta_expressions" / "valid"
    folder.mkdir(parents=True)
    text = '{"videos": {"v": {"expressions": {"\\n": {"exp": "a dog"}}, "frames": ["00000"]}}}'
    (folder / "meta_expressions.json").write_text(text)
    with pytest.raises(InputError, match="expression id") as found:
        open_dataset("ref-youtube-vos", tmp_path, "valid")
    assert "\n" not in str(found.value)
