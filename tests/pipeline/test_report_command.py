"""`rvos report`: what the page says of a finished workspace."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_data import write_split

from pipeline.cli import main
from pipeline.report.collect import measure_disagreement


@pytest.fixture
def split(tmp_path: Path) -> Path:
    write_split(tmp_path)
    return tmp_path


def read_report(split: Path, *words: str) -> dict[str, Any]:
    page = split / "page.html"
    assert main(["report", str(split / "pipeline.yaml"), "--quiet", "--out", str(page), *words]) == 0
    data = re.search(r'<script id="report-data"[^>]*>(.*?)</script>', page.read_text(), re.DOTALL)
    assert data is not None
    content: dict[str, Any] = json.loads(data.group(1))
    return content


def test_page_has_scores_votes_and_masks_of_every_node(split: Path) -> None:
    assert main(["run", str(split / "pipeline.yaml"), "--quiet"]) == 0
    report = read_report(split, "--ladder", "a", "ab", "final")
    assert [node["name"] for node in report["nodes"]] == ["a", "b", "c", "ab", "final"]
    assert {node["state"] for node in report["nodes"]} == {"done"}
    assert [row["node"] for row in report["ladder"]] == ["a", "ab", "final", "c"]
    expression = report["videos"][0]["expressions"][0]
    assert expression["votes"]["ab"] == {"group": ["0", "1"], "needed": 3}
    assert report["videos"][0]["expressions"][2]["votes"]["ab"] == {"group": ["2"], "needed": 2}
    assert set(expression["sequences"]) == {"a", "b", "c", "ab", "final"}
    assert 0 < expression["disagreement"] < 1
    assert len(report["videos"][0]["pictures"]) == 3


def test_ladder_has_the_scores_of_the_table(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(split / "pipeline.yaml"), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["table", str(split / "pipeline.yaml"), "a", "ab", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)["rows"]
    ladder = read_report(split, "--ladder", "a", "ab")["ladder"]
    assert [row["j_and_f"] for row in ladder] == [row["j_and_f"] for row in table]


def test_sweep_has_every_number_of_votes(split: Path) -> None:
    assert main(["run", str(split / "pipeline.yaml"), "--quiet"]) == 0
    sweep = read_report(split)["sweep"]
    assert [point["threshold"] for point in sweep if point["node"] == "ab"] == [1, 2, 3, 4, 5, 6]


def test_an_unfinished_workspace_shows_what_is_there(split: Path) -> None:
    assert main(["run", str(split / "pipeline.yaml"), "--quiet", "--stage", "1"]) == 0
    report = read_report(split, "--ladder", "ab")
    assert {node["name"]: node["state"] for node in report["nodes"]}["final"] == "missing"
    assert "final" not in report["videos"][0]["expressions"][0]["sequences"]


def test_an_empty_workspace_is_named(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(split / "pipeline.yaml"), "--quiet"]) == 2
    assert "nothing of video video0 yet" in capsys.readouterr().err


def test_disagreement_is_one_minus_the_mean_overlap() -> None:
    left, right, empty = np.zeros((3, 1, 2, 4), dtype=bool)
    left[..., :2] = True
    right[..., 1:3] = True
    assert measure_disagreement([left, right]) == pytest.approx(1 - 2 / 6, abs=1e-4)
    assert measure_disagreement([empty, empty]) == 0
    assert measure_disagreement([left, left, empty]) == pytest.approx(2 / 3, abs=1e-4)
    assert measure_disagreement([left]) == 0
