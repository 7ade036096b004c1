"""Oracle rows of a table: the best choice for every sentence, worked out pixel by pixel beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_data import write_split
from stored_results import find_result

from rvos.errors import InputError
from rvos.evaluation.measures import j_and_f
from rvos.formats import Dataset, open_dataset, open_evaluator
from rvos.masks.runs import Runs
from rvos.masks.stored.store import Store
from rvos.videos import Video
from rvos_fusion.commands.cli import main
from rvos_fusion.kinds.offers import Offer
from rvos_fusion.planning.plan import make_plan
from rvos_fusion.planning.results import Results
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.scores.oracle import score_offers
from rvos_fusion.scores.scoring import ScoringTask

Masks = NDArray[np.bool_]
MEMBERS = ("a", "b", "c")


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    write_split(tmp_path)
    assert main(["run", str(tmp_path / "pipeline.yaml"), "--quiet"]) == 0
    return tmp_path


def open_small(finished: Path) -> Dataset:
    return open_dataset("ref-youtube-vos", finished / "data", "valid")


def read_masks(finished: Path, node: str, video: Video) -> dict[str, Masks]:
    return {sequence.expression: sequence.masks() for sequence in Store(finished / "runs").read(node, video.id)}


def judge(truth: Masks, masks: Sequence[Masks]) -> float:
    """Return the J&F of the best of some masks."""
    return max(float(np.mean(j_and_f(truth, one))) for one in masks)


def ask(finished: Path, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert main(["table", str(finished / "pipeline.yaml"), *words, "--oracle", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_rows_are_the_best_of_what_was_there(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    member, sequence, vote = [], [], []
    dataset = open_small(finished)
    for video in dataset.videos:
        truth = dataset.select_truth(video).read()
        stored = [read_masks(finished, name, video) for name in MEMBERS]
        for expression in video.expressions:
            wanted = truth.masks(expression)
            own = [masks[expression.id] for masks in stored]
            member.append(judge(wanted, own))
            sequence.append(judge(wanted, [one for masks in stored for one in masks.values()]))
            counts = [np.sum(some, axis=0) for n in (1, 2, 3) for some in combinations(own, n)]
            vote.append(judge(wanted, [count >= needed for count in counts for needed in (1, 2, 3)]))
    content = ask(finished, capsys, "ab")
    rows = {row["name"]: row for row in content["oracle"]}
    assert list(rows) == ["best member", "best sequence of the video", "best vote"]
    assert rows["best member"]["j_and_f"] == pytest.approx(100 * np.mean(member), abs=1e-9)
    assert rows["best sequence of the video"]["j_and_f"] == pytest.approx(100 * np.mean(sequence), abs=1e-9)
    assert rows["best vote"]["j_and_f"] == pytest.approx(100 * np.mean(vote), abs=1e-9)
    for row in rows.values():
        assert row["node"] == "ab"
        assert row["gap"] == pytest.approx(row["j_and_f"] - content["rows"][0]["j_and_f"])
        assert row["low"] is row["high"] is None
        assert row["j_and_f"] == pytest.approx((row["j"] + row["f"]) / 2)


def test_everything_below_the_last_row_is_looked_at(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [row["node"] for row in ask(finished, capsys, "ab", "final")["oracle"]] == ["ab"] * 3 + ["final"] * 3
    assert main(["table", str(finished / "pipeline.yaml"), "final", "--oracle"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("best vote, final")]
    assert lines[-1] == "above: what was there and final did not choose; what lacks to 100 was not there"


def test_a_node_that_chooses_nothing_is_told(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(finished / "pipeline.yaml"), "a", "--oracle"]) == 2
    assert "nothing is chosen for a; name a fusion" in capsys.readouterr().err


def test_missing_inputs_are_told(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    find_result(finished / "runs", "b", "video1").unlink()
    assert main(["table", str(finished / "pipeline.yaml"), "final", "--oracle"]) == 2
    assert "b is missing, or made with other settings, for 1 of 3 videos, first video1" in capsys.readouterr().err


class Shelf:
    """A node that chooses from given masks."""

    name = "shelf"

    def __init__(self, *offers: Offer) -> None:
        self._offers = offers

    def chooses_from(self) -> tuple[str, ...]:
        return ()

    def offers(self, video: Video, read: object) -> tuple[Offer, ...]:
        return self._offers


def choose(finished: Path, *offers: Offer) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Return J and F of the best choices for the sentences of the first video."""
    dataset = open_small(finished)
    video = dataset.videos[0]
    recipe = read_recipe(finished / "pipeline.yaml")
    results = Results(make_plan(recipe, build_graph(recipe), dataset.videos)).of_video(video.id)
    truth = open_evaluator(dataset).select(video)
    task = ScoringTask(video, video, results, truth, dataset.select_truth(video), reads_soft=False)
    return score_offers("final", [Shelf(*offers)], task)[1]


def test_parts_are_taken_together_as_long_as_they_help(finished: Path) -> None:
    dataset = open_small(finished)
    video = dataset.videos[0]
    truth = dataset.select_truth(video).read().masks(video.expressions[0])
    columns = np.arange(truth.shape[2])
    left, right = truth & (columns < 10), truth & (columns >= 10)
    other = np.zeros_like(truth)
    other[:, 25:, 40:] = True
    parts = {"0": [Runs.from_masks(mask) for mask in (left, other, right)]}
    values = choose(finished, Offer("best parts", {"0": [Runs.from_masks(other)]}, parts))["best parts", "shelf"]
    assert values[0].tolist() == [1, 1]
    # The other sentences were offered nothing.
    assert values[1:].tolist() == [[0, 0], [0, 0]]


def test_one_mask_is_taken_as_it_is(finished: Path) -> None:
    dataset = open_small(finished)
    video = dataset.videos[0]
    masks = dataset.select_truth(video).read().masks(video.expressions[0])
    half = masks.copy()
    half[1:] = False
    values = choose(finished, Offer("best", {"0": [Runs.from_masks(half)]}))["best", "shelf"]
    assert values[0].tolist() == pytest.approx([1 / 3, 1 / 3])


def test_masks_of_another_size_are_refused(finished: Path) -> None:
    odd = Runs.from_masks(np.ones((3, 5, 7), bool))
    with pytest.raises(InputError, match=r"video0: best: masks of 3 frames of 5 x 7 pixels, the ground truth has 3 of"):
        choose(finished, Offer("best", {"0": [odd]}))
