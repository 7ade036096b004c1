"""Loaded by dask workers before they work: files in the workspace tell them what to die of, or to wait for.

`always` kills the worker of one task each time, `once` the first time, `hold` keeps another task waiting.
"""

from __future__ import annotations

import os
import signal
import time

from rvos_fusion.executors import dask
from rvos_fusion.executors.base import Pass
from rvos_fusion.planning.tasks import Outcome, run_together

ALWAYS, ONCE, HELD = ("a", "video1"), ("b", "video0"), ("final", "video2")


def run_as_told(tasks: Pass) -> list[Outcome]:
    """Compute a pass, unless the workspace says otherwise."""
    task, workspace = (tasks[0].node.name, tasks[0].video.id), tasks[0].workspace
    if task == ALWAYS and (workspace / "always").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if task == ONCE and (workspace / "once").exists():
        (workspace / "once").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    while task == HELD and (workspace / "hold").exists():
        time.sleep(0.02)
    return run_together(tasks)


dask.run_together = run_as_told
