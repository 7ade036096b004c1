"""`rvos report`: what the page says of a finished workspace, and of two."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page
from report_pages import open_page, pixels, read_index, read_part
from small_data import RECIPE, write_split

from rvos.masks.runs import Runs
from rvos_fusion.commands.cli import main
from rvos_fusion.report.collect import measure_disagreement


@pytest.fixture
def split(tmp_path: Path) -> Path:
    write_split(tmp_path)
    return tmp_path


def report(split: Path, *words: str) -> dict[str, Any]:
    """Write `page.html` and return its index."""
    page = split / "page.html"
    assert main(["report", str(split / "pipeline.yaml"), *words, "--quiet", "--out", str(page)]) == 0
    return read_index(page)


def run(split: Path, *words: str, recipe: str = "pipeline.yaml") -> None:
    assert main(["run", str(split / recipe), "--quiet", *words]) == 0


def test_page_has_scores_votes_and_masks_of_every_node(split: Path) -> None:
    run(split)
    index = report(split, "--ladder", "a", "ab", "final")
    names = [node["name"] for node in index["nodes"]]
    assert names == ["a", "b", "c", "ab", "final"]
    assert {node["state"] for node in index["nodes"]} == {"done"}
    assert [row["node"] for row in index["ladders"][0]["rows"]] == ["a", "ab", "final", "c"]
    assert index["nodes"][3]["needs"] == [[1, 3, 2], [2, 6, 3]]
    assert index["videos"][0]["groups"] == [
        [{"expressions": [0, 1], "confidence": None}, {"expressions": [2], "confidence": None}]
    ]
    assert 0 < index["videos"][0]["expressions"][0]["disagreement"] < 1
    part = read_part(split / "page.html", 0)
    assert [len(own) for own in part["sequences"]] == [3] * 5
    assert len(part["pictures"]) == 3
    assert all((split / "page_files" / name).is_file() for name in part["pictures"])


def test_ladder_has_the_scores_of_the_table(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(split)
    capsys.readouterr()
    assert main(["table", str(split / "pipeline.yaml"), "a", "ab", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)["rows"]
    ladder = report(split, "--ladder", "a", "ab")["ladders"][0]["rows"]
    assert [dict(row["figures"])["J&F"] for row in ladder] == [row["j_and_f"] for row in table]


def test_every_vote_is_swept_weighted_ones_too(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = RECIPE.replace("{fuse: [ab, c], threshold: 2}", "{fuse: [ab, c], threshold: 2, weights: {ab: 2}}")
    (split / "pipeline.yaml").write_text(text)
    run(split)
    curves = {curve["node"]: curve for curve in report(split)["curves"]}
    assert set(curves) == {"ab", "final"}
    assert [label for label, _ in curves["ab"]["series"][0]["points"]] == [
        "1 of 6",
        "2 of 6",
        "0.5",
        "4 of 6",
        "5 of 6",
        "6 of 6",
    ]
    points = curves["final"]["series"][0]["points"]
    capsys.readouterr()
    words = ["--thresholds", *(label for label, _ in points), "--json"]
    assert main(["sweep", str(split / "pipeline.yaml"), "final", *words]) == 0
    own, *settings = json.loads(capsys.readouterr().out)["settings"]
    assert (own["threshold"], own["own"], len(settings)) == (2, True, 6)
    assert [value for _, value in points] == [row["j_and_f"] for row in settings]
    assert report(split, "--no-sweeps")["curves"] == []


def test_workers_write_what_one_process_does(split: Path) -> None:
    run(split)
    alone = report(split)
    parts = [read_part(split / "page.html", place) for place in range(3)]
    assert report(split, "--jobs", "2") == alone
    assert [read_part(split / "page.html", place) for place in range(3)] == parts


def test_an_unfinished_workspace_shows_what_is_there(split: Path) -> None:
    run(split, "--stage", "1")
    index = report(split, "--ladder", "ab")
    assert {node["name"]: node["state"] for node in index["nodes"]}["final"] == "missing"
    assert read_part(split / "page.html", 0)["sequences"][4] is None


def test_an_empty_workspace_is_named(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(split / "pipeline.yaml"), "--quiet"]) == 2
    assert "nothing of video video0 yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"), [(["--most", "0"], "--most 0"), (["--size", "9"], "--size 9")], ids=["most", "size"]
)
def test_numbers_out_of_range_are_refused(
    split: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["report", str(split / "pipeline.yaml"), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_shorter_report_leaves_no_parts_of_a_longer_one(split: Path) -> None:
    run(split)
    report(split)
    foreign = split / "page_files" / "notes.txt"
    foreign.write_text("mine")
    index = report(split, "--most", "1")
    assert "Masks are shown for the first 1 of 3 videos, as --most asks." in index["notes"]
    assert [path.name for path in (split / "page_files" / "videos").iterdir()] == ["0.js"]
    assert not list((split / "page_files" / "pictures").glob("1/*"))
    assert foreign.read_text() == "mine"


def test_a_folder_may_be_named(split: Path) -> None:
    run(split)
    assert main(["report", str(split / "pipeline.yaml"), "--quiet", "--out", str(split / "site")]) == 0
    assert {path.name for path in (split / "site").iterdir()} == {"index.html", "index_files"}


def test_disagreement_is_one_minus_the_mean_overlap() -> None:
    left, right, empty = np.zeros((3, 1, 2, 4), dtype=bool)
    left[..., :2] = True
    right[..., 1:3] = True
    left, right, empty = (Runs.from_masks(masks) for masks in (left, right, empty))
    assert measure_disagreement([left, right]) == pytest.approx(1 - 2 / 6, abs=1e-4)
    assert measure_disagreement([empty, empty]) == 0
    assert measure_disagreement([left, left, empty]) == pytest.approx(2 / 3, abs=1e-4)
    assert measure_disagreement([left]) == 0


def test_two_recipes_are_compared(split: Path, page: Page) -> None:
    run(split)
    (split / "strict.yaml").write_text(
        RECIPE.replace("threshold: 2}\nsub", "threshold: 1}\nsub").replace("runs", "other")
    )
    run(split, recipe="strict.yaml")
    index = report(split, str(split / "strict.yaml"))
    assert index["finals"] == ["pipeline/final", "strict/final"]
    titles = [ladder["title"] for ladder in index["ladders"]]
    assert titles == ["pipeline", "strict", "strict/final against pipeline/final, 3 videos"]
    found = {row["node"]: dict(row["figures"])["J&F"] for ladder in index["ladders"] for row in ladder["rows"]}
    gain = index["ladders"][2]["rows"][1]["gain"]
    assert gain == pytest.approx(found["strict/final"] - found["pipeline/final"])
    open_page(page, split / "page.html")
    assert [page.locator(f"#node-{side} option:checked").inner_text() for side in "ab"] == index["finals"]
    assert {"pipeline/final", "strict/final"} <= set(pixels(page))
    page.select_option("#sort", "loss")
    page.click("text=Scores and graph")
    assert page.locator("#graph-drawing svg").count() == 2


def test_a_recipe_is_compared_with_another_workspace_of_any_settings(split: Path) -> None:
    run(split)
    shutil.copytree(split / "runs", split / "before")
    run(split, "--set", "stages.stage2.final.threshold=1")
    index = report(split, str(split / "before"), "--set", "stages.stage2.final.threshold=1")
    assert index["finals"] == ["pipeline/final", "before/final"]
    at = {node["name"]: place for place, node in enumerate(index["nodes"])}
    part = read_part(split / "page.html", 0)
    assert part["sequences"][at["pipeline/a"]] == part["sequences"][at["before/a"]]
    assert part["sequences"][at["pipeline/final"]] != part["sequences"][at["before/final"]]


def test_other_videos_cannot_be_compared(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(split)
    few = split / "few"
    few.mkdir()
    write_split(few, 1)
    assert main(["report", str(split / "pipeline.yaml"), str(few / "pipeline.yaml")]) == 2
    assert "lacks 2 of the 3 videos, first video1" in capsys.readouterr().err
