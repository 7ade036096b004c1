"""What a noun is a sort of."""

from __future__ import annotations

import pytest

from rvos.language.broader_nouns import find_broader


@pytest.mark.parametrize(
    ("noun", "sort"),
    [
        ("dog", "animal"),
        ("dogs", "animal"),
        ("small brown dog", "animal"),
        ("geese", "bird"),
        ("bird", "animal"),
        ("men", "person"),
        ("bus", "vehicle"),
        ("grass", "plant"),
        ("person", None),
        ("thing", None),
        ("", None),
    ],
)
def test_a_noun_is_what_its_last_word_is(noun: str, sort: str | None) -> None:
    assert find_broader(noun, {}) == sort


def test_the_user_s_word_comes_first() -> None:
    assert find_broader("red ball", {"ball": "round thing"}) == "round thing"
    assert find_broader("dogs", {"dog": "pet"}) == "pet"
