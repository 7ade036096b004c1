"""Every command and every key of a recipe has its place in the documentation, and every page is in its navigation."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rvos_fusion.commands.cli import COMMANDS
from rvos_fusion.recipe.schema import recipe_schema

PROJECT = Path(__file__).resolve().parents[2]
SECTIONS: Mapping[str, Any] = recipe_schema()["properties"]


@pytest.fixture(scope="module")
def pages() -> Mapping[str, Any]:
    """Return the functions that write the pages."""
    return runpy.run_path(str(PROJECT / "scripts" / "reference_pages.py"))


def find_keys(schema: object) -> Iterator[str]:
    """Yield every key that a schema, or a part of it, knows."""
    if isinstance(schema, Mapping):
        for name, value in schema.items():
            if name == "properties" and "if" not in schema:  # beside a condition stand only the words that it asks for
                yield from value
            yield from find_keys(value)
    elif isinstance(schema, list):
        for part in schema:
            yield from find_keys(part)


def test_every_command_has_its_help_in_the_reference(pages: Mapping[str, Any]) -> None:
    text = pages["write_commands"]()
    for command in COMMANDS:
        assert f"### rvos {command}\n\n```text\nusage: rvos {command}" in text


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_a_recipe_has_a_row(pages: Mapping[str, Any], section: str) -> None:
    text = pages["write_recipe_keys"]()
    part = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    for key in find_keys(SECTIONS[section]):
        assert re.search(rf"\| `([a-z_]+\.)*{key}` \|", part)


def test_every_page_is_in_the_navigation_once() -> None:
    def leaves(entry: object) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        for inner in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
            yield from leaves(inner)

    listed = list(leaves(yaml.safe_load((PROJECT / "mkdocs.yml").read_text())["nav"]))
    docs = PROJECT / "docs"
    written = [str(path.relative_to(docs)) for path in docs.rglob("*") if path.suffix in {".md", ".ipynb"}]
    assert sorted(listed) == sorted([*written, "reference/commands.md", "reference/recipe_keys.md"])


def test_every_recipe_is_in_the_advice_where_to_start() -> None:
    advice = (PROJECT / "docs" / "which_recipe.md").read_text()
    for recipe in sorted((PROJECT / "recipes").glob("*.yaml")):
        assert f"recipes/{recipe.name}" in advice
