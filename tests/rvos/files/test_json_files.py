"""Strict JSON: every kind of unusable text is one line, and whatever is returned can be used."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvos.errors import InputError
from rvos.files.json_files import parse_json

REFUSED = {
    "NaN": ('{"a": NaN}', "NaN is no number"),
    "infinity": ("[-Infinity]", "Infinity is no number"),
    "beyond float64": ("[1e400]", "beyond 1.8e308"),
    "64 bits": ("[9223372036854775808]", "more than 64 bits"),
    "5,000 digits": ("[" + "9" * 5000 + "]", "not JSON"),
    "deep": ("[" * 101 + "]" * 101, "deeper than 100"),
    "very deep": ("[" * 100_000 + "]" * 100_000, "deeper than 100"),
    "half a character": ('{"a": ["x\\ud800y"]}', "half a character"),
    "half a character as key": ('{"\\uDFFF": 1}', "half a character"),
    "repeated key": ('{\n"a": 1,\n"a": 2}', "f:3: 'a' is given twice"),
    "cut": ('{"a": \n', "f:2: not JSON"),
    "nothing": ("", "f:1: not JSON"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_unusable_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_json(text.encode(), where="f")


@pytest.mark.parametrize(
    "text",
    ["[" * 100 + "]" * 100, '"\\ud83d\\ude00"', "[-9223372036854775808, 1e308]", '["[[[", "\\\\", "\\"{"]', '"1e999"'],
    ids=["depth 100", "a whole pair", "largest numbers", "brackets in text", "digits in text"],
)
def test_usable_text_is_read(text: str) -> None:
    assert parse_json(text.encode(), where="f") == json.loads(text)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab\u00e9", max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(value=values, is_ascii=st.booleans())
def test_what_was_written_is_read(value: object, is_ascii: bool) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=is_ascii).encode(), where="f") == value


@given(content=st.binary(max_size=60) | st.text('{}[]",:\\u0d8ef19.-', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused_in_one_line(content: bytes) -> None:
    value, message = None, ""
    try:
        value = parse_json(content, where="f")
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
