"""Damage of every kind: one line and status 2, or the right result; nothing executed, nothing written elsewhere.

Each command runs in a process of its own that refuses programs, network, and writes outside of the workspace.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from damage_makers import Words, expressions
from damages import DAMAGES, RESULTS
from kept_damage import damage, list_kept, may_be_read

from benchmarks.fuzzing.projects import write_finished
from benchmarks.fuzzing.trials import attempt, prepare

KEPT = list_kept()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prepare()
    folder = tmp_path_factory.mktemp("finished")
    write_finished(folder)
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(finished, tmp_path / "project", symlinks=True)
    with chdir(tmp_path / "project"):
        yield tmp_path / "project"


def try_all(project: Path, commands: Words) -> list[int]:
    """Return the status of each command; none may be blamed for anything."""
    statuses = []
    for words in commands:
        # Where a recipe wants its workspace elsewhere, that is its right; here it gets an error.
        outcome = attempt(words, project, own=("ws", "/"))
        assert not outcome.faults, (words, outcome.shown)
        assert outcome.status != 2 or outcome.shown.strip()
        statuses.append(outcome.status)
    return statuses


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_refused(project: Path, name: str) -> None:
    commands = DAMAGES[name]()
    for words, status in zip(commands, try_all(project, commands), strict=True):
        # `check-submission` lists what is wrong; `plan` and `doctor` may look no further than the recipe.
        assert status in {"check-submission": (1, 2), "plan": (0, 2), "doctor": (0, 2)}.get(words[0], (2,)), words


@pytest.mark.parametrize("name", RESULTS)
def test_a_damaged_result_is_made_again(finished: Path, project: Path, name: str) -> None:
    assert set(try_all(project, RESULTS[name]())) == {0}
    assert (project / "ws/submission.zip").read_bytes() == (finished / "ws/submission.zip").read_bytes()


@pytest.mark.skipif(not KEPT, reason="the damaged inputs lie beside the checkout")
@pytest.mark.parametrize("case", KEPT.values(), ids=KEPT)
def test_kept_damage(finished: Path, project: Path, case: Path) -> None:
    status = try_all(project, damage(case))[0]
    if may_be_read(case) and status == 0:
        assert (project / "ws/submission.zip").read_bytes() == (finished / "ws/submission.zip").read_bytes()
    else:
        # An archive is listed with its problems, if its members can be read at all.
        assert status in ((1, 2) if case.name.startswith("zip") else (2,))


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "<!--<script>", "</script><img src=x onerror=alert(1)>"])
def test_a_page_holds_no_script_of_names_and_sentences(project: Path, text: str) -> None:
    run, *_ = expressions(lambda videos: videos["v1"]["expressions"]["0"].update(exp=text))()
    assert try_all(project, [run, ["report", "my.yaml", "--quiet", "--title", text]]) == [0, 0]
    for page in (project / "ws").rglob("report*/**/*"):
        assert not page.is_file() or text.encode() not in page.read_bytes()
    assert text not in (project / "ws/report.html").read_text()


def test_a_trial_blames_a_command_that_writes_elsewhere(project: Path) -> None:
    outcome = attempt(["run", "my.yaml", "--quiet", "--workspace", os.fspath(project.parent / "x")], project)
    assert outcome.status == 2
    assert any(fault.startswith("writes outside of its folder") for fault in outcome.faults)
