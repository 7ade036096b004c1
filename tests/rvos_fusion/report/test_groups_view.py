"""Groups in the page: moved by hand, exported, and read by the recipe."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from report_pages import open_page, settle

from fusion.groups import read_group_file
from rvos.formats import open_dataset
from rvos_fusion.commands.cli import main


@pytest.fixture
def editor(page: Page, finished: Path) -> Page:
    open_page(page, finished / "runs" / "report.html", "#view=groups&video=video1")
    return page


def export(page: Page, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click("#export-groups")
    path = folder / "groups.json"
    download.value.save_as(path)
    assert download.value.suggested_filename == "groups.json"
    return path


def legends(page: Page) -> list[list[str]]:
    return page.eval_on_selector_all(
        "#group-detail fieldset",
        "all => all.map(one => [...one.querySelectorAll('select')].map(own => own.dataset.expression))",
    )


def test_the_groups_of_a_video_are_shown(editor: Page) -> None:
    assert editor.inner_text("#group-detail h2") == "video1"
    assert legends(editor) == [["0", "1"], ["2"]]
    assert editor.inner_text("#group-count") == "4 videos, the least sure first; 0 edited"


def test_an_expression_moves_to_another_group_and_back(editor: Page) -> None:
    editor.select_option("[data-expression='1']", label="a new group")
    assert legends(editor) == [["0"], ["1"], ["2"]]
    assert editor.evaluate("document.activeElement.dataset.expression") == "1"
    editor.select_option("[data-expression='2']", label="group 1")
    assert legends(editor) == [["0", "2"], ["1"]]
    assert editor.inner_text("#group-count").endswith("1 edited")
    editor.click("#reset-groups")
    assert legends(editor) == [["0", "1"], ["2"]]
    assert editor.inner_text("#group-count").endswith("0 edited")


def test_the_exported_file_groups_the_recipe(editor: Page, finished: Path, tmp_path: Path) -> None:
    editor.select_option("[data-expression='1']", label="group 2")
    path = export(editor, tmp_path)
    videos = open_dataset("ref-youtube-vos", finished / "data", "valid").videos
    groups = read_group_file(path, videos)
    assert [group.expressions for group in groups["video1"]] == [("0",), ("1", "2")]
    assert [group.expressions for group in groups["video0"]] == [("0", "1"), ("2",)]
    shutil.copy(finished / "pipeline.yaml", tmp_path)
    for name in ("data", "members"):
        (tmp_path / name).symlink_to(finished / name)
    words = ["run", str(tmp_path / "pipeline.yaml"), "--quiet", "--set", "groups.by=file"]
    assert main([*words, "--set", f"groups.file={path}"]) == 0


def test_a_group_file_is_opened_and_goes_on(editor: Page, tmp_path: Path) -> None:
    given = tmp_path / "given.json"
    given.write_text(json.dumps({"video1": [["2", "1", "0"]], "video2": [["0"]], "elsewhere": []}))
    editor.set_input_files("#import-groups", str(given))
    expect(editor.locator("#status")).to_have_text(
        "Groups of 1 video taken over, of 1 refused: they do not list every expression."
    )
    assert legends(editor) == [["0", "1", "2"]]
    content = json.loads(export(editor, tmp_path).read_text())
    assert content == {"video0": [["0", "1"], ["2"]], "video1": [["0", "1", "2"]]} | {
        name: [["0", "1"], ["2"]] for name in ("video2", "video3")
    }


@pytest.mark.parametrize("text", ["no JSON", "[]", "null", '"text"'])
def test_what_is_no_group_file_is_refused(editor: Page, tmp_path: Path, text: str) -> None:
    (tmp_path / "given.json").write_text(text)
    editor.set_input_files("#import-groups", str(tmp_path / "given.json"))
    expect(editor.locator("#status")).to_contain_text("no group file")
    assert legends(editor) == [["0", "1"], ["2"]]


def test_arrows_lead_through_the_videos(editor: Page) -> None:
    editor.focus("#group-videos")
    editor.keyboard.press("End")
    settle(editor)
    expect(editor.locator("#group-detail h2")).to_have_text("video3")
    assert editor.get_attribute("#group-videos", "aria-activedescendant") == "group-videos-3"
