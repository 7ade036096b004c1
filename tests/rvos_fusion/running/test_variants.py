"""Variants of a recipe without nodes of their own: a row for each value of a setting, beside the recipe's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_data import write_split
from stored_results import find_result, list_results

import rvos_fusion as rf
from rvos.settings.grids import split_values
from rvos_fusion.commands.cli import main

RECIPE = "pipeline.yaml"
THRESHOLD = "stages.stage1.ab.threshold"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_split(tmp_path, n_videos=5)
    monkeypatch.chdir(tmp_path)
    assert main(["run", RECIPE, "--quiet"]) == 0
    return tmp_path


def table(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["table", RECIPE, "--json", *words]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["rows"]
    return rows


def fail(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    before = list_results(Path("runs"))
    capsys.readouterr()
    assert main(["table", RECIPE, *words, "--run"]) == 2
    assert list_results(Path("runs")) == before
    return capsys.readouterr().err


def test_each_variant_has_the_scores_of_a_recipe_that_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    own, *variants = table(capsys, "final", "--vary", f"{THRESHOLD}=1,'3 of 3'", "--run")
    assert (own["node"], own["gain"], own["settings"]) == ("final", None, {})
    for row, value in zip(variants, ("1", "3 of 3"), strict=True):
        words = ["--set", f"{THRESHOLD}={value}"]
        assert main(["run", RECIPE, *words, "--quiet"]) == 0
        (alone,) = table(capsys, "final", "--vary", "stages.stage2.final.threshold=1", *words)[:1]
        assert row["j_and_f"] == alone["j_and_f"]
        assert row["gain"] == pytest.approx(alone["j_and_f"] - own["j_and_f"])
        assert row["low"] <= row["gain"] <= row["high"]
    assert [row["node"] for row in variants] == ["threshold=1", "threshold='3 of 3'"]
    assert variants[0]["settings"] == {"threshold": "1"}


def test_several_settings_make_a_grid(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--vary", f"{THRESHOLD}=2,3", "--vary", "stages.stage2.final.threshold=[1, 2]"]
    rows = table(capsys, *words, "--run")
    assert [row["node"] for row in rows] == [
        "final",
        "ab.threshold=2, final.threshold=1",
        "ab.threshold=2, final.threshold=2",
        "ab.threshold=3, final.threshold=1",
        "ab.threshold=3, final.threshold=2",
    ]
    # Computed once: the second time all is there, and nobody has to say `--run`.
    stored = {path: path.stat().st_mtime_ns for path in list_results(Path("runs"))}
    assert table(capsys, *words) == table(capsys, *words, "--run") == rows
    assert {path: path.stat().st_mtime_ns for path in list_results(Path("runs"))} == stored


def test_what_is_not_stored_is_named_with_the_command_that_makes_it(capsys: pytest.CaptureFixture[str]) -> None:
    before = list_results(Path("runs"))
    assert main(["table", RECIPE, "final", "--vary", f"{THRESHOLD}=1,0.5"]) == 0
    text = capsys.readouterr().out
    assert "threshold=1 has 0 of 5 videos\n" in text
    assert f"to make what is missing: rvos table {RECIPE} final --vary {THRESHOLD}=1,0.5 --run\n" in text
    assert "threshold=0.5 (the recipe's own)" in text
    assert list_results(Path("runs")) == before


def test_variants_are_no_current_results_and_nobody_s(capsys: pytest.CaptureFixture[str]) -> None:
    current = find_result(Path("runs"), "final", "video0")
    own = list_results(Path("runs"))
    table(capsys, "final", "--vary", f"{THRESHOLD}=1,3", "--run")
    assert len(list_results(Path("runs"))) > len(own)
    assert find_result(Path("runs"), "final", "video0") == current
    assert main(["clean", RECIPE, "--remove"]) == 0
    assert list_results(Path("runs")) == own


def test_a_setting_that_does_not_reach_the_node_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    own, row = table(capsys, "ab", "--vary", "stages.stage2.final.threshold=1")
    assert row["node"] == "threshold=1 (the recipe's own)"
    assert (row["j_and_f"], row["gain"]) == (own["j_and_f"], 0.0)


def test_members_can_be_varied(capsys: pytest.CaptureFixture[str]) -> None:
    rows = table(capsys, "ab", "--vary", "stages.stage1.ab.fuse=[a, b],[b, c]", "--run")
    assert [row["settings"] for row in rows[1:]] == [{"fuse": "[a, b]"}, {"fuse": "[b, c]"}]


def test_python_gives_the_same_rows(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = rf.open_recipe(RECIPE)
    missing = recipe.vary("final", settings={THRESHOLD: [1, "3 of 3"]})
    assert [row.missing for row in missing] == [0, 5, 5]
    rows = recipe.vary("final", settings={THRESHOLD: [1, "3 of 3"]}, run=True)
    told = table(capsys, "final", "--vary", f"{THRESHOLD}=1,3 of 3")
    assert [(row.node, row.j_and_f, row.gain) for row in rows] == [
        (row["node"], row["j_and_f"], row["gain"]) for row in told
    ]
    with pytest.raises(rf.ConfigError, match="did you mean 'ab'"):
        recipe.vary("final", settings={"stages.stage1.abc.threshold": [1]}, run=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages.stage1.abb.threshold=1", "the recipe has no 'abb' there; did you mean 'ab'?"),
        ("stages.stage3.ab.threshold=1", "the recipe has no 'stage3' there; did you mean 'stage"),
        ("stage.stage1.ab.threshold=1", "did you mean 'stages'?"),
        ("stages.stage1.ab.threshhold=1", "did you mean 'threshold'?"),
        (f"{THRESHOLD}=1,9", "9"),
        (f"{THRESHOLD}=1,many", "many"),
        (f"{THRESHOLD}=", "expected values with commas between them"),
        (f"{THRESHOLD}=[1, 2", "expected values with commas between them"),
        (THRESHOLD, "expected key=values"),
        ("dataset.split=valid,test", "all variants share dataset"),
        (f"{THRESHOLD}={','.join(map(str, range(10_001)))}", "10001 variants, at most 10000"),
    ],
    ids=["node", "stage", "section", "setting", "out of reach", "no number", "none", "half a list", "no value",
         "data set", "too many"],
)  # fmt: skip
def test_what_leads_nowhere_or_is_refused_computes_nothing(
    text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (line, *_) = fail(capsys, "final", "--vary", text).splitlines()
    assert line.startswith("rvos table: ")
    assert message in line


def test_a_key_is_varied_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--vary", f"{THRESHOLD}=1", "--vary", f"{THRESHOLD}=2"]
    assert "is varied already; give all its values at once" in fail(capsys, "final", *words)


@pytest.mark.parametrize("words", [["a", "b"], ["final", "--pairs"], ["final", "--oracle"], ["other.yaml"]])
def test_options_that_do_not_go_together_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "--vary is for one recipe and one node" in fail(capsys, *words, "--vary", f"{THRESHOLD}=1")


def test_run_alone_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--run computes what --vary lacks" in fail(capsys, "final")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("2,3,4", ["2", "3", "4"]),
        ("[2, 3, '2 of 4']", ["2", "3", "'2 of 4'"]),
        ("2 of 4, 0.50", ["2 of 4", "0.50"]),
        ("[a, b],[a]", ["[a, b]", "[a]"]),
        ("[[a, b]]", ["[a, b]"]),
        ("{a: 1, b: [2, 3]}, {a: 2}", ["{a: 1, b: [2, 3]}", "{a: 2}"]),
        ('"a,b", c', ['"a,b"', "c"]),
        ("true", ["true"]),
    ],
)
def test_values_stay_as_they_are_written(text: str, values: list[str]) -> None:
    assert split_values(text, where="--vary x") == values


def test_a_setting_that_does_not_reach_the_node_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--vary", "submission.node=ab,final", "--vary", f"{THRESHOLD}=0.5,3", "--run"]
    assert main(["table", RECIPE, "ab", *words]) == 0
    text = capsys.readouterr().out
    assert "node makes no difference to ab" in text
    assert "threshold makes no difference" not in text
