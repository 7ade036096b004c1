"""What was measured stands on the pages that say so: a page that tells how to do something holds few figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

DOCS = Path(__file__).resolve().parents[2] / "docs"
MOST = 10
_CODE = re.compile(r"^```.*?^```|^    .*?$|`[^`\n]*`|\]\([^)\n]*\)", re.DOTALL | re.MULTILINE)
_NAMES = re.compile(r"SAM 2\.1|Python 3\.\d+|CUDA \d+\.\d+|[Vv]ersion \d\S*|\d+\.\d+\.\d+|\b95 %")
_UNIT = r"(?:%|‰|s|ms|µs|min|minutes?|hours?|h|seconds?|[kMGT]i?B|megabytes?|gigabytes?|times|frames? (?:a|per) second)"
# With a decimal, a sign or a unit: counts of things ("four heads", "12 frames") are no results.
_FIGURE = re.compile(rf"(?<![\w.])[+-]?(?:\d+\.\d+(?:e-?\d+)?|\d+(?:\.\d+)?(?= ?{_UNIT}(?![\w-]))|(?<=[+])\d+|\de-\d+)")


def find_figures(text: str) -> Iterator[str]:
    """Yield every measured figure of a page: numbers of tables and text with a decimal, a sign, or a unit.

    Code holds settings, and so does a table's column of defaults.
    """
    is_default: list[bool] = []
    for line in _NAMES.sub("", _CODE.sub("", text)).splitlines():
        if not line.startswith("|"):
            is_default = []
            yield from _FIGURE.findall(line)
            continue
        cells = line.strip("|").split("|")
        is_default = is_default or [cell.strip() == "default" for cell in cells]
        for index, cell in enumerate(cells):
            if index >= len(is_default) or not is_default[index]:
                yield from _FIGURE.findall(cell)


def list_pages(entry: object) -> Iterator[str]:
    """Yield the pages of a part of the navigation that are files."""
    if isinstance(entry, str):
        yield from (entry,) if (DOCS / entry).suffix == ".md" and (DOCS / entry).is_file() else ()
    for inner in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
        yield from list_pages(inner)


NAVIGATION = {
    name: own for part in yaml.safe_load((DOCS.parent / "mkdocs.yml").read_text())["nav"] for name, own in part.items()
}
HOW_TO = [
    page
    for part in ("Start", "Use", "How it works", "Reference")
    for page in list_pages(NAVIGATION[part])
    if not page.startswith("specs/")  # what papers and official code say
]


@pytest.mark.parametrize("page", HOW_TO)
def test_a_page_of_use_holds_few_figures(page: str) -> None:
    figures = list(find_figures((DOCS / page).read_text(encoding="utf-8")))
    assert len(figures) <= MOST, f"move what was measured to docs/measured: {figures}"


def test_all_that_was_measured_has_its_part_of_the_navigation() -> None:
    listed = set(list_pages(NAVIGATION["Measured"]))
    assert listed == {f"measured/{path.name}" for path in (DOCS / "measured").glob("*.md")}


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("SOC has 64.8, +1.2 [-0.3, +2.0] over the row before.", ["64.8", "+1.2", "-0.3", "+2.0"]),
        ("It took 27 s and 457 MiB, 4 times as fast; off by 3e-4.", ["27", "457", "4", "3e-4"]),
        ("| SOC | 65.5 | 90 % |\n| AOT | 70.1 | |", ["65.5", "90", "70.1"]),
        ("the 95 % interval of 12 frames and 4 expressions with SAM 2.1", []),
        ("`--set tau=0.8` or\n\n    rvos run --fps 2.5\n\n```yaml\ntau: 0.8\n```", []),
        ("| key | default | |\n|---|---|---|\n| `tau` | 0.8 | more than 0.5 |", ["0.5"]),
    ],
)
def test_figures_are_results_and_no_settings_in_code(text: str, figures: list[str]) -> None:
    assert list(find_figures(text)) == figures
