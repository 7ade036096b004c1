"""Pages made by hand: hostile names, long lists, panels of refinements and tracklets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from report_pages import open_page, pixels, read_index, sentence, settle

from rvos.masks.mask_sequences import decode, encode
from rvos_fusion.report.content import (
    ExpressionRow,
    GroundingView,
    GroupRow,
    Report,
    ReportNode,
    SequenceView,
    TrackletView,
    VideoRow,
    VideoView,
)
from rvos_fusion.report.page import name_files, render, write_page, write_video
from rvos_fusion.report.pictures import encode_picture, picture_size, shrink_runs

SIZE = (24, 32)
FRAMES = ("00000", "00005", "00010")
HOSTILE = [
    '</script><img src=x onerror="window.broken = 1">',
    "<!--<script>",
    "__proto__",
    "a&amp;b",
    "\u2028",
    "\ud800",
]


def square(left: int) -> str:
    mask = np.zeros((1, *SIZE), np.bool_)
    mask[0, 4:12, left : left + 8] = True
    return encode(mask)[0].decode()


def make_view(video: str, n_expressions: int, n_nodes: int) -> VideoView:
    """Squares; node n's mask of frame t starts at column 2 + n + t."""
    table = tuple(square(2 + place) for place in range(n_nodes + len(FRAMES)))
    nodes = tuple(
        tuple(SequenceView(tuple(n + t for t in range(len(FRAMES))), (0.2, 0.9, 0.1), 1) for _ in range(n_expressions))
        for n in range(n_nodes)
    )
    empty = (None,) * n_nodes
    return VideoView(video, FRAMES, SIZE, (), table, None, nodes, empty, empty)


def make_report(texts: list[str], *, video: str = "clip") -> Report:
    rows = tuple(ExpressionRow(f"id{text}", text, 0.5, 0.9, (None, None)) for text in texts)
    nodes = (
        ReportNode("constructor", "import", "models"),
        ReportNode("final", "fuse", "stage1", ("constructor",), weights=(1,), needs=((1, 1, 1),), grouping=0),
    )
    groups = tuple(GroupRow((place,), 0.25) for place in range(len(texts)))
    return Report(video, nodes, (VideoRow(0, video, len(FRAMES), rows, (groups,)),))


def write(folder: Path, report: Report, view: VideoView) -> Path:
    path = folder / "page #1%.html"
    picture = encode_picture(np.full((*SIZE, 3), 90, np.uint8), SIZE)
    write_video(name_files(path), 0, view, (picture,))
    write_page(path, report)
    return path


def test_names_are_text_and_never_markup(page: Page, tmp_path: Path) -> None:
    name = "".join(HOSTILE)
    path = write(tmp_path, make_report(HOSTILE, video=name), make_view(name, len(HOSTILE), 2))
    open_page(page, path)
    page.focus("#expressions")
    for text in HOSTILE:
        assert page.text_content("#sentence") == f"“{text}”"
        assert pixels(page) == {"live vote": 64, "constructor": 64, "final": 64}
        page.keyboard.press("ArrowDown")
        settle(page)
    page.click("text=Groups")
    assert page.locator("#group-detail fieldset").count() == len(HOSTILE)
    page.click("#scores-link")
    assert page.locator("#graph-drawing g.node").count() == 2
    assert page.evaluate("window.broken ?? null") is None


def test_a_link_leads_to_hostile_names_too(page: Page, tmp_path: Path) -> None:
    name = "".join(HOSTILE[:5])  # half a character cannot stand in an address
    path = write(tmp_path, make_report(HOSTILE[:5], video=name), make_view(name, 5, 2))
    open_page(page, path)
    page.focus("#expressions")
    for text in HOSTILE[1:5]:
        page.keyboard.press("ArrowDown")
        settle(page)
        page.evaluate("hash => { location.hash = '#view=masks'; location.hash = hash; }", urlsplit(page.url).fragment)
        settle(page)
        assert page.text_content("#sentence") == f"“{text}”"
        assert page.inner_text("#status") == ""


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_adds_markup_to_the_page_or_a_part(tmp_path: Path, text: str) -> None:
    plain, spoilt = (render(make_report([one]), files="x") for one in ("plain", text))
    for mark in ("<!--", "<script", "</script", "<img"):
        assert spoilt.count(mark) == plain.count(mark)
    part = tmp_path / "page #1%_files" / "videos" / "0.js"
    write(tmp_path, make_report([text]), make_view(text, 1, 2))
    assert "<" not in part.read_text()


