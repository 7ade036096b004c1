"""Runs that are killed at random moments: what is resumed is the same to the byte, and nothing is left behind.

KILL, TERM, HUP and INT in turn, with one process, with two, and on a cluster; the recipe has imported masks, a model in
Python, one that is a program of its own, and fusions; `python -m benchmarks.kills COUNT SEED` tells each. So are runs
of several settings and recipes in one workspace, and cleanings of it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.cluster import start_cluster
from benchmarks.fuzzing.projects import MODELS, write_project
from benchmarks.harness import ROOT, Row, limit
from rvos.masks.stored.index import ResultIndex

COUNT = 50
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_PATIENCE = 600.0
_GRACE = 200.0
"""Seconds in which what a killed process has started must have ended."""
_WORKER = "distributed.cli.dask_worker"
_LOG = re.compile(r"^ws/logs/|/standard_error\.[^/]*$|__pycache__")
_RECIPE = """\
dataset: {{format: ref-youtube-vos, root: data, split: valid}}
workspace: ws
groups: {{by: object_id}}
models:
  first: {{import: png, path: masks/a}}
  plain: {{runner: "plain_model:build"}}
  apart: {{runner: command, command: [{python}, program.py]}}
stages:
  stage1:
    pair: {{fuse: [first, plain, apart], threshold: 2, groups: {{by: agreement, members: [first, plain]}}}}
  stage2:
    final: {{fuse: [pair, first], threshold: 2, singles: {{only: pair}}}}
submission: {{node: final}}
"""


def run(count: int = COUNT, seed: int = 1) -> Iterator[Row]:
    """Yield how many of so many kills left something behind, or other bytes."""
    broken = [kill for kill in try_kills(count, Random(seed)) if kill.faults]
    for kill in broken:
        print(kill, file=sys.stderr)
    yield limit(f"kills of {count} that left something behind, or other bytes", len(broken), 0.5, "kills")
    lost = kill_settings(count, Random(seed))
    print(*lost, sep="\n", end="", file=sys.stderr)
    yield limit(f"faults of {count} kills of several settings in one workspace", len(lost), 0.5, "faults")


@dataclass(frozen=True, slots=True)
class Kill:
    """A run that was killed.

    Args:
        way: how it computed.
        signal: what it got.
        seconds: when, after its start.
        n_results: how many results it had stored by then.
        faults: what was wrong then, and after it was resumed.
    """

    way: str
    signal: str
    seconds: float
    n_results: int
    faults: tuple[str, ...]


def try_kills(
    count: int, random: Random, ways: Sequence[str] = ("1 process", "2 processes", "cluster")
) -> Iterator[Kill]:
    """Kill runs and resume them, in each of the ways in turn."""
    for number in SIGNALS[1:]:  # what is started beside a shell ignores some, and so would the runs
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as name:
        yield from _try_kills(Path(name), count, random, ways)
        if not wait_until_alone(-1, Path(name)):
            faults = (f"programs outlive the cluster: {_list_living(-1, Path(name))}",)
            yield Kill("cluster", signal.SIGKILL.name, 0, 0, faults)


def _try_kills(folder: Path, count: int, random: Random, ways: Sequence[str]) -> Iterator[Kill]:
    with ExitStack() as stack:
        words = {"1 process": [], "2 processes": ["--jobs", "2"]}
        if "cluster" in ways:
            (folder / "cluster").mkdir()
            _, address = stack.enter_context(start_cluster(folder / "cluster", 2))
            words["cluster"] = ["--cluster", address]
        write_recipe(folder / "template")
        wanted = {way: _finish(folder, way, words[way]) for way in ways}
        for number in range(count):
            way = ways[number % len(ways)]
            # Each in a folder of its own: a cluster's workers may still be at work for the run before.
            project = _copy(folder, f"killed {number}")
            yield _kill(project, way, words[way], SIGNALS[number // len(ways) % len(SIGNALS)], wanted[way], random)


_SETTINGS = (
    ("my.yaml",),
    ("my.yaml", "--set", "stages.stage1.pair.threshold=1"),
    ("my.yaml", "--set", "stages.stage2.final.threshold=1"),
    ("my.yaml", "--set", "stages.stage1.pair.fuse=[first, third]"),
    ("other.yaml",),
)


def kill_settings(count: int, random: Random) -> list[str]:
    """Kill runs of several settings, and cleanings, in one workspace; return what was lost or changed."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_project(folder / "template")
        other = (folder / "template/my.yaml").read_text().replace("threshold: 0.5", "threshold: 3")
        (folder / "template/other.yaml").write_text(other)
        start = time.monotonic()
        wanted = [_submit(_copy(folder, f"alone {number}"), words) for number, words in enumerate(_SETTINGS)]
        longest = (time.monotonic() - start) / len(_SETTINGS)
        project, faults = _copy(folder, "killed"), list[str]()
        for number in range(count):
            lost = _kill_setting(project, SIGNALS[number % len(SIGNALS)], longest, random)
            faults += [f"kill {number}: {fault}" for fault in lost]
        for words, archive in zip(_SETTINGS, wanted, strict=True):
            if _submit(project, words) != archive:
                faults.append(f"{' '.join(words)}: the archive has other bytes")
        return faults + [f"left behind: {path}" for path in project.rglob("*.part")]


