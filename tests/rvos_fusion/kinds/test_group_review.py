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