def test_of_a_long_list_only_what_is_seen_is_made(page: Page, tmp_path: Path) -> None:
    texts = [f"sentence number {place}" for place in range(3000)]
    path = write(tmp_path, make_report(texts), make_view("clip", len(texts), 2))
    open_page(page, path)
    assert page.inner_text("#count") == "3000 of 3000 expressions in 1 video"
    assert page.locator("#expressions [role=option]").count() < 60
    page.focus("#expressions")
    page.keyboard.press("End")
    settle(page)
    assert sentence(page) == "sentence number 2999"
    assert page.locator("#expressions-2999").is_visible()
    assert page.evaluate("scrollY") == 0


def test_sorting_by_confidence_starts_with_the_least_sure(page: Page, tmp_path: Path) -> None:
    report = make_report(["sure", "unsure"])
    groups = (GroupRow((0,), 0.9), GroupRow((1,), 0.1))
    report = replace(report, videos=(replace(report.videos[0], groups=(groups,)),))
    open_page(page, write(tmp_path, report, make_view("clip", 2, 2)))
    page.select_option("#sort", "confidence")
    settle(page)
    assert sentence(page) == "unsure"
    page.click("text=Groups")
    assert page.locator("legend.doubtful").all_inner_texts() == ["group 2, confidence 0.10"]


def test_a_group_of_one_takes_the_member_that_the_rule_names(page: Page, tmp_path: Path) -> None:
    report = make_report(["alone"])
    nodes = (report.nodes[0], replace(report.nodes[0], name="b"))
    fused = replace(report.nodes[1], inputs=("constructor", "b"), weights=(1, 1), needs=((1, 2, 1),), only=1)
    row = replace(report.videos[0].expressions[0], scores=(None, None, None))
    report = replace(report, nodes=(*nodes, fused), videos=(replace(report.videos[0], expressions=(row,)),))
    open_page(page, write(tmp_path, report, make_view("clip", 1, 3)))
    assert page.inner_text("#threshold-shown") == "1 of 1"
    assert pixels(page)["live vote"] == 64  # both members together would mark 72


def test_a_refinement_tells_what_it_did_in_the_window_of_the_frame(page: Page, tmp_path: Path) -> None:
    windows = [
        {
            "first": "00000",
            "last": "00005",
            "votes": [{"masklets": ["m1"], "frames": 2}],
            "selected": ["m1"],
            "tie": None,
            "reason": "refined",
            "iou": 0.75,
        },
        {"first": "00010", "last": "00010", "votes": [], "selected": [], "tie": None, "reason": "no votes", "iou": 1.0},
    ]
    totals = {"windows_refined": 0.5, "windows_kept": 0.5, "frames_changed": 0.667, "mean_change": 0.1}
    record = {"noun": "<b>", "noun_source": "rule", "n_masklets": 1, "windows": windows, "totals": totals}
    view = replace(make_view("clip", 1, 2), refinements=(None, (record,)))
    open_page(page, write(tmp_path, make_report(["it"]), view), "#frame=00010")
    panel = page.locator("#panels details")
    assert panel.locator("summary").inner_text() == "Refinement final"
    assert 'noun "<b>" (rule), 1 masklet; 50 % of the windows refined, 67 % of the frames' in panel.inner_text()
    assert panel.locator("tr.now td").all_inner_texts() == ["00010 to 00010", "", "none", "", "no votes", "1.00"]


