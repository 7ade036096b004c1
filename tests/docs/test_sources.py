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


PAGES = sorted(
    [PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "mkdocs.yml")]
    + [path for pattern in ("*.md", "*.ipynb") for path in (PROJECT / "docs").glob(pattern)]
)
CODE = ("rvos_fusion", "rvos", "fusion", "propagate", "runners", "deaot_toolkit", "sam3_toolkit", "benchmarks")
GONE = ("pipeline", "training", "parity", "demo")
FOLDERS = (*CODE, *GONE, "third_party", "tests", "docs", "recipes", "scripts", "kinds")
_FILE = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./*-]*)`")
_MODULE = re.compile(rf"(?:`|^::: |\b(?:from|import) )((?:{'|'.join((*CODE, *GONE))})(?:\.\w+)+)\b(?!/)", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
GENERATED = {"reference/commands.md", "reference/recipe_keys.md"}
"""Pages that the build makes, `scripts/reference_pages.py`."""
NO_PLACES = {"pipeline/final", "rvos.runners", "rvos.engines", "rvos.detectors", "rvos.loggers"}
"""Names that look like places of the project: a node in a report of two recipes, groups of entry points."""


def find_stale(text: str, folder: Path) -> list[str]:
    """Return the paths, modules and links of a page that lead nowhere; names in capitals stand for any."""
    files = {name for name in _FILE.findall(text) if not any(word.isupper() for word in re.split(r"[/.]", name))}
    roots = (PROJECT, PROJECT / "rvos_fusion")
    stale = {name for name in files if not any(any(root.glob(name.rstrip("/"))) for root in roots)}
    stale |= {name for name in _MODULE.findall(text) if not (name.endswith(".py") or is_module(name))}
    return sorted(
        (stale - NO_PLACES)
        | {link for link in _LINK.findall(text) if link not in GENERATED and not (folder / link).exists()}
    )


def is_module(name: str) -> bool:
    """Tell whether a dotted name is a module, a file, or a name that a module holds."""
    for place in (name, name.rpartition(".")[0]):
        for root in (PROJECT, *(PROJECT / "third_party").iterdir()):
            path = root.joinpath(*place.split("."))
            inside = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
            if inside and (place == name or name.rpartition(".")[2] in inside[0].read_text(encoding="utf-8")):
                return True
    return (PROJECT / name).is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_path_module_and_link_of_a_page_exists(page: Path) -> None:
    assert find_stale(page.read_text(encoding="utf-8"), page.parent) == []


def test_a_stale_path_module_or_link_is_found() -> None:
    stale = (
        "`pipeline/kinds/` `rvos.mask_sequences` [x](gone.md)\n::: training.loop.train\nfrom runners.outside import x\n"
    )
    expected = ["gone.md", "pipeline/kinds/", "rvos.mask_sequences", "training.loop.train"]
    assert find_stale(stale, PROJECT / "docs") == expected
    fine = "`rvos/videos.py` `pipeline.yaml` `kinds/table.py` `rvos_fusion.vote` `rvos/formats/NAME.py` [x](kinds.md#x)"
    assert find_stale(fine, PROJECT / "docs") == []
