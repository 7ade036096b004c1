"""A sweep gives each setting the scores that a run with it has, to the last digit, and stores nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_data import write_split

from rvos_fusion.commands.cli import main

NODE = "stages.stage1.ab"
COLUMNS = ("j", "f", "j_and_f")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_split(tmp_path, n_videos=5)
    monkeypatch.chdir(tmp_path)


def read(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


RULES: dict[str, tuple[str, list[Any]]] = {
    "parts": ("fuse: [a, b, c], threshold: 2 of 3", ["1 of 6", "2 of 6", "3 of 6", "2 of 3", "5 of 6", "6 of 6"]),
    "counts": ("fuse: [a, b, c], threshold: 2, groups: {by: none}", [1, 2, 3]),
    "singles": ("fuse: [a, b, c], threshold: 2, singles: {only: b}", [1, 2, 3, 4, 5, 6]),
    "weights": (
        "fuse: [a, b], threshold: 0.5, weights: {a: 1.5}",
        ["2 of 10", "3 of 10", "4 of 10", 0.5, "6 of 10", "7 of 10", "8 of 10", "10 of 10"],
    ),
    "average": ("fuse: [a, b], method: average", [round(step / 20, 2) for step in range(1, 20)]),
    "union": (
        "fuse: [a, b], method: conditional_union",
        ["1 of 4", "1 of 3", "1 of 2", "2 of 3", "3 of 4", "1 of 1"],
    ),
    "assignment": ("fuse: [a, b, c], method: assign", [1, 2, 3, "any"]),
}
"""Fusions and the values that are tried of each; groups have two expressions, or one."""


@pytest.mark.parametrize(("rule", "values"), RULES.values(), ids=RULES)
def test_each_row_is_that_of_a_run(rule: str, values: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    key = "capacity" if "assign" in rule else "threshold"
    recipe = ["pipeline.yaml", "--set", f"{NODE}={{{rule}}}"]
    assert main(["run", *recipe, "--quiet"]) == 0
    rows = read(capsys, "sweep", *recipe, "ab")["settings"]
    assert [row[key] for row in rows] == values
    (own,) = (row for row in rows if row["own"])
    for row in rows:
        setting = ["--set", f"{NODE}.{key}={row[key]}"]
        assert main(["run", *recipe, *setting, "--quiet"]) == 0
        alone = read(capsys, "table", *recipe, *setting, "ab")["rows"][0]
        assert [alone[name] for name in COLUMNS] == [row[name] for name in COLUMNS]
        if row is own:
            assert row["gain"] is None
        else:
            assert row["low"] <= row["gain"] <= row["high"]
            assert row["gain"] == pytest.approx(row["j_and_f"] - own["j_and_f"])


def test_subsets_are_what_runs_of_fewer_members_are(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = ["pipeline.yaml", "--set", f"{NODE}={{fuse: [a, b, c], threshold: 2 of 3, weights: {{c: 2}}}}"]
    assert main(["run", *recipe, "--quiet"]) == 0
    rows = read(capsys, "sweep", *recipe, "ab", "--members")["settings"]
    pair = next(row for row in rows if row["members"] == ["b", "c"] and row["threshold"] == "3 of 6")
    fewer = "{fuse: [b, c], threshold: 3 of 6, weights: {c: 2}}"
    assert main(["run", "pipeline.yaml", "--set", f"{NODE}={fewer}", "--quiet"]) == 0
    alone = read(capsys, "table", "pipeline.yaml", "--set", f"{NODE}={fewer}", "ab")["rows"][0]
    assert [alone[name] for name in COLUMNS] == [pair[name] for name in COLUMNS]


def test_a_sweep_stores_nothing_and_marks_the_recipe_s_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "pipeline.yaml", "--quiet"]) == 0
    files = sorted(Path("runs").rglob("*"))
    capsys.readouterr()
    assert main(["sweep", "pipeline.yaml", "ab"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:7] if line[0] in "*="] == ["*="]
    assert lines[7].startswith("* best; = the recipe's own, over which the others gain")
    assert sorted(Path("runs").rglob("*")) == files


def test_of_equal_settings_the_recipe_s_own_is_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    twins = [
        "--set",
        "models.b.path=members/a",
        "--set",
        f"{NODE}={{fuse: [a, b], threshold: 2 of 2, groups: {{by: none}}}}",
    ]
    assert main(["run", "pipeline.yaml", *twins, "--quiet"]) == 0
    capsys.readouterr()
    assert main(["sweep", "pipeline.yaml", *twins, "ab"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:3]]
    assert [row[0] for row in rows] == ["1", "*="]
