"""Tables and sweeps: the numbers of the ordinary evaluation, and intervals over videos."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from small_data import write_split
from stored_results import find_result

from rvos.evaluation.expressions import ExpressionEvaluator
from rvos.evaluation.resampling import resample_gain, show_limits
from rvos.evaluation.results import ExpressionScore
from rvos.formats import open_dataset, open_evaluator
from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main
from rvos_fusion.scores.tables import compare_pairs, make_table


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    write_split(tmp_path)
    assert main(["run", str(tmp_path / "pipeline.yaml"), "--quiet"]) == 0
    return tmp_path


def call(finished: Path, capsys: pytest.CaptureFixture[str], command: str, *words: str) -> dict[str, list[dict]]:
    capsys.readouterr()
    assert main([command, str(finished / "pipeline.yaml"), *words, "--json"]) == 0
    content: dict[str, list[dict]] = json.loads(capsys.readouterr().out)
    return content


def evaluate(finished: Path, node: str) -> float:
    """Return J&F in per cent by the evaluation of mask sequences."""
    dataset = open_dataset("ref-youtube-vos", finished / "data", "valid")
    store = Store(finished / "runs")
    evaluator = open_evaluator(dataset)
    for video in dataset.videos:
        evaluator.process(video, store.read(node, video.id))
    return 100 * evaluator.evaluate().j_and_f


def score(video: str, values: NDArray[np.float64]) -> list[ExpressionScore]:
    """Return the scores of the expressions of a video whose J and F are `(E, 2)`."""
    return [
        ExpressionScore(video, str(place), (), (), np.array([j]), np.array([f])) for place, (j, f) in enumerate(values)
    ]


def test_the_table_has_the_scores_of_the_evaluation(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = call(finished, capsys, "table", "a", "ab", "final")["rows"]
    assert [(row["node"], row["input_of"]) for row in rows] == [
        ("a", None),
        ("ab", None),
        ("final", None),
        ("c", "final"),
    ]
    for row in rows:
        assert row["j_and_f"] == pytest.approx(evaluate(finished, row["node"]), abs=1e-9)
    assert rows[0]["gain"] is None
    assert rows[1]["gain"] == pytest.approx(rows[1]["j_and_f"] - rows[0]["j_and_f"])
    assert rows[1]["low"] is rows[1]["high"] is None
    assert rows[3]["gain"] == pytest.approx(rows[2]["j_and_f"] - rows[3]["j_and_f"])


def test_no_input_of_the_last_node_is_hidden(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(finished / "pipeline.yaml"), "final"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].rstrip() for line in lines[1:]] == [
        "final",
        "+ ab",
        "+ c",
        "+ further inputs of final; their gain is what final gains over them",
    ]


def test_pairs_count_what_only_one_of_two_gets_right(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.zeros((2, 4, 2))
    values[0, :3] = 0.8
    values[1, 2:] = 0.6
    # Both are right on the third expression only; the first is alone on two, the second on one.
    assert compare_pairs([score("v", own) for own in values]).tolist() == [[0, 0.75], [0.75, 0]]
    pairs = np.array(call(finished, capsys, "table", "ab", "a", "--pairs")["pairs"])
    assert pairs.shape == (2, 2)
    assert np.array_equal(pairs, pairs.T)
    assert main(["table", str(finished / "pipeline.yaml"), "a", "ab", "--pairs"]) == 0
    assert "only one of the two gets right" in capsys.readouterr().out


def test_without_names_all_finished_nodes_are_shown(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    find_result(finished / "runs", "b", "video0").unlink()
    assert [row["node"] for row in call(finished, capsys, "table")["rows"]] == ["a", "b", "c", "ab", "final"]


def test_a_node_that_lacks_a_video_is_shown_with_figures_over_those_that_all_have(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = call(finished, capsys, "table", "--videos", "video1", "video2")
    find_result(finished / "runs", "final", "video0").unlink()
    recipe = str(finished / "pipeline.yaml")
    assert main(["table", recipe, "--json"]) == 1
    printed = capsys.readouterr()
    content = json.loads(printed.out)
    assert content["videos"] == 2
    assert [row["missing"] for row in content["rows"]] == [0, 0, 0, 0, 1]
    assert [row["j_and_f"] for row in content["rows"]] == [row["j_and_f"] for row in expected["rows"]]
    assert "final has 2 of 3 videos" in printed.err
    assert main(["table", recipe]) == 1
    text = capsys.readouterr().out
    assert "final has 2 of 3 videos\nfigures over the 2 of 3 videos that all rows with any have\n" in text
    assert f"to make what is missing: rvos run {recipe}" in text


def test_a_node_that_is_not_submitted_may_lack_videos_but_not_unseen(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    find_result(finished / "runs", "c", "video1").unlink()
    assert main(["table", str(finished / "pipeline.yaml")]) == 0
    assert "c has 2 of 3 videos" in capsys.readouterr().out
    assert main(["table", str(finished / "pipeline.yaml"), "final"]) == 0
    assert "input c is left out: 2 of 3 videos" in capsys.readouterr().out


@pytest.mark.parametrize(("n_videos", "has_interval"), [(4, False), (5, True)])
def test_an_interval_needs_five_videos(n_videos: int, has_interval: bool) -> None:
    random = np.random.default_rng(2)
    rows = [[one for v in range(n_videos) for one in score(f"v{v}", random.random((2, 2)))] for _ in range(2)]
    gain = make_table(ExpressionEvaluator.figures, ["m", "n"], rows)[1].main_gain
    assert gain is not None
    assert [value is not None for value in (gain.low, gain.high)] == [has_interval] * 2
    assert (show_limits(gain.low, gain.high) is not None) == has_interval


def test_the_sweep_has_the_score_of_each_threshold_run_alone(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = call(finished, capsys, "sweep", "ab", "--thresholds", "1", "3", "0.9")["settings"]
    assert [(row["threshold"], row["own"]) for row in rows] == [(0.5, True), (1, False), (3, False), (0.9, False)]
    for row in rows:
        override = ["--set", f"stages.stage1.ab.threshold={row['threshold']}"]
        assert main(["run", str(finished / "pipeline.yaml"), "--stage", "1", "--quiet", *override]) == 0
        assert row["j_and_f"] == evaluate(finished, "ab")
        if not row["own"]:
            assert row["gain"] == pytest.approx(row["j_and_f"] - rows[0]["j_and_f"])


def test_the_sweep_of_members_lists_every_subset_best_first(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = call(finished, capsys, "sweep", "ab", "--members", "--jobs", "2")["settings"]
    assert {tuple(row["members"]) for row in rows} >= {("a",), ("b", "c"), ("a", "b", "c")}
    assert len(rows) == 3 * 2 + 3 * 4 + 6 + 1  # the recipe's own, with its rule for groups of one
    values = [row["j_and_f"] for row in rows]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["table", "aa"], "no node 'aa'; did you mean 'a'"),
        (["sweep", "a"], "no sweep of 'a': kind import has no setting that is cheap to try"),
        (["sweep", "abb"], "no sweep of 'abb': no such node; did you mean 'ab'"),
        (["sweep", "ab", "--thresholds", "none"], "threshold 'none'"),
        (["sweep", "ab", "--videos", "nobody"], "nobody"),
        (["sweep", "ab", "--workspace", "elsewhere"], "a is missing, or made with other settings, for 3 of 3 videos"),
        (["table", "--workspace", "elsewhere"], "run first: rvos run"),
    ],
)
def test_wrong_words_are_told(
    finished: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main([words[0], str(finished / "pipeline.yaml"), *words[1:]]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [["table", "final"], ["sweep", "final"], ["report", "--ladder", "a", "final"]])
def test_results_of_other_settings_are_missing(
    finished: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """A threshold that was not run must not be shown with the numbers of one that was."""
    recipe = str(finished / "pipeline.yaml")
    changed = ["--set", f"stages.{'stage1.ab' if words[0] == 'sweep' else 'stage2.final'}.threshold=1"]
    assert main([words[0], recipe, *words[1:], *changed]) == 2
    message = capsys.readouterr().err
    assert "is missing, or made with other settings, for 3 of 3 videos" in message
    assert f"run first: rvos run {recipe} {' '.join(changed)}" in message
    assert main(["run", recipe, "--quiet", *changed]) == 0
    assert main([words[0], recipe, *words[1:], *changed]) == 0


def test_without_names_nodes_of_other_settings_are_not_shown(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--set", "stages.stage2.final.threshold=1", "--json"]
    assert main(["table", str(finished / "pipeline.yaml"), *words]) == 1
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["node"] for row in rows if row["j_and_f"] is not None] == ["a", "b", "c", "ab"]
    assert (rows[-1]["node"], rows[-1]["missing"]) == ("final", 3)


def test_a_gain_that_every_video_shows_has_a_narrow_interval() -> None:
    low, high = resample_gain(np.full(40, 0.2), np.full(40, 2))
    assert low == pytest.approx(0.1)
    assert high == pytest.approx(0.1)


def test_the_interval_of_noise_holds_zero() -> None:
    noise = np.random.default_rng(1).normal(0, 1, 60)
    low, high = resample_gain(noise - noise.mean(), np.ones(60, np.int64))
    assert low is not None
    assert high is not None
    assert low < 0 < high


def test_expressions_count_alike_whatever_their_video() -> None:
    scores = [*score("v", np.full((1, 2), 0.0)), *score("w", np.full((3, 2), 1.0))]
    assert make_table(ExpressionEvaluator.figures, ["n"], [scores])[0].j_and_f == 75


def test_a_sweep_can_be_drawn(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = finished / "sweep.png"
    call(finished, capsys, "sweep", "ab", "--plot", str(picture))
    with Image.open(picture) as image:
        assert image.format == "PNG"
        assert image.width > image.height > 200
    assert main(["sweep", str(finished / "pipeline.yaml"), "ab", "--members", "--plot", str(picture)]) == 2
    assert "drop --members" in capsys.readouterr().err


def test_a_table_is_csv_with_all_digits(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = call(finished, capsys, "table", "a", "final")["rows"]
    assert main(["table", str(finished / "pipeline.yaml"), "a", "final", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["node"] for row in rows] == [row["node"] for row in expected]
    for row, wanted in zip(rows, expected, strict=True):
        assert float(row["J&F"]) == wanted["j_and_f"]
        assert row["gain"] == ("" if wanted["gain"] is None else repr(wanted["gain"]))


def test_a_table_is_markdown_as_one_pastes_it(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = call(finished, capsys, "table", "a")["rows"]
    assert main(["table", str(finished / "pipeline.yaml"), "a", "--markdown"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| node | J | F | J&F | gain | 95 % interval |",
        "| --- | ---: | ---: | ---: | --- | --- |",
        f"| a | {row['j']:.2f} | {row['f']:.2f} | {row['j_and_f']:.2f} |  |  |",
    ]


def test_csv_holds_one_table(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(finished / "pipeline.yaml"), "a", "--csv", "--pairs"]) == 2
    assert "--csv writes one table" in capsys.readouterr().err


def test_a_sweep_and_an_evaluation_are_tables_too(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(finished / "pipeline.yaml")
    settings = call(finished, capsys, "sweep", "final", "--members")["settings"]
    assert main(["sweep", recipe, "final", "--members", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["members"].split(), row["threshold"], float(row["F"])) for row in rows] == [
        (row["members"], str(row["threshold"]), row["f"]) for row in settings
    ]
    assert main(["submit", recipe]) == 0
    capsys.readouterr()
    words = [str(finished / "data"), str(finished / "runs/submission.zip"), "--format", "ref-youtube-vos"]
    assert main(["evaluate", *words, "--csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert float(row["J&F"]) == pytest.approx(evaluate(finished, "final"), abs=1e-9)
    assert row["expressions"] == "9"


def test_several_recipes_share_a_table(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (finished / "pipeline.yaml").read_text()
    (finished / "other.yaml").write_text(text.replace("runs", "others").replace("threshold: 0.5", "threshold: 1"))
    other = str(finished / "other.yaml")
    assert main(["run", other, "--quiet"]) == 0
    rows = call(finished, capsys, "table", other, "a", "ab")["rows"]
    assert [row["node"] for row in rows] == ["pipeline/a", "other/a", "pipeline/ab", "other/ab"]
    assert rows[1]["gain"] == 0
    assert rows[2]["j_and_f"] == pytest.approx(evaluate(finished, "ab"), abs=1e-9)
    assert rows[3]["gain"] == pytest.approx(rows[3]["j_and_f"] - rows[2]["j_and_f"])
    assert [row["node"] for row in call(finished, capsys, "table", other)["rows"]] == ["pipeline/final", "other/final"]
    assert main(["table", str(finished / "pipeline.yaml"), other, "fnal"]) == 2
    assert "no recipe has a node 'fnal'; did you mean 'final'?" in capsys.readouterr().err


def test_recipes_of_other_sentences_are_not_compared(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (finished / "pipeline.yaml").read_text()
    write_split(finished / "second")
    meta = finished / "second/data/meta_expressions/valid/meta_expressions.json"
    meta.write_text(meta.read_text().replace('"2": {"exp"', '"3": {"exp"'))
    (finished / "other.yaml").write_text(text.replace("root: data", "root: second/data"))
    assert main(["table", str(finished / "pipeline.yaml"), str(finished / "other.yaml"), "a"]) == 2
    assert "video video0 has other sentences than in the first recipe" in capsys.readouterr().err
