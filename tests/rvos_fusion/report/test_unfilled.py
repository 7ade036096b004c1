"""What nothing fills is not shown: pages of one node, of masks without scores, of data without truth."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from report_pages import open_page, pixels, read_index, settle
from small_data import write_split

from rvos_fusion.commands.cli import main


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """Two videos of three expressions, and a recipe of three members that nobody ran."""
    write_split(tmp_path, 2)
    return tmp_path


def report(folder: Path, *nodes: str) -> Path:
    """Run some nodes alone and report; return the page."""
    recipe = str(folder / "pipeline.yaml")
    for node in nodes:
        assert main(["run", recipe, "--node", node, "--quiet"]) == 0
    assert main(["report", recipe, "--quiet"]) == 0
    return folder / "runs" / "report.html"


def visible(page: Page, *selectors: str) -> list[str]:
    """Return those of the selectors that something visible has."""
    return [one for one in selectors if page.locator(one).first.is_visible()]


EMPTY_CARDS = ("#vote", "#scores", "#presence", "#ranking", "#vote-keys", "#groups-link")


def test_one_node_is_shown_against_the_truth(page: Page, split: Path) -> None:
    open_page(page, report(split, "a"))
    assert visible(page, *EMPTY_CARDS) == []
    assert visible(page, "#disagreement-row", "#score-row", "#take-along", "#overlaps") == ["#take-along", "#overlaps"]
    assert [page.locator(f"#node-{side} option:checked").inner_text() for side in "ab"] == ["truth", "a"]
    assert "disagree" not in page.inner_text("body")
    page.click("#scores-link")
    assert visible(page, "#ladder-table h2", "#alone", "#sweeps-part", "#graph-part") == [
        "#ladder-table h2",
        "#graph-part",
    ]
    expect(page.locator("#slices")).to_be_visible()


def test_one_node_without_truth_is_a_list_and_a_stage(page: Page, split: Path) -> None:
    shutil.rmtree(split / "data/valid/Annotations")
    open_page(page, report(split, "a"))
    assert visible(page, *EMPTY_CARDS, "#pair", "#nodes-part", "#overlaps") == []
    assert visible(page, "#stage", "#expressions", "#take-along") == ["#stage", "#expressions", "#take-along"]
    assert page.inner_text("#scores-link") == "Graph"
    page.click("#scores-link")
    assert visible(page, "#ladder-table h2", "#slices", "#alone", "#sweeps-part") == []
    assert page.inner_text("#ladder-table") == "No ground truth, so no scores."


def test_imports_without_scores_have_no_curve_of_scores(page: Page, finished: Path) -> None:
    page_path = finished / "runs/report.html"
    assert {one["best"] for video in read_index(page_path)["videos"] for one in video["expressions"]} == {None}
    open_page(page, page_path)
    assert visible(page, "#scores", "#score-row") == []
    assert "best score" not in page.inner_text("#sort")


def test_modes_that_need_the_truth_are_offered_with_it_alone(page: Page, split: Path) -> None:
    shutil.rmtree(split / "data/valid/Annotations")
    open_page(page, report(split, "a", "b"))
    assert page.locator("#mode option").all_inner_texts() == ["A and B over each other", "A alone", "B alone"]
    assert page.locator("#node-a option").all_inner_texts() == ["a", "b"]


@pytest.mark.parametrize("count", [1, 9, 40])
def test_labels_of_an_axis_stand_apart(page: Page, finished: Path, count: int) -> None:
    open_page(page, finished / "runs/report.html")
    boxes = page.evaluate(
        """count => {
          const ticks = Array.from({ length: count }, (_, at) => [at, `${at} of ${count}`]);
          const series = [{ points: ticks.map(([at]) => [at, at]), colour: "#000" }];
          const svg = lineChart(series, { label: "l", low: 0, high: 40, last: count - 1, ticks });
          document.body.append(svg);
          const own = [...svg.querySelectorAll("text")].slice(3).map((one) => one.getBoundingClientRect());
          const all = svg.getBoundingClientRect();
          return own.map((one) => [one.left - all.left, one.right - all.left, all.width]);
        }""",
        count,
    )
    assert len(boxes) >= min(count, 4)
    assert all(right <= width for _, right, width in boxes)
    assert all(first[1] + 2 <= second[0] for first, second in pairwise(boxes))


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_everything_can_be_reached_by_keyboard_alone(page: Page, finished: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, finished / "runs/report.html")
    before = pixels(page)
    seen = walk(page)
    wanted = {"search", "sort", "expressions", "take", "node-a", "node-b", "swap", "mode", "play", "frame", "threshold"}
    assert wanted <= {name.removesuffix("-along") for name in seen}
    reach(page, "take-along")
    page.keyboard.press("Enter")
    assert page.eval_on_selector("#take-along", "one => one.open")
    reach(page, "threshold")
    page.keyboard.press("End")
    assert page.inner_text("#threshold-shown").split()[0] == page.inner_text("#threshold-shown").split()[2]
    assert pixels(page)["live vote"] <= before["live vote"]
    reach(page, "scores-link")
    page.keyboard.press("Enter")
    reach(page, "alone")
    page.keyboard.press("Enter")
    settle(page)
    assert page.evaluate("document.activeElement.id") == "expressions"
    assert page.is_visible("#kept")
    page.keyboard.press("ArrowRight")
    settle(page)
    assert page.input_value("#frame") == "1"
    reach(page, "kept-reset")
    page.keyboard.press("Space")
    expect(page.locator("#kept")).to_be_hidden()


WHERE = """() => {
  const one = document.activeElement;
  return one.id || one.closest("#take-along, #alone, #filters")?.id || one.tagName;
}"""


def walk(page: Page) -> list[str]:
    """Press the tab key until the focus is back at the beginning; return where it stood."""
    page.evaluate("document.activeElement.blur()")
    seen: list[str] = []
    for _ in range(120):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(WHERE))
        if len(seen) > 1 and seen[-1] in ("BODY", "HTML"):
            break
    return seen


def reach(page: Page, name: str) -> None:
    """Press the tab key until something of this name has the focus."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate(WHERE) == name:
            return
    raise AssertionError(f"the tab key never reaches {name}")


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_wider_than_the_page(page: Page, finished: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for view in ("masks", "groups", "scores"):
        open_page(page, finished / "runs/report.html", f"#view={view}&video=video1")
        page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        wide = "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.textContent)"
        assert page.eval_on_selector_all("td", wide) == []
        shares = """all => {
          const width = (one, part) => one.querySelector(part).getBoundingClientRect().width;
          const bars = all.filter((one) => one.offsetParent && one.querySelector("rect"));
          return bars.map((one) => [width(one, "rect") / width(one, "svg"), Number(one.textContent) / 100]);
        }"""
        for drawn, said in page.eval_on_selector_all("td", shares):
            assert drawn == pytest.approx(said, abs=0.01)
        overlapping = page.evaluate(
            """() => {
              const boxes = [...document.querySelectorAll(".side > *, #detail > *")].filter((one) => one.offsetParent);
              const all = boxes.map((one) => [one.id || one.className, one.getBoundingClientRect()]);
              return all.flatMap(([name, a], at) => all.slice(at + 1).filter(([, b]) =>
                a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
                .map(([other]) => `${name} over ${other}`));
            }"""
        )
        assert overlapping == []


def test_pages_of_masks_alone_are_drawn(page: Page, split: Path) -> None:
    open_page(page, report(split, "a"))
    counts = page.evaluate("JSON.parse(document.querySelector('#stage').dataset.counts)")
    assert np.sum(list(counts.values())) > 0
