"""Spoilt inputs break no command, and what would break one is noticed."""

from __future__ import annotations

import os
import socket
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from joblib.externals.loky.backend.synchronize import Lock

from benchmarks.fuzz import Fuzz
from benchmarks.fuzzing import trials
from benchmarks.fuzzing.containers import SPOILERS, spoil_by_name
from benchmarks.fuzzing.projects import write_imports
from benchmarks.fuzzing.samples import SAMPLES
from benchmarks.fuzzing.trials import attempt, prepare
from rvos_fusion.commands import doctor

SEED, COUNT = 29, 80


def wait_for_ever() -> None:
    while True:
        pass


FAULTS: dict[str, tuple[Callable[[], object], str]] = {
    "an error that no user can mend": (lambda: [][0], "IndexError at test_fuzz.py"),
    "a program": (lambda: subprocess.run(["true"], check=True), "starts a program: 'true'"),
    "a shell": (lambda: os.system("true"), "starts a program: b'true'"),
    "the network": (lambda: socket.create_connection(("127.0.0.1", 9)), "asks the network"),
    "a file elsewhere": (lambda: Path("../other").write_text(""), "writes outside of its folder"),
    "a folder elsewhere": (lambda: Path("../other").mkdir(), "writes outside of its folder"),
    "a file of the user's": (lambda: Path("my.yaml").write_text(""), "changes a file of the user's: '/my.yaml'"),
    "a file that is removed": (lambda: Path("my.yaml").unlink(), "changes a file of the user's: '/my.yaml'"),
    "a sentinel": (lambda: Path("was_run").touch(), "executes an input"),
    "a part of a file": (lambda: Path(".x.part").touch(), "leaves a part of a file: .x.part"),
    "a warning": (lambda: warnings.warn("x", stacklevel=1), "prints a warning of Python"),
    "an escape": (lambda: print("\x1b[31m"), "prints a control character"),
    "a line without end": (lambda: print("x" * 5000), "prints a line that nobody reads"),
    "memory": (lambda: np.ones(1 << 27), "MiB"),
    "a loop": (wait_for_ever, "hangs"),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "project/my.yaml").write_text("")
    return tmp_path / "project"


@pytest.mark.parametrize("name", FAULTS)
def test_a_trial_blames_a_command_for(project: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    act, fault = FAULTS[name]
    monkeypatch.setattr(doctor, "run", lambda options: int(act() is None))
    if act is wait_for_ever:
        monkeypatch.setattr(trials, "MOST_SECONDS", 0.5)
    assert fault in "\n".join(attempt(["doctor", "my.yaml"], project).faults)


def test_a_trial_blames_nobody_for_one_line(project: Path) -> None:
    outcome = attempt(["doctor", "my.yaml"], project)
    assert (outcome.status, outcome.faults) == (2, ())
    assert outcome.shown.count("\n") == 1


def test_a_trial_leaves_no_semaphore_of_its_command(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [Lock()]  # whoever clears the semaphores of this process lives as long as it, and serves its forks too

    def list_semaphores(process: int) -> list[Path]:
        return list(Path("/dev/shm").glob(f"sem.loky-{process}-*"))

    def hold(options: object) -> int:
        held.append(Lock())
        print(os.getpid())
        return len(list_semaphores(os.getpid()))

    monkeypatch.setattr(doctor, "run", hold)
    outcome = attempt(["doctor", "my.yaml"], project)
    assert outcome.status == 1
    assert list_semaphores(int(outcome.shown)) == []


@pytest.mark.parametrize("form", [*SPOILERS, "mat"])
def test_every_form_is_spoilt_and_the_same_way_again(tmp_path: Path, form: str) -> None:
    write_imports(tmp_path)
    contents = {
        "png": next(tmp_path.rglob("*.png")),
        "zip": tmp_path / "masks.zip",
        "pickle": tmp_path / "old.pth",
        "json": tmp_path / "runs.json",
        "yaml": tmp_path / "my.yaml",
    }
    content = contents.get(form, tmp_path / "dump.pth").read_bytes()
    spoilt = [spoil_by_name(f"x.{form}", content, Random(seed)) for seed in (*range(20), *range(20))]
    assert spoilt[:20] == spoilt[20:]
    assert sum(one != content for one in spoilt[:20]) > 10


def test_spoilt_inputs_break_no_command(tmp_path: Path) -> None:
    prepare()
    light = [name for name in SAMPLES if name not in ("checkpoint", "training", "override of a training", "clip")]
    found = list(Fuzz(SEED, tmp_path, light).run(0, COUNT))
    assert [one for one in found if one.outcome.faults] == []
    assert {one.outcome.status for one in found} >= {0, 2}
