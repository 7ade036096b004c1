"""Answers of judges: what is read, and what is refused in one line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.judges.answers import LONGEST_ANSWER, read_answer
from runners.judges.base import Verdict
from rvos.errors import InputError


def write(*rows: object) -> str:
    return json.dumps({"verdicts": rows})


ACCEPT = {"candidate": 2, "verdict": "accept", "reason": "it turns left"}


@pytest.mark.parametrize(
    "text", [write(ACCEPT), f"\n {write(ACCEPT)}\n", f"```json\n{write(ACCEPT)}\n```", f"```\n{write(ACCEPT)}```"]
)
def test_an_answer_is_one_json_object_bare_or_between_fences(text: str) -> None:
    assert read_answer(text, (2,)) == {2: Verdict("accept", "it turns left")}


def test_a_candidate_that_is_not_spoken_of_is_uncertain() -> None:
    assert read_answer(write(ACCEPT), (1, 2))[1].word == "uncertain"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "an empty answer"),
        ("  \n", "an empty answer"),
        ("The cat on the left is meant.", "not JSON"),
        ("Sure! " + write(ACCEPT), "not JSON"),
        (write(ACCEPT)[:-9], "not JSON"),
        ("候補2が正しいです。", "not JSON"),
        (write({"candidate": 2, "verdict": "受け入れる"}), "verdict '\\\\u53d7"),
        (write({"candidate": 7, "verdict": "accept"}), "candidate 7 is not on the sheet"),
        (write({"candidate": "2", "verdict": "accept"}), "candidate '2' is not on the sheet"),
        (write({"candidate": True, "verdict": "accept"}), "candidate True is not on the sheet"),
        (write({"candidate": 2}), "verdict None"),
        (write({"candidate": 2, "verdict": "yes"}), "none of accept, reject, uncertain"),
        (write({"candidate": 2, "verdict": "accept", "reason": 3}), "is no text"),
        (write(ACCEPT, {"candidate": 2, "verdict": "reject"}), "judged twice"),
        ('{"verdicts": [], "verdicts": []}', "given twice"),
        ('{"verdicts": NaN}', "no number of JSON"),
        ("[" * 5000, "nested deeper|not JSON"),
        ("[]", "instead of an object"),
        ('{"verdicts": {"2": "accept"}}', "instead of a list"),
        ("x" * 10_000_000, f"10000000 bytes, at most {LONGEST_ANSWER}"),
        ("__import__('os').system('touch executed')", "not JSON"),
    ],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as refused:
        read_answer(text, (1, 2))
    assert "\n" not in str(refused.value)
    assert "file" not in str(refused.value)
    assert len(str(refused.value)) < 300


@given(st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("utf-8", "replace"))))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        found = read_answer(text, (1,))
    except InputError:
        return
    assert set(found) == {1}