def _kill_setting(project: Path, number: signal.Signals, longest: float, random: Random) -> list[str]:
    """Start a run of one of the settings, or a cleaning, kill it, and return what it cost."""
    is_cleaning = random.random() < 0.2
    words = ("clean", "my.yaml", "--remove") if is_cleaning else ("run", *random.choice(_SETTINGS), "--quiet")
    before, kept = _read_results(project), _list_kept(project)
    process = start(project, *words)
    wait_for_result, until = random.random() < 0.5, time.monotonic() + random.uniform(0, longest)
    while process.poll() is None and time.monotonic() < until:
        if wait_for_result and _count_results(project) != len(before):
            break
        time.sleep(0.01)
    process.send_signal(number)
    faults = [] if _ends(process) else [f"{' '.join(words)} runs on"]
    after = _read_results(project)
    # A cleaning may take what the recipe made with other settings, and nothing else.
    lost = [path for path in before if path not in after and (not is_cleaning or path in kept)]
    changed = [path for path in before if after.get(path, before[path]) != before[path]]
    return faults + [f"{' '.join(words)}: {path} was lost or changed" for path in (*lost, *changed)]


def _list_kept(project: Path) -> set[Path]:
    """Return the results that the other recipe points at."""
    notes = [ResultIndex(path).read() for path in (project / "ws/made_by").glob("other-*.csv")]
    return {project / f"ws/nodes/{node}/{video}/{name}.masks" for note in notes for (node, video), name in note.items()}


def _submit(project: Path, words: Sequence[str]) -> bytes:
    """Run a setting to its end and return its archive."""
    for command in (["run", *words, "--quiet"], ["submit", *words]):
        _succeed(project, command)
    return _read_archive(project)


def _read_results(project: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (project / "ws/nodes").rglob("*.masks")}


def write_recipe(folder: Path) -> None:
    """Write a recipe with two models of its own."""
    write_project(folder)
    for name, text in zip(("plain_model.py", "program.py"), MODELS, strict=True):
        (folder / name).write_text(text)
    (folder / "my.yaml").write_text(_RECIPE.format(python=sys.executable))


@dataclass(frozen=True, slots=True)
class _Finished:
    """What an undisturbed run makes, and how long it takes."""

    archive: bytes
    files: frozenset[str]
    seconds: float


def _finish(folder: Path, way: str, words: Sequence[str]) -> _Finished:
    project = _copy(folder, f"finished {way}")
    start = time.monotonic()
    _complete(project, words)
    return _Finished(_read_archive(project), _list_files(project), time.monotonic() - start)


def _copy(folder: Path, name: str) -> Path:
    project = folder / name
    shutil.copytree(folder / "template", project)
    (project / "tmp").mkdir()
    return project


