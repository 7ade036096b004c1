"""The scripts of both stages work from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from small_data import write_split

from rvos.masks.stored.store import Store

SCRIPTS = Path(__file__).parents[3] / "scripts"


def call(script: str, *words: str, folder: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run([str(SCRIPTS / script), *words, "--quiet"], cwd=folder, env=environment, check=True)


def test_both_stages_run_from_another_folder(tmp_path: Path) -> None:
    write_split(tmp_path, n_videos=1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    call("run_stage1.sh", str(tmp_path / "pipeline.yaml"), folder=elsewhere)
    assert Store(tmp_path / "runs").nodes() == ("a", "ab", "b", "c")
    call("run_stage2.sh", "../pipeline.yaml", folder=elsewhere)
    assert Store(tmp_path / "runs").videos("final") == ("video0",)
