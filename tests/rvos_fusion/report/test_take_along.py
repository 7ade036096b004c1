"""What leaves the list: a table, words for commands, and the sentences that members disagree on."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from report_pages import open_page, read_index, settle

from rvos_fusion.commands.cli import main
from rvos_fusion.report.content import ExpressionRow, Report, ReportNode, VideoRow
from rvos_fusion.report.page import render


def shown(page: Page) -> list[str]:
    """Return video/expression of the list's sentences, in its order."""
    found: list[str] = page.evaluate("list.shown.map(({ row, one }) => `${row.id}/${one.id}`)")
    return found


def take_words(page: Page) -> list[list[str]]:
    """Return the words of the fields to copy."""
    page.eval_on_selector("#take-along", "one => { one.open = true; }")
    expect(page.locator("#take-words input")).to_have_count(2)
    return [shlex.split(one.input_value()) for one in page.locator("#take-words input").all()]


def test_csv_holds_the_list_as_it_is(page: Page, finished: Path, tmp_path: Path) -> None:
    open_page(page, finished / "runs/report.html")
    page.fill("#search", "thing that")
    page.eval_on_selector("#take-along", "one => { one.open = true; }")
    with page.expect_download() as download:
        page.click("#take-csv")
    assert download.value.suggested_filename == "sentences.csv"
    download.value.save_as(tmp_path / "sentences.csv")
    with (tmp_path / "sentences.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [f"{row['video']}/{row['expression']}" for row in rows] == shown(page)
    assert {row["sentence"] for row in rows} == {"a thing that moves"}
    index = read_index(finished / "runs/report.html")
    place = [node["name"] for node in index["nodes"]].index("final")
    known = {video["id"]: video["expressions"][1]["scores"][place] for video in index["videos"]}
    assert [float(row["J&F final"]) for row in rows] == [known[row["video"]] for row in rows]


def test_words_are_taken_by_commands(page: Page, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_page(page, finished / "runs/report.html", "#video=video0")
    page.fill("#search", "video2")
    videos, sentences = take_words(page)
    assert videos == ["--videos", "video2"]
    assert sentences == ["--sentences", "video2/0", "video2/1", "video2/2"]
    recipe = str(finished / "pipeline.yaml")
    capsys.readouterr()
    assert main(["table", recipe, "final", *videos, "--json"]) == 0
    assert main(["audit", recipe, "final", *sentences]) == 0
    page.fill("#search", "nothing like it")
    expect(page.locator("#take-along")).to_be_hidden()


def test_odd_names_are_quoted(page: Page, tmp_path: Path) -> None:
    names = ["it's", "two words", 'a "quote", a comma']
    rows = tuple(ExpressionRow(name, name, 0.0, None, (None,)) for name in names)
    node = ReportNode("only", "import", "models")
    (tmp_path / "page.html").write_text(render(Report("t", (node,), (VideoRow(0, "a b", 1, rows),)), files="none"))
    page.goto((tmp_path / "page.html").as_uri())
    videos, sentences = take_words(page)
    assert videos == ["--videos", "a b"]
    assert sentences == ["--sentences", *(f"a b/{name}" for name in names)]
    with page.expect_download() as download:
        page.click("#take-csv")
    download.value.save_as(tmp_path / "sentences.csv")
    with (tmp_path / "sentences.csv").open(newline="") as file:
        assert [row["expression"] for row in csv.DictReader(file)] == names


SCORES = {"x": (90, 10, 10), "y": (90, 90, 10), "z": (50, 49.99, 80), "w": (10, 20, 30), "v": (None, 90, 90)}


@pytest.fixture
def members(page: Page, tmp_path: Path) -> Page:
    """A page of three members and five sentences, without the part of its video."""
    rows = tuple(ExpressionRow(name, f"sentence {name}", 0.5, 0.9, scores) for name, scores in SCORES.items())
    nodes = tuple(ReportNode(name, "import", "models") for name in "abc")
    (tmp_path / "page.html").write_text(render(Report("t", nodes, (VideoRow(0, "v", 1, rows),)), files="none"))
    page.goto((tmp_path / "page.html").as_uri() + "#view=scores")
    return page


def test_the_matrix_counts_who_is_right_where_others_are_wrong(members: Page) -> None:
    assert "J&F of at least 50" in members.inner_text("#alone caption")
    heads = members.locator("#alone thead th").all_inner_texts()
    assert heads == ["member", "right", "a wrong", "b wrong", "c wrong", "right alone", "wrong alone"]
    rows = [row.locator("td").all_inner_texts() for row in members.locator("#alone tbody tr").all()]
    assert rows == [
        ["a", "3", "", "2", "2", "1", "0"],
        ["b", "2", "0", "", "1", "0", "1"],
        ["c", "2", "0", "1", "", "0", "1"],
    ]


def test_a_number_shows_its_sentences_and_a_button_all_again(members: Page) -> None:
    members.click("#alone [aria-label='2 sentences: a right; b wrong']")
    assert sorted(shown(members)) == ["v/x", "v/z"]
    assert members.inner_text("#kept-words") == "a right; b wrong"
    assert members.evaluate("document.activeElement.id") == "expressions"
    members.click("#kept-reset")
    assert len(shown(members)) == len(SCORES)
    expect(members.locator("#kept")).to_be_hidden()


def test_the_sentence_that_is_shown_is_one_of_those(page: Page, finished: Path) -> None:
    open_page(page, finished / "runs/report.html", "#view=scores&video=video0")
    page.locator("#alone tbody button").first.click()
    settle(page)
    assert page.inner_text("#place").split(",")[0] in shown(page)
