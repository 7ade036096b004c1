"""Another package with the name of one of ours: named in one line, nothing of it executed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run_rvos(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [
        sys.executable,
        "-c",
        "import sys; from rvos_fusion.commands.cli import main; sys.exit(main(['synthesize', '--help']))",
    ]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["fusion.py", "runners.py", "rvos.py", "propagate/__init__.py"])
def test_a_hiding_package_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("raise SystemExit('executed')\n")
    result = run_rvos(tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"rvos: {path}: hides our package in ")
    assert result.stderr.count("\n") == 1


def test_other_modules_and_plain_folders_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "fusions.py").touch()
    (tmp_path / "runners").mkdir()
    assert run_rvos(tmp_path).returncode == 0
