"""What worker processes run in place of a pass: one that dies for one video, and one that never ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from rvos_fusion.executors.base import Pass
from rvos_fusion.executors.driver import run_plan
from rvos_fusion.executors.processes import Processes
from rvos_fusion.planning.tasks import Outcome, run_together
from rvos_fusion.running.progress import Progress

DEADLY = ("a", "video1")


def die_for_one(tasks: Pass) -> list[Outcome]:
    """Kill this process for one task, compute all others."""
    if (tasks[0].node.name, tasks[0].video.id) == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    return run_together(tasks)


def die(tasks: Pass) -> list[Outcome]:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def die_at_once() -> None:
    """Kill this process before it takes its first pass."""
    os.kill(os.getpid(), signal.SIGKILL)


def stay(tasks: Pass) -> list[Outcome]:
    """Leave a file named after this process, and never end."""
    (tasks[0].workspace / f"{os.getpid()}.pid").touch()
    threading.Event().wait()
    return []


def lives(process: int) -> bool:
    """Tell whether a process still runs; one that only waits for its status to be read does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def main(folder: Path) -> None:
    """Run passes that never end in two processes."""
    from small_plans import make_plan

    run_plan(make_plan(folder, {"v": 1, "w": 1}), executor=Processes(2, run=stay), watchers=(Progress(quiet=True),))


if __name__ == "__main__":
    import deadly  # workers know no main module: what they run must have another name

    deadly.main(Path(sys.argv[1]))
