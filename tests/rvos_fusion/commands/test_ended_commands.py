"""Commands that are asked to end: one line, the status that shells expect, and nothing that they started lives on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import deadly
import pytest
from small_data import write_split
from small_videos import TRAINING, write_small_videos

_SECONDS = 600.0  # on a busy machine a training takes minutes to its first step; only what hangs waits so long
PROGRAM = """\
import os, subprocess, sys
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
for number in (os.getpid(), child.pid):
    (Path(__file__).parent / f"{number}.pid").touch()
child.wait()
"""
RECIPE = f"""\
dataset: {{format: ref-youtube-vos, root: data, split: valid}}
workspace: runs
groups: {{by: none}}
models:
  m: {{runner: command, command: [{sys.executable}, program.py]}}
  n: {{runner: command, command: [{sys.executable}, program.py], options: {{other: 1}}}}
stages:
  stage1:
    final: {{fuse: [m, n], threshold: 1}}
submission: {{node: final}}
"""
LONG = TRAINING.replace("steps: 1,", "steps: 1000000,").replace("save_every: 0", "save_every: 1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_split(tmp_path, n_videos=2)
    (tmp_path / "pipeline.yaml").write_text(RECIPE)
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def end(folder: Path, words: str, number: int, *, begun: str, count: int) -> tuple[int, list[str]]:
    """Send a signal to a command once so many files of a pattern are there; return status and lines of its errors."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        # Said aloud what Python finds of ours when it ends, which a run otherwise asks it not to tell.
        "PYTHONWARNINGS": "always:resource_tracker:UserWarning",
    }
    command = [sys.executable, "-m", "rvos_fusion.commands.cli", *words.split()]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    waits_until = time.monotonic() + _SECONDS
    try:
        while len(list(folder.glob(begun))) < count and time.monotonic() < waits_until and process.poll() is None:
            time.sleep(0.05)
        assert len(list(folder.glob(begun))) >= count
        process.send_signal(number)
        # The pipe closes when all that holds it has ended.
        errors = process.communicate(timeout=_SECONDS)[1]
    finally:
        process.kill()
    return process.returncode, errors.splitlines()


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("run pipeline.yaml --quiet", 2),
        ("run pipeline.yaml --quiet --jobs 2", 4),
        ("segment data/valid/JPEGImages/video0 words --recipe pipeline.yaml --quiet", 2),
        ("demo --out . --jobs 2", 4),
    ],
)
def test_a_command_ends_with_all_that_it_started(folder: Path, words: str, count: int, name: str, status: int) -> None:
    ended, errors = end(folder, words, getattr(signal, name), begun="*.pid", count=count)
    assert ended == status
    assert errors[-1] == f"rvos {words.split()[0]}: ended by {name}; run it again to go on"
    assert not [line for line in errors if "leaked" in line or "Traceback" in line]
    assert not any(deadly.lives(int(path.stem)) for path in folder.glob("*.pid"))


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_a_training_that_was_ended_says_how_it_goes_on(tmp_path: Path, name: str, status: int) -> None:
    write_small_videos(tmp_path / "videos")
    (tmp_path / "training.yaml").write_text(LONG)
    ended, errors = end(
        tmp_path, "train training.yaml --out out --quiet", getattr(signal, name), begun="out/last*", count=1
    )
    word = "interrupted" if name == "SIGINT" else f"ended by {name}"
    assert (ended, errors) == (status, [f"rvos train: {word}; run it again with --resume to go on"])
