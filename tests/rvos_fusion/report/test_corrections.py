"""Corrections in the page: another answer, empty from here, and a file that the recipe applies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from report_pages import open_page, settle, slide

from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main

LINK = "#video=video1&expression=2&frame=00005&a=c&b=final"
MASK = (
    '{"node": "final", "video": "video1", "sentence": "2", "frame": "00010", '
    '"mask": {"size": [32, 48], "counts": "d31o"}, "engine": "aot"}'
)


@pytest.fixture
def correcting(page: Page, finished: Path) -> Page:
    open_page(page, finished / "runs/report.html", LINK)
    page.click("#correct summary")
    return page


def export(page: Page, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click("#export-corrections")
    assert download.value.suggested_filename == "corrections.jsonl"
    path = folder / "corrections.jsonl"
    download.value.save_as(path)
    return path


def listed(page: Page) -> list[str]:
    return page.locator("#correct-list span").all_inner_texts()


def open_file(page: Page, folder: Path, text: str) -> None:
    (folder / "given.jsonl").write_text(text)
    page.set_input_files("#import-corrections", str(folder / "given.jsonl"))


def test_the_exported_file_corrects_the_recipe(correcting: Page, finished: Path, tmp_path: Path) -> None:
    correcting.click("text=c's answer instead")
    correcting.click("#correct-empty")
    assert listed(correcting) == ["the answer of c to 2", "empty from 00005 to 00010"]
    path = export(correcting, tmp_path)
    shutil.copy(finished / "pipeline.yaml", tmp_path)
    for name in ("data", "members"):
        (tmp_path / name).symlink_to(finished / name)
    line = f"stages.stage2.by_hand={{correct: final, corrections: {path}}}"
    assert main(["run", str(tmp_path / "pipeline.yaml"), "--quiet", "--set", line]) == 0
    store = Store(tmp_path / "runs")
    own, member, before = (
        {one.expression: one.masks() for one in store.read(node, "video1")} for node in ("by_hand", "c", "final")
    )
    assert (own["2"][0] == member["2"][0]).all()
    assert (own["2"][0] != before["2"][0]).any()
    assert not own["2"][1:].any()
    assert (own["0"] == before["0"]).all()


def test_what_is_corrected_belongs_to_its_sentence_and_is_taken_back(correcting: Page) -> None:
    correcting.click("#correct-empty")
    slide(correcting, "#frame", 0)
    settle(correcting)
    correcting.click("#correct-empty")
    assert listed(correcting) == ["empty from 00000 to 00010"], "a later start is part of an earlier one"
    correcting.click("#expressions [role=option] >> nth=0")
    settle(correcting)
    assert listed(correcting) == []
    expect(correcting.locator("#correct-count")).to_have_text("1 correction of this page, not exported yet")
    correcting.evaluate("location.hash = '#video=video1&expression=2'")
    expect(correcting.locator("#correct-list span")).to_have_count(1)
    correcting.click("text=remove")
    assert listed(correcting) == []
    assert correcting.is_disabled("#export-corrections")


def test_a_file_is_opened_and_comes_out_again_with_its_masks(correcting: Page, tmp_path: Path) -> None:
    other = '{"node": "soc", "video": "elsewhere", "sentence": "7", "empty": ["1", "2"]}'
    open_file(correcting, tmp_path, f"{MASK}\n{other}\n")
    expect(correcting.locator("#status")).to_have_text("2 corrections taken over.")
    assert listed(correcting) == ["a mask in frame 00010, carried by aot"]
    correcting.click("#correct-empty")
    expect(correcting.locator("#status")).to_have_text(
        "This contradicts “a mask in frame 00010, carried by aot”; remove that first."
    )
    correcting.click("#correct-keep")
    correcting.click("#correct-answer")
    lines = [json.loads(line) for line in export(correcting, tmp_path).read_text().splitlines()]
    answer = {"node": "final", "video": "video1", "sentence": "2", "same_as": {"sentence": "2", "node": "c"}}
    kept = {"node": "final", "video": "video1", "sentence": "2", "keep": ["00005", "00005"]}
    assert lines == [json.loads(MASK), kept, answer, json.loads(other)]


@pytest.mark.parametrize("text", ["no JSON", "[]", "null", '{"video": "v"}'])
def test_what_is_no_file_of_corrections_is_refused(correcting: Page, tmp_path: Path, text: str) -> None:
    open_file(correcting, tmp_path, text)
    expect(correcting.locator("#status")).to_contain_text("no file of corrections")
    assert listed(correcting) == []


def test_only_a_stored_answer_of_another_node_can_be_taken(correcting: Page) -> None:
    for name, offered in {"live vote": False, "truth": False, "final": False, "a": True}.items():
        correcting.select_option("#node-a", label=name)
        settle(correcting)
        assert correcting.is_enabled("#correct-answer") == offered, name
    correcting.select_option("#node-b", label="truth")
    settle(correcting)
    assert not correcting.is_visible("#correct")


def test_a_corrected_node_stands_for_the_one_that_it_corrects(page: Page, finished: Path, tmp_path: Path) -> None:
    line = "stages.stage2.by_hand={correct: final}"
    words = [str(finished / "pipeline.yaml"), "--quiet", "--set", line, "--set", "submission=by_hand"]
    assert main(["run", *words]) == 0
    assert main(["report", *words, "--out", str(tmp_path)]) == 0
    open_page(page, tmp_path / "index.html", "#video=video1&expression=2&a=c&b=by_hand")
    page.click("#correct summary")
    page.click("#correct-answer")
    (made,) = export(page, tmp_path).read_text().splitlines()
    assert json.loads(made)["node"] == "final"
