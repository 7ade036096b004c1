"""What tests of the report read from a written page, and do with an opened one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page


def read_index(page: Path) -> dict[str, Any]:
    """Return the index of a written page."""
    data = re.search(r'<script id="report-data"[^>]*>(.*?)</script>', page.read_text(), re.DOTALL)
    assert data is not None
    content: dict[str, Any] = json.loads(data.group(1))
    return content


def read_part(page: Path, part: int) -> dict[str, Any]:
    """Return the part of a video."""
    text = (page.with_name(f"{page.stem}_files") / "videos" / f"{part}.js").read_text()
    content: dict[str, Any] = json.loads(text.removeprefix(f"rvosReport.receive({part},").removesuffix(");\n"))
    return content


def open_page(page: Page, path: Path, link: str = "") -> None:
    """Open a page from disk and wait until a video is drawn."""
    page.goto(path.as_uri() + link)
    settle(page)


def settle(page: Page) -> None:
    """Wait until the video that was asked for is drawn, what stands below the stage too."""
    page.wait_for_function(
        "!document.body.hasAttribute('aria-busy') && document.querySelector('#link').hash"
        " && !document.querySelector('#views').hasAttribute('aria-busy')"
    )


def pixels(page: Page) -> dict[str, int]:
    """Return the foreground pixels of every small picture, once all are drawn."""
    settle(page)
    found: dict[str, int] = page.eval_on_selector_all(
        "figure[data-pixels]",
        "all => Object.fromEntries(all.map(one => [one.dataset.name, Number(one.dataset.pixels)]))",
    )
    return found


def sentence(page: Page) -> str:
    """Return the expression that is shown."""
    return page.inner_text("#sentence").strip("“”")


def slide(page: Page, selector: str, value: float) -> None:
    """Move a slider."""
    page.eval_on_selector(
        selector, "(one, value) => { one.value = value; one.dispatchEvent(new Event('input')); }", value
    )