def _kill(
    project: Path, way: str, words: Sequence[str], number: signal.Signals, wanted: _Finished, random: Random
) -> Kill:
    """Start a run, kill it, resume it, and compare."""
    process = start(project, "run", "my.yaml", "--quiet", *words)
    begun = time.monotonic()
    # Half of them as soon as something is stored, or the start of Python is all that is ever killed.
    wait_for_result = random.random() < 0.5
    until = random.uniform(0, wanted.seconds)
    while process.poll() is None and time.monotonic() - begun < until:
        if wait_for_result and _count_results(project):
            time.sleep(random.uniform(0, 0.3))
            break
        time.sleep(0.02)
    seconds, n_results = time.monotonic() - begun, _count_results(project)
    process.send_signal(number)
    faults = [] if _ends(process) else [f"runs on after {number.name}"]
    if not wait_until_alone(process.pid, project):
        faults.append(f"processes of it live on: {_list_living(process.pid, project)}")
    shutil.rmtree(project / "tmp")  # what SIGKILL leaves in the system's own folder nobody can clear
    (project / "tmp").mkdir()
    try:
        _complete(project, words)
    except RuntimeError as error:
        return Kill(way, number.name, seconds, n_results, (*faults, str(error)))
    if _read_archive(project) != wanted.archive:
        faults.append("the archive has other bytes")
    if left := _list_files(project) - wanted.files:
        faults.append(f"left behind: {', '.join(sorted(left))}")
    return Kill(way, number.name, seconds, n_results, tuple(faults))


def start(project: Path, *words: str) -> subprocess.Popen[str]:
    """Start a command in a session of its own, whose processes are known by it."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "third_party/deaot_toolkit")]),
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(project / "tmp"),
    }
    command = [sys.executable, "-m", "rvos_fusion.commands.cli", *words]
    return subprocess.Popen(
        command, cwd=project, env=environment, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def _complete(project: Path, words: Sequence[str]) -> None:
    """Run the recipe to its end, and write the archive."""
    for command in (["run", "my.yaml", "--quiet", *words], ["submit", "my.yaml"]):
        _succeed(project, command)


def _succeed(project: Path, command: Sequence[str]) -> None:
    process = start(project, *command)
    shown, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"rvos {' '.join(command)}: status {process.returncode}: {shown}")


def _ends(process: subprocess.Popen[str]) -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=_PATIENCE)
    has_ended = process.poll() is not None
    if not has_ended:
        process.kill()
        process.wait()
    return has_ended


def wait_until_alone(session: int, project: Path) -> bool:
    """Wait until no process of a run is left; False where one stays."""
    end = time.monotonic() + _GRACE
    while _list_living(session, project) and time.monotonic() < end:
        time.sleep(0.1)
    return not _list_living(session, project)


def _list_living(session: int, project: Path) -> list[str]:
    """Return the command lines of the living processes of a session, and of programs in the project's folder.

    A worker of a cluster keeps its program for the next run, as it keeps a network: those do not count.
    """
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent, _, its, *_ = path.read_text().rpartition(")")[2].split()
            is_inside = path.with_name("cwd").readlink().is_relative_to(project.resolve())
            is_program = is_inside and int(path.parent.name) != os.getpid() and _WORKER not in _read_command(parent)
            if (int(its) == session or is_program) and state != "Z":
                found.append(_read_command(path.parent.name))
    return found


def _read_command(process: str) -> str:
    return Path("/proc", process, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def _count_results(project: Path) -> int:
    return len(list((project / "ws/nodes").rglob("*.masks")))


def _list_files(project: Path) -> frozenset[str]:
    """Return what lies in the project but logs, of which each process has its own, and what Python keeps."""
    files = (str(path.relative_to(project)) for path in project.rglob("*"))
    return frozenset(file for file in files if not _LOG.search(file))


def _read_archive(project: Path) -> bytes:
    return (project / "ws/submission.zip").read_bytes()


if __name__ == "__main__":
    counts = [int(word) for word in sys.argv[1:]]
    kept = True
    for one in try_kills(counts[0] if counts else COUNT, Random(counts[1] if counts[1:] else 1)):
        kept &= not one.faults
        print(one, flush=True)
    sys.exit(0 if kept else 1)
