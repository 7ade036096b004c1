"""What A and B can be beside the nodes: the vote as it is counted anew, and the truth."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from report_pages import open_page, read_index, settle, slide

from rvos.formats import open_dataset
from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main

LINK = "#video=video1&expression=0&frame=00005&node=ab&b=final&a="


def count_pixels(page: Page) -> dict[str, int]:
    """Return the pixels of each class on the stage."""
    settle(page)
    found: dict[str, int] = page.evaluate("JSON.parse(document.querySelector('#stage').dataset.counts)")
    return found


def read_masks(finished: Path, node: str, expression: str) -> Any:
    sequences = Store(finished / "runs").read(node, "video1")
    return next(one for one in sequences if one.expression == expression).mask(1)


def test_the_truth_is_an_entry_of_a(page: Page, finished: Path) -> None:
    open_page(page, finished / "runs/report.html", LINK + "a")
    page.select_option("#node-a", label="truth")
    dataset = open_dataset("ref-youtube-vos", finished / "data", "valid")
    video = dataset.video("video1")
    truth, final = dataset.read_truth(video).masks(video.expressions[0])[1], read_masks(finished, "final", "0")
    expected = {"both": truth & final, "A alone": truth & ~final, "B alone": final & ~truth}
    assert count_pixels(page) == {name: int(mask.sum()) for name, mask in expected.items()}
    # Its own overlap with itself is no curve.
    expect(page.locator("#overlaps polyline")).to_have_count(1)
    assert "a=*truth" in page.url


def test_the_live_vote_is_an_entry_of_a_and_follows_the_slider(page: Page, finished: Path) -> None:
    open_page(page, finished / "runs/report.html", LINK + "*vote")
    assert page.locator("#node-a option:checked").inner_text() == "live vote"
    votes = sum(read_masks(finished, name, e).astype(int) for name in "abc" for e in ("0", "1"))
    final = read_masks(finished, "final", "0")
    for threshold in (1, 5):
        slide(page, "#threshold", threshold)
        counts = count_pixels(page)
        assert counts["both"] + counts["A alone"] == int((votes >= threshold).sum())
        assert counts["both"] == int(((votes >= threshold) & final).sum())
    curve = json.loads(page.get_attribute("#overlaps", "data-values") or "")[0]
    slide(page, "#threshold", 2)
    settle(page)
    assert json.loads(page.get_attribute("#overlaps", "data-values") or "")[0] != curve


def test_copied_setting_gives_the_scores_that_the_page_says(page: Page, finished: Path, tmp_path: Path) -> None:
    open_page(page, finished / "runs/report.html", LINK + "*vote")
    slide(page, "#threshold", 5)
    settle(page)
    words = page.inner_text("#vote-scores").split()
    assert (words[0], words[2:5], words[6:]) == ("J&F", ["of", "this", "sentence,"], ["of", "the", "set"])
    setting = page.input_value("#vote-setting input")
    assert shlex.split(setting) == ["--set", "stages.stage1.ab.threshold=5 of 6"]
    recipe = [str(finished / "pipeline.yaml"), *shlex.split(setting), "--workspace", str(tmp_path / "runs"), "--quiet"]
    assert main(["run", *recipe]) == 0
    assert main(["report", *recipe, "--no-sweeps"]) == 0
    index = read_index(tmp_path / "runs/report.html")
    place = [node["name"] for node in index["nodes"]].index("ab")
    assert float(words[1]) == pytest.approx(index["videos"][1]["expressions"][0]["scores"][place], abs=0.051)
    figures = {row["node"]: dict(row["figures"]) for row in index["ladders"][0]["rows"]}
    assert float(words[5]) == pytest.approx(figures["ab"]["J&F"], abs=0.051)


def test_a_rule_of_its_own_is_set_where_a_sentence_stands_alone(page: Page, finished: Path) -> None:
    open_page(page, finished / "runs/report.html", "#video=video1&expression=2&node=ab")
    assert page.input_value("#vote-setting input") == "--set 'stages.stage1.ab.singles.threshold=2 of 3'"
    known = page.inner_text("#vote-scores")
    assert known.endswith("of this sentence")
    # The sweep moves the threshold of groups alone: nothing is known of this one.
    slide(page, "#threshold", 3)
    assert page.inner_text("#vote-scores") == ""


def test_votes_are_counted_as_the_recipe_writes_them(page: Page, finished: Path, tmp_path: Path) -> None:
    recipe = (finished / "pipeline.yaml").read_text().replace("singles: {threshold: 2}", "weights: {c: 0.5}")
    (tmp_path / "pipeline.yaml").write_text(recipe)
    for name in ("data", "members"):
        (tmp_path / name).symlink_to(finished / name)
    for command in ("run", "report"):
        assert main([command, str(tmp_path / "pipeline.yaml"), "--quiet"]) == 0
    open_page(page, tmp_path / "runs/report.html", "#video=video1&expression=0&node=ab")
    assert page.inner_text("#threshold-shown") == "2.5 of 5"
    assert page.input_value("#vote-setting input").endswith("threshold=5 of 10'")


def test_the_list_tells_scores_of_the_vote_as_far_as_they_are_known(page: Page, finished: Path) -> None:
    open_page(page, finished / "runs/report.html", "#video=video1&expression=0&node=ab&a=a&b=*vote")
    line = page.locator("#expressions [aria-selected=true] small")
    expect(line).to_contain_text("gain")
    slide(page, "#threshold", 6)
    expect(line).not_to_contain_text("gain")
    page.click("#threshold-reset")
    expect(line).to_contain_text("gain")
