"""The table of methods: what is named in a recipe is what is found."""

from __future__ import annotations

from fusion.methods.table import METHODS
from rvos.settings.choices import load_row


def test_methods_are_found_by_the_name_that_they_have() -> None:
    assert [load_row(place).method for place in METHODS.values()] == list(METHODS)
