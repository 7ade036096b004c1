"""The report page in a real browser: what it shows when it opens, after a slider, a filter and a key."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.report.content import (
    ExpressionView,
    LadderRow,
    Report,
    ReportNode,
    SequenceView,
    SweepPoint,
    VideoView,
    VoteView,
)
from pipeline.report.page import render
from pipeline.report.pictures import data_address, picture_size, shrink_masks

FRAMES = ("00000", "00005", "00010")
SIZE = (24, 32)


def square_masks(*, left: int, width: int) -> np.ndarray:
    """Three frames of a square that moves two pixels right each frame."""
    masks = np.zeros((len(FRAMES), *SIZE), dtype=bool)
    for frame in range(len(FRAMES)):
        masks[frame, 4:12, left + 2 * frame : left + 2 * frame + width] = True
    return masks


def sequence(masks: np.ndarray, scores: tuple[float, ...], *, j_and_f: float | None = None) -> SequenceView:
    return SequenceView(shrink_masks(masks, SIZE), scores, int(np.argmax(scores)), j_and_f)


def expression(name: str, text: str, *, shift: int, scores: tuple[float, ...]) -> ExpressionView:
    """Two members that overlap in `8 - shift` of 8 columns, and their fusion."""
    first, second = square_masks(left=2, width=8), square_masks(left=2 + shift, width=8)
    views = {
        "soc": sequence(first, scores),
        "mutr": sequence(second, scores),
        "fused": sequence(first & second, scores, j_and_f=61.5),
    }
    overlap = (first & second).sum() / (first | second).sum()
    votes = {"fused": VoteView((name,), 2)}
    return ExpressionView(name, text, votes, float(1 - overlap), views, shrink_masks(first, SIZE))


@pytest.fixture
def report() -> Report:
    random = np.random.default_rng(0)
    pictures = tuple(data_address(random.integers(0, 255, (*SIZE, 3), dtype=np.uint8), SIZE) for _ in FRAMES)
    expressions = (
        expression("0", 'the red </script> "square"', shift=2, scores=(0.2, 0.9, 0.1)),
        expression("1", "the box that leaves", shift=6, scores=(0.3, 0.1, 0.2)),
    )
    nodes = (
        ReportNode("soc", "member", "models"),
        ReportNode("mutr", "member", "models"),
        ReportNode("fused", "fuse", "stage1", ("soc", "mutr"), seconds=1.25, weights=(1, 1)),
    )
    ladder = (LadderRow("soc", 60, 62, 61), LadderRow("fused", 65, 67, 66, 5.0, 2.5, 7.5))
    sweep = (SweepPoint("fused", 1, 58.0), SweepPoint("fused", 2, 66.0))
    return Report("demo & more", nodes, (VideoView("clip", FRAMES, SIZE, pictures, expressions),), ladder, sweep)


def browse(page: str, script: str, folder: Path) -> dict[str, object]:
    """Return what `script`, run in the open page, leaves in the object `found`."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine; install it to test the report")
    probe = f"<script>const found = {{}}; {script}; document.title = 'FOUND' + JSON.stringify(found);</script>"
    path = folder / "report.html"
    path.write_text(page.replace("</body>", probe + "</body>"), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-sync", f"--user-data-dir={folder / 'profile'}"]
    shown = subprocess.run(
        [*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    title = re.search(r"<title>FOUND(.*?)</title>", shown.stdout, re.DOTALL)
    assert title, shown.stdout[:2000] + shown.stderr[-2000:]
    unescaped = title.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    found: dict[str, object] = json.loads(unescaped)
    return found


def test_page_opens_with_scores_graph_and_first_expression(report: Report, tmp_path: Path) -> None:
    found = browse(
        render(report),
        """
        found.heading = document.querySelector("h1").textContent;
        found.sentence = byId("sentence").textContent;
        found.listed = byId("expressions").children.length;
        found.boxes = document.querySelectorAll("#graph-drawing g.node").length;
        found.ladder = [...document.querySelectorAll("#ladder-table tbody tr")].map((row) => row.textContent);
        const views = [...document.querySelectorAll("#views figure")];
        found.pixels = Object.fromEntries(views.map((view) => [view.dataset.name, Number(view.dataset.pixels)]));
        found.keys = document.querySelectorAll("#scores circle.key-frame").length;
        """,
        tmp_path,
    )
    assert found["heading"] == "demo & more"
    assert found["sentence"] == '“the red </script> "square"”'
    assert (found["listed"], found["boxes"], found["keys"]) == (2, 3, 2)
    assert found["ladder"] == ["soc60.062.061.0", "fused65.067.066.0+5.0+2.5 to +7.5"]
    assert found["pixels"] == {"ground truth": 64, "fused, 2 of 2": 48, "soc": 64, "mutr": 64, "fused": 48}


def test_threshold_slider_votes_anew_in_the_page(report: Report, tmp_path: Path) -> None:
    found = browse(
        render(report),
        """
        const slider = byId("threshold");
        slider.value = 1;
        slider.dispatchEvent(new Event("input"));
        found.union = byId("live-vote").dataset.pixels;
        found.label = byId("threshold-shown").value;
        document.dispatchEvent(new KeyboardEvent("keydown", { key: "+", bubbles: true }));
        """.replace("document.dispatchEvent", "document.body.dispatchEvent")
        + 'found.intersection = byId("live-vote").dataset.pixels;',
        tmp_path,
    )
    assert found == {"union": "80", "label": "1 of 2", "intersection": "48"}


def test_filters_and_keys_change_what_is_shown(report: Report, tmp_path: Path) -> None:
    found = browse(
        render(report),
        """
        const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        press("ArrowRight");
        found.frame = byId("frame-shown").value;
        press("ArrowDown");
        found.second = byId("sentence").textContent;
        const slide = (id, value) => { byId(id).value = value; byId(id).dispatchEvent(new Event("input")); };
        slide("disagreement", 0.6);
        found.disagreeing = byId("count").textContent;
        slide("disagreement", 0);
        slide("score", 0.5);
        found.unsure = [...byId("expressions").children].map((item) => item.firstChild.textContent);
        slide("score", 1);
        slide("search", "RED");
        found.searched = byId("count").textContent;
        slide("search", "nothing like it");
        found.hidden = byId("detail").hidden;
        """,
        tmp_path,
    )
    assert found["frame"] == "00005"
    assert found["second"] == "“the box that leaves”"
    assert str(found["disagreeing"]).startswith("1 of 2")
    assert found["unsure"] == ["the box that leaves"]
    assert str(found["searched"]).startswith("1 of 2")
    assert found["hidden"] is True


@pytest.mark.parametrize("text", ["<!--<script>", "</script><b>", "<!--", "]]>", "\u2028"])
def test_no_sentence_ends_the_data_or_hides_the_page(report: Report, text: str) -> None:
    video = report.videos[0]
    spoilt = replace(video, expressions=(replace(video.expressions[0], text=text), *video.expressions[1:]))
    page = render(replace(report, title=text, videos=(spoilt,)))
    plain = render(report)
    for mark in ("<!--", "<script", "</script"):
        assert page.count(mark) == plain.count(mark)


def test_page_needs_nothing_from_outside(report: Report) -> None:
    page = render(report)
    assert not re.search(r"(src|href)=[\"'](?!#|data:)", page)
    assert "fetch(" not in page
    assert "{{" not in page


def test_pictures_shrink_but_never_grow() -> None:
    assert picture_size((720, 1280), longest=480) == (270, 480)
    assert picture_size((24, 32), longest=480) == (24, 32)
    assert picture_size((1, 5000), longest=480) == (1, 480)
