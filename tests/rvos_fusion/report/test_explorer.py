"""The page in a real browser: what it shows when it opens, after a click, a key, a slider and a link."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from report_pages import open_page, pixels, read_index, sentence, settle, slide

from rvos.formats import open_dataset
from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main

VIDEO = "video1"


@pytest.fixture
def explorer(page: Page, finished: Path) -> Page:
    """The page at its first sentence; the list is in the order of the file."""
    open_page(page, finished / "runs" / "report.html", "#video=video0")
    return page


def find_largest_gain(finished: Path) -> tuple[int, int]:
    """Return the places of video and sentence that gain most from the first node to the last one."""
    index = read_index(finished / "runs/report.html")
    gains = {
        (v, e): one["scores"][-1] - one["scores"][0]
        for v, video in enumerate(index["videos"])
        for e, one in enumerate(video["expressions"])
    }
    return max(gains, key=lambda place: gains[place])


def read_masks(finished: Path, node: str, expression: str, *, frame: int) -> np.ndarray:
    sequences = Store(finished / "runs").read(node, VIDEO)
    return next(one for one in sequences if one.expression == expression).mask(frame)


def read_truth(finished: Path, expression: str, *, frame: int) -> np.ndarray:
    dataset = open_dataset("ref-youtube-vos", finished / "data", "valid")
    video = dataset.video(VIDEO)
    one = next(e for e in video.expressions if e.id == expression)
    return dataset.read_truth(video).masks(one)[frame]


def link(**parts: str) -> str:
    return "#" + "&".join(f"{key}={value}" for key, value in {"video": VIDEO, "expression": "0", **parts}.items())


def test_it_begins_with_the_sentence_of_the_largest_gain(page: Page, finished: Path) -> None:
    open_page(page, finished / "runs" / "report.html")
    assert page.evaluate("scrollY") == 0
    assert page.inner_text("h1") == "pipeline on ref-youtube-vos valid"
    video, expression = find_largest_gain(finished)
    assert page.inner_text("#place").startswith(f"video{video}/{expression},")
    assert page.get_attribute("#expressions", "aria-activedescendant") == "expressions-0"
    assert page.input_value("#sort") == "gain"
    assert page.inner_text("#count") == "12 of 12 expressions in 4 videos"
    assert set(pixels(page)) == {"ground truth", "live vote", "a", "b", "c", "ab", "final"}


def test_only_the_video_that_is_shown_is_loaded_and_nothing_from_outside(page: Page, finished: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_page(page, finished / "runs" / "report.html")
    assert all(urlsplit(address).scheme == "file" for address in asked)
    video = str(find_largest_gain(finished)[0])
    assert [Path(address).name for address in asked if "/videos/" in address] == [f"{video}.js"]
    assert {Path(urlsplit(address).path).parent.name for address in asked if "/pictures/" in address} == {video}


def test_a_link_leads_to_video_expression_frame_and_threshold(page: Page, finished: Path) -> None:
    open_page(page, finished / "runs/report.html", link(expression="2", frame="00010", node="ab", threshold="3"))
    assert sentence(page) == "the other thing"
    assert page.inner_text("#place").startswith("video1/2")
    assert page.input_value("#frame") == "2"
    assert page.inner_text("#threshold-shown") == "3 of 3"
    members = [read_masks(finished, name, "2", frame=2) for name in "abc"]
    assert pixels(page)["live vote"] == int(np.logical_and.reduce(members).sum())


def test_the_address_follows_what_is_chosen_and_leads_back(explorer: Page) -> None:
    explorer.click("text=a thing that moves >> nth=1")
    settle(explorer)
    slide(explorer, "#frame", 1)
    explorer.select_option("#vote-node", label="ab")
    slide(explorer, "#threshold", 5)
    parts = {key: values[0] for key, values in parse_qs(urlsplit(explorer.url).fragment).items()}
    assert parts["video"] == "video1"
    assert (parts["expression"], parts["frame"], parts["node"], parts["threshold"]) == ("1", "00005", "ab", "5")
    before = pixels(explorer)
    address = explorer.url
    explorer.goto("about:blank")
    explorer.goto(address)
    settle(explorer)
    assert pixels(explorer) == before


def test_a_link_that_is_followed_on_the_page_moves_it(explorer: Page) -> None:
    explorer.evaluate("location.hash = '#video=video3&expression=2'")
    expect(explorer.locator("#place")).to_contain_text("video3/2")
    assert explorer.get_attribute("#expressions", "aria-activedescendant") == "expressions-11"


def test_a_link_to_nowhere_is_told(page: Page, finished: Path) -> None:
    open_page(page, finished / "runs/report.html", "#video=gone")
    assert page.inner_text("#status") == "This page has no video gone."


def test_the_vote_equals_the_stored_fusion_and_counts_anew(page: Page, finished: Path) -> None:
    open_page(page, finished / "runs/report.html", link(node="ab"))
    assert page.inner_text("#threshold-shown") == "3 of 6"
    assert pixels(page)["live vote"] == int(read_masks(finished, "ab", "0", frame=0).sum())
    votes = sum(read_masks(finished, name, e, frame=0).astype(int) for name in "abc" for e in ("0", "1"))
    for threshold in (1, 4, 6):
        slide(page, "#threshold", threshold)
        assert pixels(page)["live vote"] == int((votes >= threshold).sum())


def test_who_abstains_has_no_vote(page: Page, finished: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(finished / "data")
    shutil.copytree(finished / "members", tmp_path / "members")
    shutil.rmtree(tmp_path / "members/c" / VIDEO / "0")
    text = (finished / "pipeline.yaml").read_text().replace("members/c}", "members/c, missing: abstain}")
    text = text.replace("threshold: 0.5, singles: {threshold: 2}", "threshold: 1.0").replace(": 2}", ": 2 of 2}")
    (tmp_path / "pipeline.yaml").write_text(text)
    for command in ("run", "report"):
        assert main([command, str(tmp_path / "pipeline.yaml"), "--quiet"]) == 0
    open_page(page, tmp_path / "runs/report.html", link(node="ab"))
    assert page.inner_text("#threshold-shown") == "5 of 5"
    assert pixels(page)["live vote"] == int(read_masks(tmp_path, "ab", "0", frame=0).sum()) > 0
    open_page(page, tmp_path / "runs/report.html", link(node="ab", video="video2"))
    assert page.inner_text("#threshold-shown") == "6 of 6"


def test_the_threshold_stays_when_the_expression_changes(page: Page, finished: Path) -> None:
    open_page(page, finished / "runs/report.html", link(node="ab"))
    slide(page, "#threshold", 5)
    page.focus("#expressions")
    page.keyboard.press("ArrowDown")
    settle(page)
    assert (sentence(page), page.inner_text("#threshold-shown")) == ("a thing that moves", "5 of 6")
    page.keyboard.press("ArrowDown")  # alone in its group: it has no more than 3 votes
    assert page.inner_text("#threshold-shown") == "3 of 3"
    page.keyboard.press("ArrowUp")
    assert page.inner_text("#threshold-shown") == "5 of 6"
    page.click("#threshold-reset")
    assert page.inner_text("#threshold-shown") == "3 of 6"


def test_arrows_act_in_the_list_alone(explorer: Page) -> None:
    before = explorer.url
    explorer.click("h1")
    for key in ("ArrowDown", "ArrowRight", "End", "+", "Space"):
        explorer.keyboard.press(key)
    assert explorer.url == before
    explorer.focus("#expressions")
    explorer.keyboard.press("ArrowDown")
    settle(explorer)
    assert sentence(explorer) == "a thing that moves"
    explorer.keyboard.press("ArrowRight")
    assert explorer.input_value("#frame") == "1"


def test_a_screen_reader_is_told_which_option_is_active(explorer: Page) -> None:
    explorer.focus("#expressions")
    for key, place in (("End", 11), ("Home", 0), ("PageDown", 11), ("ArrowUp", 10)):
        explorer.keyboard.press(key)
        settle(explorer)
        active = explorer.get_attribute("#expressions", "aria-activedescendant")
        assert active == f"expressions-{place}"
        option = explorer.locator(f"#{active}")
        assert option.get_attribute("aria-selected") == "true"
        assert option.get_attribute("aria-posinset") == str(place + 1)
        assert option.get_attribute("aria-setsize") == "12"
        assert explorer.locator("#expressions [aria-selected=true]").count() == 1
    assert explorer.evaluate("scrollY") == 0


def test_every_control_has_a_name(explorer: Page) -> None:
    nameless = explorer.locator("input:visible, select:visible, canvas:visible, button:visible").evaluate_all(
        "all => all.filter(one => !(one.labels?.length || one.getAttribute('aria-label') || one.innerText))"
        ".map(one => one.outerHTML)"
    )
    assert nameless == []


def test_typing_finds_words_and_filters_narrow_the_list(explorer: Page) -> None:
    explorer.click("#search")
    explorer.keyboard.type("OTHER")
    assert explorer.inner_text("#count").startswith("4 of 12")
    settle(explorer)
    assert sentence(explorer) == "the other thing"
    explorer.fill("#search", "video2")
    assert explorer.inner_text("#count").startswith("3 of 12")
    explorer.fill("#search", "nothing like it")
    assert explorer.is_visible("#nothing")
    assert not explorer.is_visible("#detail")
    explorer.fill("#search", "")
    slide(explorer, "#disagreement", 1)
    assert explorer.inner_text("#count").startswith("0 of 12")


@pytest.mark.parametrize(
    ("order", "a", "value", "is_falling"),
    [
        ("disagreement", "a", lambda e, at: e["disagreement"], True),
        ("lowest", "a", lambda e, at: e["scores"][at["final"]], False),
        ("highest", "a", lambda e, at: e["scores"][at["final"]], True),
        ("gain", "b", lambda e, at: e["scores"][at["final"]] - e["scores"][at["b"]], True),
        ("loss", "ab", lambda e, at: e["scores"][at["final"]] - e["scores"][at["ab"]], False),
    ],
    ids=["disagreement", "lowest", "highest", "gain", "loss"],
)
def test_sorting_puts_first_what_it_says(
    explorer: Page, finished: Path, order: str, a: str, value: object, is_falling: bool
) -> None:
    index = read_index(finished / "runs/report.html")
    at = {node["name"]: place for place, node in enumerate(index["nodes"])}
    ranked = [
        (value(one, at), f"{video['id']}/{one['id']}") for video in index["videos"] for one in video["expressions"]
    ]  # type: ignore[operator]
    expected = [name for _, name in sorted(ranked, key=lambda pair: -pair[0] if is_falling else pair[0])]
    explorer.select_option("#node-a", label=a)
    explorer.select_option("#sort", order)
    settle(explorer)
    shown = explorer.eval_on_selector_all(
        "#expressions [role=option] small", "all => all.map(one => one.textContent.split(' ')[0])"
    )
    assert shown == expected
    assert explorer.inner_text("#place").startswith(f"{expected[0]},")


@pytest.mark.parametrize("mode", ["over", "change", "errors-a", "errors-b"])
def test_two_nodes_over_each_other_with_their_errors(page: Page, finished: Path, mode: str) -> None:
    open_page(page, finished / "runs/report.html", link(frame="00005", a="b", b="final", show=mode))
    a, b = (read_masks(finished, name, "0", frame=1) for name in ("b", "final"))
    truth = read_truth(finished, "0", frame=1)

    def errors(mask: np.ndarray) -> dict[str, np.ndarray]:
        return {"hit": mask & truth, "marked wrongly": mask & ~truth, "missed": truth & ~mask}

    expected = {
        "over": {"both": a & b, "A alone": a & ~b, "B alone": b & ~a},
        "change": {
            "B mends": (a != truth) & (b == truth),
            "B spoils": (a == truth) & (b != truth),
            "wrong in both": (a != truth) & (b != truth),
        },
        "errors-a": errors(a),
        "errors-b": errors(b),
    }[mode]
    counts = page.evaluate("JSON.parse(document.querySelector('#stage').dataset.counts)")
    assert counts == {name: int(mask.sum()) for name, mask in expected.items()}
    drawn = page.evaluate(
        "() => { const c = document.querySelector('#stage canvas'); const d = c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data; return d.filter((v, i) => i % 4 === 3 && v > 0).length; }"
    )
    assert drawn == sum(counts.values())


def test_a_node_is_put_on_the_stage_by_its_button(explorer: Page) -> None:
    explorer.click("#views [data-name=c] button[data-side=b]")
    assert explorer.locator("#node-b option:checked").inner_text() == "c"
    explorer.click("#swap")
    assert explorer.locator("#node-a option:checked").inner_text() == "c"


def test_zoom_enlarges_the_stage_and_fits_it_again(explorer: Page) -> None:
    width = "document.querySelector('#stage img').getBoundingClientRect().width"
    before = explorer.evaluate(width)
    explorer.click("#zoom-in")
    assert explorer.evaluate(width) == pytest.approx(1.6 * before, rel=0.01)
    explorer.click("#zoom-fit")
    assert explorer.evaluate(width) == pytest.approx(before, rel=0.01)


def test_play_moves_on_and_stops(explorer: Page) -> None:
    explorer.click("#play")
    explorer.wait_for_function("document.querySelector('#frame').value === '2'")
    explorer.click("#play")
    assert explorer.inner_text("#play") == "play"


def test_scores_sweeps_and_graph_are_a_click_away(explorer: Page, finished: Path) -> None:
    index = read_index(finished / "runs/report.html")
    explorer.click("text=Scores and graph")
    rows = explorer.locator("#ladder-table tbody tr")
    assert rows.count() == 5
    last = index["ladders"][0]["rows"][-1]
    assert f"{dict(last['figures'])['J&F']:.1f}" in rows.last.inner_text()
    curves = explorer.locator("#sweeps figure")
    assert [curves.nth(place).get_attribute("data-node") for place in range(curves.count())] == ["ab", "final"]
    assert explorer.locator("#graph-drawing g.node").count() == 5


def test_a_page_without_its_folder_says_so(page: Page, finished: Path, tmp_path: Path) -> None:
    moved = tmp_path / "report.html"
    moved.write_bytes((finished / "runs" / "report.html").read_bytes())
    page.goto(moved.as_uri())
    expect(page.locator("#status")).to_contain_text("move the page together with its folder report_files")


def test_the_list_keeps_a_slice(explorer: Page) -> None:
    explorer.click("#filters summary")
    explorer.select_option("#slice-kind", label="sentences")
    explorer.select_option("#slice", label="2")
    assert explorer.inner_text("#count").startswith("8 of 12")
    explorer.select_option("#slice-kind", label="words")
    assert explorer.inner_text("#count").startswith("12 of 12")
    explorer.select_option("#slice", label="motion")
    assert explorer.inner_text("#count").startswith("4 of 12")
    settle(explorer)
    assert sentence(explorer) == "a thing that moves"


def test_bars_of_slices_are_means_of_a_and_b(explorer: Page, finished: Path) -> None:
    index = read_index(finished / "runs/report.html")
    at = {node["name"]: place for place, node in enumerate(index["nodes"])}
    explorer.select_option("#node-a", label="a")
    explorer.click("text=Scores and graph")
    by = next(place for place, kind in enumerate(index["slices"]) if kind["name"] == "sentences")
    two = index["slices"][by]["names"].index("2")
    own = [one for video in index["videos"] for one in video["expressions"] if two in one["slices"][by]]
    row = explorer.locator("table[data-by=sentences] tbody tr").nth(1)
    means = [np.mean([one["scores"][at[node]] for one in own]) for node in ("a", "final")]
    assert row.inner_text().split() == ["2", "8", *(f"{mean:.1f}" for mean in means)]
    assert explorer.locator("table[data-by=sentences] tbody tr").last.inner_text().split()[:2] == ["all", "12"]
    assert "overlap" in explorer.inner_text("table[data-by=words] caption")
    assert "add up to all" in explorer.inner_text("table[data-by=sentences] caption")


def test_j_over_the_frames_is_that_of_a_and_b_and_a_click_shows_the_frame(page: Page, finished: Path) -> None:
    open_page(page, finished / "runs" / "report.html", link(a="a", b="final"))
    expect(page.locator("#overlaps polyline")).to_have_count(2)
    curves = json.loads(page.get_attribute("#overlaps", "data-values") or "")
    for node, curve in zip(("a", "final"), curves, strict=True):
        for frame, value in curve:
            mask, truth = read_masks(finished, node, "0", frame=frame), read_truth(finished, "0", frame=frame)
            assert value == pytest.approx((mask & truth).sum() / max(1, (mask | truth).sum()))
    last = len(curves[0]) - 1
    box = page.locator("#overlaps svg").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.97 * box["width"], box["y"] + box["height"] / 2)
    settle(page)
    assert page.input_value("#frame") == str(last)


def test_all_nodes_stand_beside_each_other_the_best_first(explorer: Page) -> None:
    expect(explorer.locator("#ranking")).to_be_visible()
    rows = explorer.locator("#ranking tbody tr").all_inner_texts()
    scores = [float(row.split()[-1]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert {row.split()[0] for row in rows} == {"a", "b", "c", "ab", "final"}


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_the_names_of_all_nodes_can_be_read(page: Page, finished: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    open_page(page, finished / "runs" / "report.html")
    hidden = "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.textContent)"
    assert page.eval_on_selector_all("figure.view .name", hidden) == []
    wide = "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.id)"
    assert page.eval_on_selector_all(".tools .card", wide) == []


def test_presence_is_a_curve_of_the_frames_that_a_detector_saw(page: Page, finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "present")
    store = Store(folder / "runs")
    for name, value in (("a", 0.25), ("ab", 0.25), ("b", 0.75)):
        presence = np.array([value, np.nan, value], np.float32)
        sequences = [replace(one, presence=presence) for one in store.read(name, VIDEO)]
        store.write(name, VIDEO, sequences, store.header(name, VIDEO).fingerprint)
    assert main(["report", str(folder / "pipeline.yaml"), "--quiet", "--no-sweeps"]) == 0
    open_page(page, folder / "runs/report.html", link(expression="1"))
    # Two curves: what `ab` passes on of `a` is drawn once.
    expect(page.locator("#presence polyline")).to_have_count(2)
    expect(page.locator("#presence circle")).to_have_count(4)
    assert page.locator("#presence .legend span").all_inner_texts() == ["a", "b"]
    open_page(page, folder / "runs/report.html", link(video="video0"))
    expect(page.locator("#presence")).to_be_hidden()
