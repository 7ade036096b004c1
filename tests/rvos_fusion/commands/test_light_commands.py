"""Commands that only look at results load no networks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from small_data import write_split

from rvos_fusion.commands.cli import main

PROGRAM = """
import sys
from rvos_fusion.commands.cli import main
status = main(sys.argv[1:])
heavy = {"torch", "transformers", "scipy", "matplotlib"}
print("loaded:", *sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
raise SystemExit(status)
"""
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished and submitted run; one of its nodes is a network, which did not run."""
    folder = tmp_path_factory.mktemp("light")
    write_split(folder)
    assert main(["run", str(folder / "pipeline.yaml"), "--quiet"]) == 0
    assert main(["submit", str(folder / "pipeline.yaml")]) == 0
    (folder / "soc.pth").touch()
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["submit", "pipeline.yaml"],
        ["check-submission", "runs/submission.zip"],
        ["doctor", "pipeline.yaml", "--set", "models.soc={runner: soc, checkpoint: soc.pth}"],
        ["plan", "pipeline.yaml", "--set", "models.soc={runner: soc, checkpoint: soc.pth}"],
        ["table", "pipeline.yaml", "ab", "final"],
        ["sweep", "pipeline.yaml", "ab"],
        ["report", "pipeline.yaml", "--quiet"],
        ["evaluate", "data", "runs/submission.zip", "--format", "ref-youtube-vos"],
        ["run", "pipeline.yaml", "--quiet"],
    ],
    ids=lambda words: " ".join(words[:1]),
)  # fmt: skip
def test_no_network_library_is_loaded(folder: Path, words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "loaded:"
