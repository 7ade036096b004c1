"""Groups by agreement in a run: found from masks, listed for review, and usable as a file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from small_data import write_split

from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main

AGREEMENT = ["--set", "groups={by: agreement, members: [a, b, c]}"]


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    write_split(tmp_path)
    assert main(["run", str(tmp_path / "pipeline.yaml"), *AGREEMENT, "--quiet"]) == 0
    return tmp_path


def test_agreement_finds_the_objects_of_the_data(finished: Path) -> None:
    found = json.loads((finished / "runs/groups.json").read_text())
    assert found == {f"video{index}": [["0", "1"], ["2"]] for index in range(3)}


def test_doubtful_groups_come_first_with_their_texts(finished: Path) -> None:
    with (finished / "runs/groups.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    confidences = [float(row["confidence"]) for row in rows]
    assert confidences == sorted(confidences)
    assert {row["texts"] for row in rows} == {"the left thing | a thing that moves", "the other thing"}


def test_the_reviewed_file_gives_the_same_masks(finished: Path) -> None:
    words = ["--workspace", str(finished / "again"), "--set", f"groups={{by: file, file: {finished}/runs/groups.json}}"]
    assert main(["run", str(finished / "pipeline.yaml"), *words, "--quiet"]) == 0
    for video in Store(finished / "runs").videos("final"):
        first, second = (Store(finished / name).read("final", video) for name in ("runs", "again"))
        assert [sequence.runs for sequence in first] == [sequence.runs for sequence in second]


def test_given_groups_are_doubtful_where_their_sentences_never_meet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_split(tmp_path, n_videos=2)
    pairs = {"video0": [["0", "1"], ["2"]], "video1": [["0", "2"], ["1"]]}  # 0 and 2 are two objects
    (tmp_path / "pairs.json").write_text(json.dumps(pairs))
    by_file = ["--set", f"groups={{by: file, file: {tmp_path}/pairs.json}}"]
    assert main(["run", str(tmp_path / "pipeline.yaml"), *by_file]) == 0
    assert "groups: 1 doubtful" in capsys.readouterr().err
    with (tmp_path / "runs/groups.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["confidence"], row["video"], row["expressions"]) for row in rows[:2]] == [
        ("0.000", "video1", "0 2"),
        ("1.000", "video0", "0 1"),
    ]
    assert json.loads((tmp_path / "runs/groups.json").read_text()) == pairs
