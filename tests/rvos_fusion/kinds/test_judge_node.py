"""Choices by judges as nodes of a recipe: what is asked, kept, planned, replayed, and what bad answers do."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import deaot_toolkit
import numpy as np
import pytest
import torch
from small_data import FRAMES, N_FRAMES, write_split
from stored_results import find_report, find_result

from rvos.masks.runs import Runs, unite
from rvos.masks.stored import TRACKLET_SETS
from rvos.masks.stored.store import Store
from rvos.masks.tracklets import TrackletSet
from rvos_fusion.commands.cli import main

PROGRAM = Path(__file__).parents[2] / "judging_program.py"
SECTIONS = f"""\
engines:
  aot: {{network: small-aot, checkpoint: aot.safetensors, scales: [0.5]}}
judges:
  vlm: {{judge: command, command: [{sys.executable}, judging_program.py], timeout: 600}}
stages:
"""
STAGE = """\
  stage3:
    masks: {propose: [], add_members: [a], key_frames: 2}
    tracklets: {track: masks, engine: aot, add_members: [a], keep: 3}
    chosen: {judge: tracklets, by: [vlm], rounds: 3}
submission: {node: chosen}
"""
CHOSEN = "stages.stage3.chosen"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two videos, the tracklets of one member's masks, and a program that judges them."""
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, 2)
    path = tmp_path / "pipeline.yaml"
    path.write_text(path.read_text().replace("stages:\n", SECTIONS).replace("submission: {node: final}\n", STAGE))
    torch.manual_seed(1)
    deaot_toolkit.save(deaot_toolkit.build("small-aot"), tmp_path / "aot.safetensors")
    shutil.copy(PROGRAM, tmp_path)
    answer()
    return "pipeline.yaml"


def answer(*accept: str, **rules: Any) -> None:
    Path("answers.json").write_text(json.dumps({"accept": accept, **rules}))


