"""A kind of node is one file and one line of the table: every command knows what it needs and makes."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from boxing_kind import BoxNode
from shifting_kind import ShiftNode
from small_data import FRAMES, write_split

import rvos.masks.stored
from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main
from rvos_fusion.kinds import table
from rvos_fusion.kinds.base import Node
from rvos_fusion.kinds.plain import plain

STAGE = "  stage3:\n    moved: {shift: final, checkpoint: offset.txt}\nsubmission: {node: moved}\n"
PIPELINE = Path(__file__).parents[3] / "rvos_fusion"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The small recipe with a stage of the new kind; its checkpoint is there."""
    monkeypatch.setitem(table.KINDS, "shift", "shifting_kind:ShiftNode")
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path)
    path = tmp_path / "pipeline.yaml"
    path.write_text(path.read_text().replace("submission: {node: final}\n", STAGE))
    (tmp_path / "offset.txt").write_text("2")
    return "pipeline.yaml"


def test_plan_describes_it(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", recipe, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["nodes"][-1]
    assert (row["node"], row["stage"], row["what"], row["inputs"]) == ("moved", "stage3", "shifts final", ["final"])
    assert (row["videos"], row["cached"]) == (3, 0)


def test_doctor_lists_its_checkpoint_and_misses_it(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("offset.txt").absolute()
    assert main(["doctor", recipe]) == 0
    assert f"{path}: checkpoint of moved" in capsys.readouterr().out
    path.unlink()
    assert main(["doctor", recipe]) == 2
    assert f"missing  moved: {path}: no such offset; write one" in capsys.readouterr().out
    for command in ("plan", "run"):
        assert main([command, recipe]) == 2


def test_run_computes_it_and_reuses_it_until_its_checkpoint_changes(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_moved(recipe, capsys) == (3, 0)
    store = Store(Path("runs"))
    for before, after in zip(store.read("final", "video1"), store.read("moved", "video1"), strict=True):
        assert np.array_equal(np.roll(before.masks(), 2, axis=2), after.masks())
    assert run_moved(recipe, capsys) == (0, 3)
    Path("offset.txt").write_text("3")
    assert run_moved(recipe, capsys) == (3, 0)


def test_every_setting_counts_for_the_fingerprint(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_moved(recipe, capsys) == (3, 0)
    assert run_moved(recipe, capsys, "--set", "stages.stage3.moved.wrap=false") == (3, 0)


def run_moved(recipe: str, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, int]:
    capsys.readouterr()
    assert main(["run", recipe, "--quiet", "--json", *words]) == 0
    rows = {row["node"]: row for row in json.loads(capsys.readouterr().out)["nodes"]}
    return rows["moved"]["done"], rows["moved"]["reused"]


def test_its_own_errors_are_one_line(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("offset.txt").write_text("far")
    assert main(["run", recipe, "--quiet"]) == 2
    assert "failed: moved: " in capsys.readouterr().err
    assert main(["run", recipe, "--set", "stages.stage4.again={shift: moved, checkpoint: offset.txt}"]) == 2
    assert "again: moved is moved already; add up the pixels" in capsys.readouterr().err
    assert main(["run", recipe, "--set", "stages.stage4.again={sift: moved}"]) == 2
    assert re.search(r"neither 'propagate' nor .*'shift'; say what the node does", capsys.readouterr().err)


def test_table_scores_it_and_report_shows_it(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", recipe, "--quiet"]) == 0
    assert main(["table", recipe, "final", "moved", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows[1]["j_and_f"] < rows[0]["j_and_f"]
    assert main(["report", recipe, "--quiet", "--out", "page.html"]) == 0
    data = re.search(r'<script id="report-data"[^>]*>(.*?)</script>', Path("page.html").read_text(), re.DOTALL)
    assert data is not None
    report = json.loads(data.group(1))
    node = report["nodes"][-1]
    assert (node["name"], node["kind"], node["state"], node["detail"]) == ("moved", "shift", "done", "offset.txt")
    parts = list(Path("page_files").rglob("*.js"))
    assert len(parts) == len(report["videos"])
    for part in parts:
        text = part.read_text()
        video = json.loads(text[text.index("{") : text.rindex("}") + 1])
        assert all(video["sequences"][-1])  # in the order of the nodes, then by sentence


def test_it_is_submitted_and_the_manifest_lists_its_checkpoint(recipe: str) -> None:
    assert main(["run", recipe, "--quiet"]) == 0
    assert main(["submit", recipe]) == 0
    assert main(["check-submission", "runs/submission.zip"]) == 0
    manifest = json.loads(Path("runs/submission.provenance.json").read_text())
    assert manifest["node"] == "moved"
    assert manifest["checkpoints"] == {str(Path("offset.txt").absolute()): hashlib.sha256(b"2").hexdigest()}


BOXES = ("--set", "stages.stage3.boxes={box: final}")


@pytest.fixture
def box_recipe(recipe: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The recipe, where a further node can store boxes."""
    monkeypatch.setitem(table.KINDS, "box", "boxing_kind:BoxNode")
    return recipe


def test_a_kind_may_store_something_else_than_masks(box_recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", box_recipe, *BOXES, "--quiet"]) == 0
    stored = Store(Path("runs")).read_artefact("boxes", "video0", codec=rvos.masks.stored.BOXES)
    assert (stored.video, len(stored.by_frame)) == ("video0", len(FRAMES))
    assert main(["table", box_recipe, *BOXES, "--json"]) == 0
    assert "boxes" not in {row["node"] for row in json.loads(capsys.readouterr().out)["rows"]}
    assert main(["report", box_recipe, *BOXES, "--quiet", "--out", "page.html"]) == 0
    assert '"kind":"box"' in Path("page.html").read_text()


def test_only_masks_can_be_submitted(box_recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", box_recipe, *BOXES, "--set", "submission.node=boxes"]) == 2
    assert "submission: boxes stores boxes; name a node with masks" in capsys.readouterr().err
    assert main(["submit", box_recipe, *BOXES, "--node", "boxes"]) == 2
    assert "no node 'boxes'" in capsys.readouterr().err


def test_half_a_result_is_not_stored(
    recipe: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShiftNode, "compute", lambda node, tasks: [task.read("final")[:2] for task in tasks])
    assert main(["run", recipe, "--quiet"]) == 2
    assert "moved: video0: no masks for 1 of 3 expressions, first '2'" in capsys.readouterr().err
    assert Store(Path("runs")).videos("moved") == ()


@pytest.mark.parametrize(("results", "message"), [([], "made 0 results for 1 task"), (["no boxes"], "AttributeError")])
def test_a_kind_that_breaks_its_promise_fails_its_own_videos(
    box_recipe: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    results: list[str],
    message: str,
) -> None:
    monkeypatch.setattr(BoxNode, "compute", lambda node, tasks: results)
    assert main(["run", box_recipe, *BOXES, "--quiet"]) == 1
    assert message in capsys.readouterr().err
    assert Store(Path("runs")).videos("moved") == ("video0", "video1", "video2")


def test_only_kinds_know_each_other() -> None:
    """A question of the form "is this node a fusion?" outside of `kinds` is one that a new kind would have to join."""
    names = {place.partition(":")[2] for place in table.KINDS.values()}
    outside = [path for path in PIPELINE.rglob("*.py") if path.parent.name != "kinds"]
    named = {
        f"{path.name}: {node.id}"
        for path in outside
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id in names
    }
    assert named == set()


def test_every_kind_stands_under_its_own_key() -> None:
    found: dict[str, type[Node]] = table.list_kinds("models") | table.list_kinds("stages")
    assert {keyword: kind.keyword for keyword, kind in found.items()} == {keyword: keyword for keyword in table.KINDS}


def test_a_setting_without_a_plain_form_is_refused() -> None:
    assert plain({"b": (1, 2.5, None), "a": Path("gone")}) == {"b": [1, 2.5, None]}
    with pytest.raises(TypeError, match="set"):
        plain({1, 2})
