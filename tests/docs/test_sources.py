"""Every specification and section that the code names as its source stands in docs/specs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SPECS = PROJECT / "docs" / "specs"
PACKAGES = ("rvos", "fusion", "propagate", "runners", "rvos_fusion", "third_party")
_PLACE = re.compile(r"\b([a-z][a-z0-9_]*\.md)((?:,? sections? [0-9][0-9., and to]*)?)")


def find_places(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return (file, sections) of every specification that follows a `Source:` up to the end of its paragraph."""
    paragraphs = re.findall(r"Source:(.*?)(?:\n\s*\n|\"\"\"|\Z)", text, flags=re.DOTALL)
    found = []
    for paragraph in paragraphs:
        for name, sections in _PLACE.findall(paragraph):
            numbers = re.findall(r"\d+(?:\.\d+)*", sections)
            if " to " in sections and len(numbers) == 2:
                numbers = [str(number) for number in range(int(numbers[0]), int(numbers[1]) + 1)]
            found.append((name, tuple(numbers)))
    return found


def sections_of(name: str) -> set[str]:
    headings = re.findall(r"^#+ (\d+(?:\.\d+)*)[. ]", (SPECS / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return set(headings)


def test_a_place_is_read_with_its_sections() -> None:
    text = '"""X.\n\nSource: a paper; soc.md, sections 6.4 and 6.5 (as\nreleased), aot.md, section 12.\n"""'
    assert find_places(text) == [("soc.md", ("6.4", "6.5")), ("aot.md", ("12",))]
    assert find_places("Source: datasets.md, sections 1 to 3.") == [("datasets.md", ("1", "2", "3"))]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_source_resolves(package: str) -> None:
    missing = []
    for path in sorted((PROJECT / package).rglob("*.py")):
        for name, sections in find_places(path.read_text(encoding="utf-8")):
            if not (SPECS / name).is_file():
                missing.append(f"{path.relative_to(PROJECT)}: no docs/specs/{name}")
            else:
                known = sections_of(name)
                missing += [
                    f"{path.relative_to(PROJECT)}: {name} has no section {s}" for s in sections if s not in known
                ]
    assert missing == []


def test_many_sources_are_named() -> None:
    files = [path for package in PACKAGES for path in (PROJECT / package).rglob("*.py")]
    assert sum(len(find_places(path.read_text(encoding="utf-8"))) for path in files) >= 60
