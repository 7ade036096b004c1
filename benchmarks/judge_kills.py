"""Runs with a judge that are killed at random moments: nothing is asked twice, and the result is the same to the byte.

KILL, TERM, HUP and INT in turn; every question takes a moment and is noted by the program that is asked.
`python -m benchmarks.judge_kills COUNT SEED` tells each.
"""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import deaot_toolkit
import torch

from benchmarks.fuzzing.projects import write_project
from benchmarks.harness import Row, limit
from benchmarks.kills import SIGNALS, start, wait_until_alone

COUNT = 50
_PATIENCE = 600.0
_RECIPE = """\
dataset: {{format: ref-youtube-vos, root: data, split: valid}}
workspace: ws
models:
  first: {{import: png, path: masks/a}}
engines:
  aot: {{network: small-aot, checkpoint: aot.safetensors, scales: [0.5]}}
judges:
  program: {{judge: command, command: [{python}, judge.py]}}
stages:
  stage1:
    masks: {{propose: [], add_members: [first], key_frames: 2}}
    tracklets: {{track: masks, engine: aot, add_members: [first], keep: 3}}
    chosen: {{judge: tracklets, by: [program], rounds: 3, frames: 2}}
submission: {{node: chosen}}
"""
_PROGRAM = """\
import hashlib, json, pathlib, sys, time
for line in sys.stdin:
    request = json.loads(pathlib.Path(line.strip()).read_text())
    content = pathlib.Path(request["sheet"]).read_bytes() + request["question"].encode()
    with open("asked.txt", "a") as asked:
        asked.write(hashlib.sha256(content).hexdigest() + "\\n")
    time.sleep(0.2)
    rows = [{"candidate": one["number"], "verdict": "uncertain", "reason": ""} for one in request["candidates"]]
    out = pathlib.Path(request["out"])
    out.with_suffix(".part").write_text(json.dumps({"verdicts": rows}))
    out.with_suffix(".part").rename(out)
    print(line, end="", flush=True)
"""


def run(count: int = COUNT, seed: int = 1) -> Iterator[Row]:
    """Yield how many of so many kills asked something twice, left something behind, or made other bytes."""
    broken = [kill for kill in try_kills(count, Random(seed)) if kill.faults]
    for kill in broken:
        print(kill, file=sys.stderr)
    yield limit(f"kills of {count} that asked twice, or made other bytes", len(broken), 0.5, "kills")


@dataclass(frozen=True, slots=True)
class Kill:
    """A run that was killed when so many of all questions were asked, and what was wrong after it was resumed."""

    signal: str
    asked: int
    questions: int
    faults: tuple[str, ...]


def try_kills(count: int, random: Random) -> Iterator[Kill]:
    """Kill runs of a judge and resume them; the candidates are there before."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = folder / "template"
        write_project(template)
        (template / "judge.py").write_text(_PROGRAM)
        (template / "my.yaml").write_text(_RECIPE.format(python=sys.executable))
        torch.manual_seed(1)
        deaot_toolkit.save(deaot_toolkit.build("small-aot"), template / "aot.safetensors")
        _finish(template, "tracklets")
        whole = _copy(template, folder / "whole")
        _finish(whole, "chosen")
        wanted, questions = _read_result(whole), len(_read_asked(whole))
        for number in range(count):
            project = _copy(template, folder / f"killed {number}")
            # At any question, and any moment of its 0.2 seconds.
            moment = random.randrange(questions), random.uniform(0, 0.3)
            yield _kill(project, SIGNALS[number % len(SIGNALS)], moment, wanted, questions)
            shutil.rmtree(project)


def _kill(
    project: Path, number: signal.Signals, moment: tuple[int, float], wanted: dict[str, str], questions: int
) -> Kill:
    process = _start(project, "chosen")
    while len(_read_asked(project)) <= moment[0] and process.poll() is None:
        time.sleep(0.02)
    time.sleep(moment[1])
    asked = len(_read_asked(project))
    process.send_signal(number)
    process.communicate(timeout=_PATIENCE)
    faults = [] if wait_until_alone(process.pid, project) else ["something lives on"]
    _finish(project, "chosen")
    twice = [one for one, times in Counter(_read_asked(project)).items() if times > 1]
    faults += [f"{len(twice)} questions were asked twice"] if twice else []
    faults += ["other bytes"] if _read_result(project) != wanted else []
    left = [
        str(path)
        for path in (project / "ws/commands").rglob("*")
        if path.is_file() and "standard_error" not in path.name
    ]
    faults += [f"left behind: {', '.join(left)}"] if left else []
    return Kill(number.name, asked, questions, tuple(faults))


def _copy(template: Path, project: Path) -> Path:
    shutil.copytree(template, project)
    return project


def _start(project: Path, node: str) -> subprocess.Popen[str]:
    (project / "tmp").mkdir(exist_ok=True)
    return start(project, "run", "my.yaml", "--quiet", "--device", "cpu", "--node", node)


def _finish(project: Path, node: str) -> None:
    process = _start(project, node)
    shown, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"rvos run --node {node}: status {process.returncode}: {shown}")


def _read_asked(project: Path) -> list[str]:
    path = project / "asked.txt"
    return path.read_text().split() if path.exists() else []


def _read_result(project: Path) -> dict[str, str]:
    """Return checksums of what the judges chose, and of their verdicts."""
    places = (*(project / "ws/nodes/chosen").rglob("*.masks"), *(project / "ws/verdicts").rglob("*.json"))
    return {str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest() for path in places}


if __name__ == "__main__":
    counts = [int(word) for word in sys.argv[1:]]
    kept = True
    for one in try_kills(counts[0] if counts else COUNT, Random(counts[1] if counts[1:] else 1)):
        kept &= not one.faults
        print(one, flush=True)
    sys.exit(0 if kept else 1)