def run(recipe: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what a run said beside its table."""
    capsys.readouterr()
    assert main(["run", recipe, "--quiet", "--device", "cpu", *words]) == 0
    return capsys.readouterr().err


def plan(recipe: str, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert main(["plan", recipe, "--json", *words]) == 0
    rows = json.loads(capsys.readouterr().out)["nodes"]
    return {row["node"]: row for row in rows}["chosen"]["asks"]


def asked() -> list[str]:
    path = Path("asked.txt")
    return path.read_text().split() if path.exists() else []


def read_tracklets(workspace: str = "runs", video: str = "video0") -> TrackletSet:
    return Store(Path(workspace)).read_artefact("tracklets", video, codec=TRACKLET_SETS)


def read_masks(workspace: str = "runs") -> list[bytes]:
    return [path.read_bytes() for path in sorted(Path(workspace, "nodes/chosen").rglob("*.masks"))]


def read_report(workspace: str = "runs") -> Any:
    return json.loads(find_report(Path(workspace), "chosen", "video0").read_text())["content"]


def test_accepted_candidates_answer_together(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys, "--node", "tracklets")
    found = read_tracklets()
    first, second, *_ = (one.id for one in found.tracklets)
    answer(first, second)
    assert run(recipe, capsys) == ""
    expected = unite([one.as_runs() for one in found.tracklets[:2]])
    for one in Store(Path("runs")).read("chosen", "video0"):
        assert np.array_equal(one.as_runs().edges, expected.edges)
        assert one.scores.tolist() == [1.0] * N_FRAMES
    (row, *_) = read_report()["expressions"]
    assert row["accepted"] == [first, second]
    assert row["rounds"][0]["frames"] == list(FRAMES)
    assert row["rounds"][0]["verdicts"][0]["judges"] == [{"judge": "vlm", "verdict": "accept", "reason": "so"}]


def test_where_all_are_rejected_the_best_score_answers_or_the_fallback(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(recipe, capsys)
    (answered, *_) = Store(Path("runs")).read("chosen", "video0")
    assert answered.runs == read_tracklets().tracklets[0].runs
    run(recipe, capsys, "--set", f"{CHOSEN}.fallback=b")
    (answered, *_) = Store(Path("runs")).read("chosen", "video0")
    assert answered.runs == Store(Path("runs")).read("b", "video0")[0].runs
    run(recipe, capsys, "--set", f"{CHOSEN}.fallback=empty")
    (answered, *_) = Store(Path("runs")).read("chosen", "video0")
    assert not Runs.decode(answered.runs, answered.size).area()
    assert [row["why"] for row in read_report()["expressions"]] == ["rejected"] * 3


def test_nothing_is_asked_twice_by_another_run_or_recipe(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys, "--set", "judges.vlm.verdicts=kept")
    first, masks = asked(), read_masks()
    assert len(first) == len(set(first)) == 6
    # Sheets of another size are other questions; a result that is made again is not.
    run(recipe, capsys, "--set", "judges.vlm.verdicts=kept", "--force", "chosen")
    run(recipe, capsys, "--set", "judges.vlm.verdicts=kept", "--workspace", "other")
    assert (asked(), read_masks(), read_masks("other")) == (first, masks, masks)
    run(recipe, capsys, "--set", "judges.vlm.verdicts=kept", "--set", f"{CHOSEN}.width=24")
    assert len(asked()) == len(set(asked())) == 12


def test_another_program_is_another_judge(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys)
    Path("judging_program.py").write_text(PROGRAM.read_text() + "\n# edited\n")
    run(recipe, capsys)
    assert len(asked()) == 12
    assert len(list(Path("runs/verdicts").iterdir())) == 2


def test_a_plan_says_how_much_will_be_asked(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(recipe, capsys) == {"least": 0, "most": 0, "unknown": 2}
    run(recipe, capsys, "--node", "tracklets")
    assert plan(recipe, capsys) == {"least": 6, "most": 18, "unknown": 0}
    assert main(["plan", recipe]) == 0
    assert "asks 6 to 18 questions" in capsys.readouterr().out
    run(recipe, capsys)
    (sorted(Path("runs/verdicts").glob("*/*.json"))[0]).unlink()
    find_result(Path("runs"), "chosen", "video0").unlink()
    find_result(Path("runs"), "chosen", "video1").unlink()
    found = plan(recipe, capsys)
    assert (found["least"], found["unknown"]) == (1, 0)
    run(recipe, capsys)
    assert len(asked()) == 7
    assert plan(recipe, capsys) == {"least": 0, "most": 0, "unknown": 0}


def test_a_recorded_folder_replays_without_the_judge(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys, "--node", "tracklets")
    answer(read_tracklets().tracklets[1].id)
    run(recipe, capsys)
    (folder,) = Path("runs/verdicts").iterdir()
    shutil.copytree(folder, "recorded")
    Path("judging_program.py").unlink()
    words = ("--set", "judges.vlm={judge: recorded, path: recorded}")
    assert run(recipe, capsys, *words, "--workspace", "other") == ""
    stored = [Store(Path(place)).read("chosen", "video0") for place in ("runs", "other")]
    assert [one.runs for one in stored[0]] == [one.runs for one in stored[1]]
    next(Path("recorded").glob("*.json")).unlink()
    assert run(recipe, capsys, *words, "--workspace", "third").count("nobody was asked this") == 1 + 2
    assert [path.name for path in Path("third/verdicts").glob("*")] == []


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"text": ""}, "an empty answer"),
        ({"text": "I think it is the left one."}, "not JSON"),
        ({"text": '{"verdicts": [{"candidate": 99, "verdict": "accept"}]}'}, "candidate 99 is not on the sheet"),
        ({"text": '{"verdicts": [{"candidate": 1, "ver'}, "not JSON"),
        ({"text": "x" * 10_000_000}, "10000000 bytes, at most 65536 are read"),
        ({"text": "第一个是对的。"}, "not JSON"),
        ({"text": "import os; os.system('touch executed')"}, "not JSON"),
        ({"text": "nothing"}, "no such file"),
        ({"seconds": 30}, "took longer than 0.5 s"),
    ],
    ids=["empty", "prose", "unknown number", "half", "large", "language", "code", "silent", "slow"],
)
def test_a_bad_answer_is_one_line_and_uncertain(
    recipe: str, capsys: pytest.CaptureFixture[str], rules: dict[str, Any], told: str
) -> None:
    run(recipe, capsys, "--node", "tracklets")
    answer(**rules)
    timeout = "0.5" if "seconds" in rules else "600"
    words = ("--videos", "video0", "--set", f"judges.vlm.timeout={timeout}", "--set", f"{CHOSEN}.rounds=1")
    lines = run(recipe, capsys, *words).splitlines()
    assert len(lines) == 3
    assert all(told in line and line.endswith("counted as uncertain") for line in lines)
    assert all(line.startswith("video0/") and len(line) < 700 for line in lines)
    row, *_ = read_report()["expressions"]
    assert {own["judges"][0]["verdict"] for own in row["rounds"][0]["verdicts"]} == {"uncertain"}
    assert row["why"] == "by_score"
    assert not Path("executed").exists()


def test_several_judges_vote(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys, "--node", "tracklets")
    names = [one.id for one in read_tracklets().tracklets]
    for place, accept in enumerate(([0], [0, 1], [1])):
        other = Path(f"judge{place}")
        other.mkdir()
        (other / "answers.json").write_text(json.dumps({"accept": [names[one] for one in accept]}))
        text = PROGRAM.read_text().replace("import sys\n", f"import os\nimport sys\n\nos.chdir({str(other)!r})\n", 1)
        Path(f"program{place}.py").write_text(text)
    judges = ", ".join(
        f"j{place}: {{judge: command, command: [{sys.executable}, program{place}.py]}}" for place in range(3)
    )
    run(recipe, capsys, "--set", f"judges={{{judges}}}", "--set", f"{CHOSEN}.by=[j0, j1, j2]")
    row, *_ = read_report()["expressions"]
    assert row["accepted"] == names[:2]
    assert row["scores"][:2] == [0.6667, 0.6667]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (f"{CHOSEN}.by=[]", "by is empty"),
        (f"{CHOSEN}.by=[vim]", "vlm"),
        (f"{CHOSEN}.rounds=4", "rounds '4'"),
        (f"{CHOSEN}.frames=17", "frames '17'"),
        (f"{CHOSEN}.judge=a", "a stores mask sequences, expected"),
        ("judges.vlm.command=[no-such-program]", "no program no-such-program"),
        ("judges.vlm={judge: recorded, path: gone}", "gone: no such verdicts"),
        ("judges.vlm={judge: oracle}", "'oracle' is unknown"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(
    recipe: str, capsys: pytest.CaptureFixture[str], setting: str, told: str
) -> None:
    assert main(["run", recipe, "--quiet", "--set", setting]) == 2
    assert told in capsys.readouterr().err
    assert asked() == []


def test_the_same_judge_twice_is_refused(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    one = f"{{judge: command, command: [{sys.executable}, judging_program.py]}}"
    words = ("--set", f"judges={{x: {one}, y: {one}}}", "--set", f"{CHOSEN}.by=[x, y]")
    assert main(["run", recipe, "--quiet", *words]) == 2
    assert "y is x again" in capsys.readouterr().err