def test_tracklets_are_listed_and_shown_alone(page: Page, tmp_path: Path) -> None:
    own = (
        TrackletView("t0", "cat", "", 0.9, 0, (0, 1, 2), (1.0, 0.9, 0.8)),
        TrackletView("t1", "", "dino", 0.4, 2, (3, 3, 3), (0.5, 0.6, 1.0)),
    )
    view = replace(make_view("clip", 1, 3), tracklets=(None, None, own))
    report = make_report(["it"])
    tracks = ReportNode("tracks", "masklets", "stage1", content="tracklets")
    row = replace(report.videos[0].expressions[0], scores=(None, None, None))
    chooser = replace(report.nodes[0], inputs=("tracks",))
    report = replace(
        report, nodes=(chooser, report.nodes[1], tracks), videos=(replace(report.videos[0], expressions=(row,)),)
    )
    view = replace(view, sequences=(*view.sequences[:2], None))
    open_page(page, write(tmp_path, report, view))
    rows = page.locator("#panels tbody tr")
    assert rows.nth(0).locator("td").all_inner_texts()[:8] == ["t0", "cat", "", "0.90", "00000", "1.00", "64", "0.78"]
    assert [rows.nth(place).locator("td").nth(8).inner_text() for place in range(2)] == ["constructor", ""]
    drawn = (
        "() => { const c = document.querySelector('#panels canvas'); const d = c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data; return d.filter((v, i) => i % 4 === 3 && v > 0).length; }"
    )
    assert page.evaluate(drawn) == 8 * 11
    rows.nth(1).locator("button").click()
    assert page.evaluate(drawn) == 64
    expect(page.locator("#panels caption")).to_contain_text("2 tracklets")


def test_the_scores_of_a_grounding_stand_beside_its_tracklets(page: Page, tmp_path: Path) -> None:
    own = tuple(TrackletView(f"t{place}", "", "", 0.9, 0, (place,) * 3, (1.0,) * 3) for place in range(2))
    report = make_report(["the left one", "the other", "a third"])
    tracks = ReportNode("tracks", "track", "stage1", content="tracklets")
    rows = tuple(replace(row, scores=(None, None, None)) for row in report.videos[0].expressions)
    report = replace(report, nodes=(*report.nodes, tracks), videos=(replace(report.videos[0], expressions=rows),))
    grounding = GroundingView(2, "the network one", (((0.25, 0.75), 1, ""), ((0.1, 0.2), None, "below_gate"), None))
    view = make_view("clip", 3, 3)
    view = replace(
        view,
        sequences=(*view.sequences[:2], None),
        tracklets=(None, None, own),
        groundings=(None, grounding, None),
    )
    open_page(page, write(tmp_path, report, view))
    assert [page.locator("#panels tbody tr").nth(place).locator("td").nth(9).inner_text() for place in range(2)] == [
        "0.250",
        "0.750",
    ]
    assert page.locator("#panels strong").all_inner_texts() == ["0.750"]
    expect(page.locator("[data-grounding=final]")).to_have_text("final, by the network one: t1 was chosen with 0.750")
    page.focus("#expressions")
    page.keyboard.press("ArrowDown")
    settle(page)
    expect(page.locator("[data-grounding=final]")).to_contain_text("no score reaches the gate, the fallback answers")
    assert page.locator("#panels strong").count() == 0
    page.keyboard.press("ArrowDown")
    settle(page)
    assert page.locator("[data-grounding]").count() == 0


def test_pictures_shrink_but_never_grow() -> None:
    assert picture_size((720, 1280), longest=480) == (270, 480)
    assert picture_size((24, 32), longest=480) == (24, 32)
    assert picture_size((1, 5000), longest=480) == (1, 480)


def test_masks_shrink_by_their_nearest_pixels() -> None:
    masks = np.random.default_rng(0).random((3, 60, 90)) > 0.5
    small = shrink_runs(encode(masks), (60, 90), (20, 30))
    found = decode(tuple(text.encode() for text in small), (20, 30))
    assert np.array_equal(found, masks[:, ::3, ::3])


def test_the_index_keeps_what_it_was_given(tmp_path: Path) -> None:
    path = write(tmp_path, make_report(["</script>"]), make_view("clip", 1, 2))
    index = read_index(path)
    assert index["videos"][0]["expressions"][0]["text"] == "</script>"
    assert index["files"] == "page #1%_files"
