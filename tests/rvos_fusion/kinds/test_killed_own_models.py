"""Two models of the user's, one in another virtual environment: fused, killed in the middle, resumed, edited."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path

import numpy
import PIL
import pytest
from small_data import write_split
from stored_results import list_results

from rvos_fusion.commands.cli import main

DOCUMENT = Path(__file__).parents[3] / "docs" / "own_model.md"
RECIPE = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
groups: {by: object_id}
models:
  mine: {runner: "my_model:build", options: {level: 120}}
  theirs: {runner: command, command: [env/bin/python, their_model.py], options: {level: 120}}
stages:
  one:
    both: {fuse: [mine, theirs], threshold: 2}
submission: {node: both}
"""
NOTE = """\
{indent}with open({calls!r}, "a") as stream:
{indent}    print({name!r}, {video}, file=stream)
{indent}while {video} == "video1" and os.path.exists({hold!r}):
{indent}    time.sleep(0.01)
"""
PATIENCE = 600.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe outside of the project with both models of the document; they note their calls, and wait at `video1`."""
    write_split(tmp_path)
    (tmp_path / "pipeline.yaml").write_text(RECIPE)
    mine, theirs, *_ = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    places = {"calls": str(tmp_path / "calls.txt"), "hold": str(tmp_path / "hold")}
    first = NOTE.format(name="mine", video="video.id", indent=" " * 8, **places)
    second = NOTE.format(name="theirs", video="video", indent=" " * 4, **places)
    mine = mine.replace("        frames = np.stack(", f"{first}        frames = np.stack(")
    theirs = theirs.replace("    for expression in request", f"{second}    for expression in request")
    for name, text in (("my_model.py", mine), ("their_model.py", theirs)):
        (tmp_path / name).write_text(
            text.replace("import numpy as np\n", "import os\nimport time\n\nimport numpy as np\n")
        )
    make_environment(tmp_path / "env")
    return tmp_path


def make_environment(folder: Path) -> None:
    """Make a virtual environment that has the two libraries that the program needs, and nothing of this project."""
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    for package in (numpy, PIL):
        source = Path(str(package.__file__)).parent
        for found in (source, source.with_name(f"{source.name}.libs"), source.with_name("pillow.libs")):
            if found.is_dir() and not (site / found.name).exists():
                (site / found.name).symlink_to(found)


def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[int, int]]:
    """Run the recipe; return how many results of each node were made and found."""
    capsys.readouterr()
    assert main(["run", str(folder / "pipeline.yaml"), "--quiet", "--json", "--device", "cpu"]) == 0
    rows = json.loads(capsys.readouterr().out)["nodes"]
    return {row["node"]: (row["done"], row["reused"]) for row in rows}


def read_calls(folder: Path) -> list[str]:
    path = folder / "calls.txt"
    return path.read_text().splitlines() if path.exists() else []


def kill_in_the_middle(folder: Path) -> None:
    """Start a run and kill it while a model is at work on the second video."""
    (folder / "hold").touch()
    words = ["-m", "rvos_fusion.commands.cli", "run", str(folder / "pipeline.yaml"), "--quiet", "--device", "cpu"]
    started = subprocess.Popen([sys.executable, *words], cwd=folder)
    end = time.monotonic() + PATIENCE
    while not any(call.endswith("video1") for call in read_calls(folder)):
        assert started.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    os.kill(started.pid, signal.SIGKILL)
    assert started.wait() == -signal.SIGKILL
    (folder / "hold").unlink()


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL elsewhere")
def test_both_are_fused_killed_resumed_and_redone_after_an_edit(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kill_in_the_middle(folder)
    stored = {path: path.read_bytes() for path in list_results(folder / "runs")}
    nodes = [path.relative_to(folder / "runs" / "nodes").parts[0] for path in stored]
    made = {name: nodes.count(name) for name in ("mine", "theirs", "both")}
    assert 1 <= sum(made.values()) < 9

    counts = run(folder, capsys)
    assert counts == {name: (3 - made[name], made[name]) for name in made}
    assert {path: path.read_bytes() for path in stored} == stored
    for path in stored:
        node, video = path.parent.name, path.stem
        if node != "both":  # what was there was not asked for again
            assert read_calls(folder).count(f"{node} {video}") == 1
    assert run(folder, capsys) == dict.fromkeys(made, (0, 3))

    for edited, other in (("my_model", ("mine", "theirs")), ("their_model", ("theirs", "mine"))):
        path = folder / f"{edited}.py"
        path.write_text(path.read_text().replace("127", "126"))
        assert run(folder, capsys) == {other[0]: (3, 0), other[1]: (0, 3), "both": (3, 0)}
