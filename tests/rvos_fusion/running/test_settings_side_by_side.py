"""Results of several settings and recipes in one workspace: each is computed once, and kept while a recipe needs it."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from small_data import write_split
from stored_results import find_result, list_results, move_back

from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main
from rvos_fusion.planning.notes import read_notes
from rvos_fusion.planning.results import open_results
from rvos_fusion.recipe.reader import read_recipe

AGREEMENT = ["--set", "groups={by: agreement, members: [a, b, c]}"]
BEFORE = Path(__file__).with_name("workspace_of_before.zip")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_split(tmp_path, n_videos=2)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.yaml").write_text(Path("pipeline.yaml").read_text().replace("threshold: 0.5", "threshold: 3"))
    return tmp_path


def run(recipe: str, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, int]:
    """Run a recipe and return how many results of each node were made."""
    capsys.readouterr()
    assert main(["run", recipe, "--quiet", "--json", *words]) == 0
    return {row["node"]: row["done"] for row in json.loads(capsys.readouterr().out)["nodes"] if row["done"]}


def clean(recipe: str, capsys: pytest.CaptureFixture[str], *words: str) -> Counter[str]:
    """Return how many results of each node were listed."""
    capsys.readouterr()
    assert main(["clean", recipe, "--json", *words]) == 0
    return Counter(row["node"] for row in json.loads(capsys.readouterr().out)["files"])


def edit(old: str, new: str) -> None:
    recipe = Path("pipeline.yaml")
    assert old in recipe.read_text()
    recipe.write_text(recipe.read_text().replace(old, new))


def test_going_back_to_an_earlier_setting_computes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pipeline.yaml", capsys) == {"a": 2, "b": 2, "c": 2, "ab": 2, "final": 2}
    edit("threshold: 0.5", "threshold: 0.9")
    assert run("pipeline.yaml", capsys) == {"ab": 2, "final": 2}
    edit("threshold: 0.9", "threshold: 0.5")
    assert run("pipeline.yaml", capsys) == {}


def test_two_recipes_leave_each_other_s_results_alone(capsys: pytest.CaptureFixture[str]) -> None:
    run("pipeline.yaml", capsys)
    first = find_result(Path("runs"), "final", "video0").read_bytes()
    assert run("other.yaml", capsys) == {"ab": 2, "final": 2}
    assert run("pipeline.yaml", capsys) == run("other.yaml", capsys) == {}
    # Readers without a recipe take what was run last.
    assert find_result(Path("runs"), "final", "video0").read_bytes() != first
    assert run("pipeline.yaml", capsys) == {}
    assert find_result(Path("runs"), "final", "video0").read_bytes() == first


EDITS: Sequence[tuple[str, tuple[str, ...]]] = (
    *[("pipeline.yaml", ("--set", f"stages.stage1.ab.threshold={value}")) for value in ("0.5", "0.9", "0.5", "3")],
    ("other.yaml", ()),
    ("pipeline.yaml", ()),
    *[("pipeline.yaml", ("--set", f"stages.stage1.ab.fuse={value}")) for value in ("[a, b]", "[a, b, c]", "[a, b]")],
    ("other.yaml", ("--set", "stages.stage2.final.threshold=1")),
    ("pipeline.yaml", AGREEMENT),
    ("other.yaml", ()),
    *[("pipeline.yaml", ("--set", f"stages.stage2.final.threshold={value}")) for value in ("1", "2", "1")],
    ("pipeline.yaml", ("--stage", "1")),
    ("pipeline.yaml", ("--videos", "video1", "--set", "stages.stage1.ab.weights.a=2")),
    ("pipeline.yaml", ("--set", "stages.stage1.ab.weights.a=2")),
    ("other.yaml", AGREEMENT),
    ("pipeline.yaml", ()),
)


def test_twenty_edits_back_and_forth_compute_each_result_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(EDITS) == 20
    made = sum((Counter(run(recipe, capsys, *words)) for recipe, words in EDITS), Counter[str]())
    assert made.total() == len(list_results(Path("runs")))
    assert sum(run(recipe, capsys, *words) != {} for recipe, words in EDITS) == 0
    recipes = [
        read_recipe(Path(recipe), words[1:])
        for recipe, words in EDITS
        if len(words) in (0, 2) and "--stage" not in words
    ]
    for recipe in recipes:
        results = open_results(recipe, recipe.dataset.open().videos)
        assert [name for name in results.plan.tasks if results.find_missing(name)] == []


def test_clean_removes_only_what_nobody_needs(capsys: pytest.CaptureFixture[str]) -> None:
    for recipe, words in EDITS:
        run(recipe, capsys, *words)
    n_before = len(list_results(Path("runs")))
    listed = clean("pipeline.yaml", capsys)
    assert 0 < listed.total() < n_before
    assert clean("pipeline.yaml", capsys, "--remove") == listed
    assert len(list_results(Path("runs"))) == n_before - listed.total()
    # What this recipe names, and all that the other one made, with whatever `--set`, is still there.
    for recipe, words in EDITS:
        if recipe == "other.yaml" or not words:
            assert run(recipe, capsys, *words) == {}
    assert clean("pipeline.yaml", capsys) == {}
    # A run of one of them alone points at nothing of the other any more.
    assert clean("other.yaml", capsys, "--remove").keys() <= {"ab", "final"}
    assert run("pipeline.yaml", capsys) == run("other.yaml", capsys) == {}


def test_what_a_recipe_that_is_gone_made_is_nobody_s(capsys: pytest.CaptureFixture[str]) -> None:
    run("pipeline.yaml", capsys)
    run("other.yaml", capsys)
    assert clean("pipeline.yaml", capsys) == {}
    assert main(["clean", "pipeline.yaml"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("kept: 4 results, ")
    Path("other.yaml").unlink()
    assert clean("pipeline.yaml", capsys, "--remove") == {"ab": 2, "final": 2}
    assert [note.recipe for note in read_notes(Path("runs"))] == ["../pipeline.yaml"]


def test_notes_move_with_the_project(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run("other.yaml", capsys)
    here = Path.cwd()
    moved = here.rename(here.with_name("moved"))
    monkeypatch.chdir(moved)
    run("pipeline.yaml", capsys)
    assert clean("pipeline.yaml", capsys, "--remove") == {}
    assert run("other.yaml", capsys) == {}


def test_a_note_that_cannot_be_read_stops_the_cleaning(capsys: pytest.CaptureFixture[str]) -> None:
    run("other.yaml", capsys)
    run("pipeline.yaml", capsys)
    (note,) = Path("runs/made_by").glob("other-*.json")
    note.write_text("{")
    assert main(["clean", "pipeline.yaml", "--remove"]) == 2
    assert f"{note.name}: cannot be read" in capsys.readouterr().err
    assert run("other.yaml", capsys) == {}


def test_the_last_used_settings_can_be_spared(capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("3", "1 of 3", "2 of 3"):
        run("pipeline.yaml", capsys, "--set", f"stages.stage1.ab.threshold={value}")
    run("pipeline.yaml", capsys, "--set", "stages.stage1.ab.threshold=3")  # the last used one now
    kept = find_result(Path("runs"), "ab", "video0")
    assert clean("pipeline.yaml", capsys)["ab"] == clean("pipeline.yaml", capsys, "--keep", "0")["ab"] == 6
    assert clean("pipeline.yaml", capsys, "--keep", "1", "--remove")["ab"] == 4
    assert kept.is_file()
    assert clean("pipeline.yaml", capsys, "--keep", "1") == {}


def test_what_was_used_lately_can_be_spared(capsys: pytest.CaptureFixture[str]) -> None:
    run("pipeline.yaml", capsys, "--set", "stages.stage2.final.threshold=1")
    old = find_result(Path("runs"), "final", "video1")
    run("pipeline.yaml", capsys)
    os.utime(old, (time.time() - 3 * 86400,) * 2)
    assert clean("pipeline.yaml", capsys)["final"] == 2
    assert clean("pipeline.yaml", capsys, "--older-than", "4d") == {}
    assert clean("pipeline.yaml", capsys, "--older-than", "48h", "--remove") == {"final": 1}
    assert not old.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--keep", "-1"], "--keep -1: give 0 or more"),
        (["--older-than", "soon"], "--older-than soon: expected minutes, hours, days or weeks"),
    ],
)
def test_bad_bounds_are_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clean", "pipeline.yaml", *words, "--remove"]) == 2
    assert message in capsys.readouterr().err


def test_groups_for_review_are_those_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    run("pipeline.yaml", capsys, *AGREEMENT)
    first = Path("runs/groups.csv").read_text()
    run("pipeline.yaml", capsys, "--set", "groups={by: agreement, members: [a], threshold: 0.01}")
    assert Path("runs/groups.csv").read_text() != first
    assert run("pipeline.yaml", capsys, *AGREEMENT) == {}
    assert Path("runs/groups.csv").read_text() == first


def test_a_manifest_has_the_groups_of_what_is_submitted(capsys: pytest.CaptureFixture[str]) -> None:
    manifest = Path("runs/submission.provenance.json")
    run("pipeline.yaml", capsys, *AGREEMENT)
    assert main(["submit", "pipeline.yaml", *AGREEMENT]) == 0
    first = manifest.read_bytes()
    run("pipeline.yaml", capsys, "--set", "groups={by: agreement, members: [a], threshold: 0.01}")
    assert main(["submit", "pipeline.yaml", *AGREEMENT]) == 0
    assert manifest.read_bytes() == first


def test_forcing_a_node_forgets_other_settings_that_stand_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    run("other.yaml", capsys)
    run("pipeline.yaml", capsys)
    assert run("pipeline.yaml", capsys, "--force", "ab") == {"ab": 2, "final": 2}
    # The other recipe's `ab` is no concern of it; whether its `final` is, nothing tells.
    assert run("other.yaml", capsys) == {"final": 2}


def test_sizes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    run("other.yaml", capsys)
    run("pipeline.yaml", capsys)
    assert main(["plan", "pipeline.yaml", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    sizes = {path: path.stat().st_size for path in list_results(Path("runs"))}
    assert plan["stored"] == sum(sizes.values())
    own = sum(size for path, size in sizes.items() if path.parts[2] == "a")
    assert plan["nodes"][0]["bytes"] == own > 0
    assert main(["plan", "pipeline.yaml"]) == 0
    assert "rvos clean" in capsys.readouterr().out.splitlines()[-1]


def test_a_workspace_of_before_keeps_its_results(capsys: pytest.CaptureFixture[str]) -> None:
    run("pipeline.yaml", capsys, *AGREEMENT)
    words = ["pipeline.yaml", *AGREEMENT]
    assert main(["submit", *words, "--out", "now.zip"]) == 0
    assert main(["export", "final", "--workspace", "runs", "--out", "now"]) == 0
    move_back(Path("runs"))
    assert {path.name for path in Path("runs/nodes/final").iterdir()} == {"video0.masks", "video1.masks"}
    assert main(["submit", *words, "--out", "before.zip"]) == 0
    assert main(["export", "final", "--workspace", "runs", "--out", "before"]) == 0
    assert Path("before.zip").read_bytes() == Path("now.zip").read_bytes()
    for path in Path("now").rglob("*.png"):
        assert (Path("before") / path.relative_to("now")).read_bytes() == path.read_bytes()
    assert run("pipeline.yaml", capsys, *AGREEMENT) == {}
    assert run("pipeline.yaml", capsys) == {"ab": 2, "final": 2}
    assert run("pipeline.yaml", capsys, *AGREEMENT) == {}
    assert clean("pipeline.yaml", capsys, *AGREEMENT, "--remove") == {"ab": 2, "final": 2}
    assert run("pipeline.yaml", capsys, *AGREEMENT) == {}
    assert clean("pipeline.yaml", capsys, "--remove") == {"ab": 2, "final": 2}
    assert {path.name for path in Path("runs/nodes").iterdir()} == {"a", "b", "c"}


def test_a_workspace_that_an_earlier_version_wrote_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The archive is of the version before results of several settings were kept."""
    with zipfile.ZipFile(BEFORE) as archive:
        archive.extractall(tmp_path / "before")
    for path in (tmp_path / "before/members").rglob("*.png"):
        os.utime(path, (1_700_000_000,) * 2)  # imports go by the times of their files
    monkeypatch.chdir(tmp_path / "before")
    store = Store(Path("runs"))
    assert store.nodes() == ("a", "ab", "b", "c", "final")
    assert main(["export", "final", "--workspace", "runs", "--out", "final"]) == 0
    assert len(list(Path("final").rglob("*.png"))) == 9
    assert main(["report", "pipeline.yaml", "runs", *AGREEMENT, "--quiet", "--no-sweeps"]) == 0
    groups = Path("runs/groups.csv").read_text()
    recipe = read_recipe(Path("pipeline.yaml"), AGREEMENT[1:])
    results = open_results(recipe, recipe.dataset.open().videos)
    outdated = {
        name for name, task in results.tasks("video0").items() if store.header(name, "video0").versions != task.versions
    }
    assert run("pipeline.yaml", capsys, *AGREEMENT).keys() == outdated
    assert Path("runs/groups.csv").read_text() == groups
