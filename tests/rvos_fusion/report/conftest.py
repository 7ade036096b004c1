"""A browser for the report's tests, and finished runs to report on.

The tests drive the Chromium that is installed, by Playwright; nothing is downloaded. Where there is none they are
skipped, unless `RVOS_BROWSER=required` says that there must be one, as `.ci/run` does once it has installed Chromium.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from small_data import write_split

from rvos_fusion.commands.cli import main


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser a module: Playwright keeps an event loop running that other tests must not meet."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        if os.environ.get("RVOS_BROWSER") == "required":
            pytest.fail("no Chromium, and RVOS_BROWSER=required; install chromium")
        pytest.skip("no Chromium on this machine; install it to test the report")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page; a script that fails on it fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert errors == []


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four videos of three expressions, three members, two fusions: run, and reported on in `runs/report.html`."""
    folder = tmp_path_factory.mktemp("finished")
    write_split(folder, 4)
    assert main(["run", str(folder / "pipeline.yaml"), "--quiet"]) == 0
    assert main(["report", str(folder / "pipeline.yaml"), "--quiet"]) == 0
    return folder
