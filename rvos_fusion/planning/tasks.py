"""Runs one task, or several of one video together, and stores what comes out."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rvos.errors import PipelineError, StoreError
from rvos.files.atomic import write_text
from rvos.ids import escape_path
from rvos.masks.stored.store import Store
from rvos.outside_code import contained, describe
from rvos.settings import count
from rvos_fusion.kinds.base import Task

Status = Literal["done", "reused", "failed", "blocked", "unwritable"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task.

    Args:
        seconds: of computation; 0 where a result was reused.
        n_bytes: size of the stored result.
        message: why it failed, or what else is worth saying.
        is_input_error: the reason is one that a user can mend.
    """

    node: str
    video: str
    status: Status
    seconds: float = 0.0
    n_bytes: int = 0
    message: str = ""
    is_input_error: bool = True


def run_task(task: Task) -> Outcome:
    """Compute and store a result unless it is there already; never raises for one video's sake."""
    # Looked for again although the plan knew it: another process may have made it in the meantime.
    stored, note = find_stored(task)
    if stored is not None:
        return stored
    start = time.perf_counter()
    try:
        result = compute([task])[0]
    except PipelineError as error:
        return Outcome(task.node.name, task.video.id, "failed", time.perf_counter() - start, message=str(error))
    except Exception as error:  # one video must not stop the others; its traceback is kept
        return _keep_traceback(task, error, time.perf_counter() - start)
    return _store(task, result, time.perf_counter() - start, note)


def run_together(tasks: Sequence[Task]) -> list[Outcome]:
    """Run tasks of one video whose nodes share what a worker loads; results that are there already are left out.

    The results are those of `run_task`. Each of them is charged an equal part of the time.
    """
    if len(tasks) == 1:
        return [run_task(tasks[0])]
    found = [find_stored(task) for task in tasks]
    missing = [task for task, (stored, _) in zip(tasks, found, strict=True) if stored is None]
    if len(missing) < 2:
        return [run_task(task) for task in tasks]
    start = time.perf_counter()
    try:
        together = iter(compute(missing))
    except Exception:  # which of them is to blame, or that a device is too small for all, shows one by one
        return [run_task(task) for task in tasks]
    # One pass of the network served all: who used how much of it cannot be told.
    seconds = (time.perf_counter() - start) / len(missing)
    return [
        stored or _store(task, next(together), seconds, note) for task, (stored, note) in zip(tasks, found, strict=True)
    ]


def compute(tasks: Sequence[Task]) -> Sequence[Any]:
    """Return the artefact of every task; they are of one video, with nodes of equal worker keys.

    Raises a ValueError where the kind breaks its promise of one result for each task.
    """
    with contained():
        results = tasks[0].node.compute(tasks)
    if len(results) != len(tasks):
        raise ValueError(f"{tasks[0].node.kind} made {count(len(results), 'result')} for {count(len(tasks), 'task')}")
    return results


def find_stored(task: Task) -> tuple[Outcome | None, str]:
    """Return the outcome where the result is there already, else None and what was wrong with the stored file."""
    store = Store(task.workspace)
    name, video = task.node.name, task.video.id
    path = store.path(name, video, task.fingerprint)
    if not path.exists():
        return None, ""
    # Whole, of this form and of these settings; anything else counts as missing.
    if store.has(name, video, task.fingerprint):
        return Outcome(name, video, "reused", n_bytes=path.stat().st_size), ""
    try:
        store.header(name, video, task.fingerprint)
    except StoreError as error:
        return None, str(error)
    return None, f"{path}: damaged; it was made again"


def _store(task: Task, result: Any, seconds: float, note: str) -> Outcome:
    """Write a result and return the task's outcome."""
    store, name, video = Store(task.workspace), task.node.name, task.video.id
    try:
        # Before it is stored: half a result under a valid fingerprint would never be made again.
        task.node.artefact.check(task.video, result)
        codec = task.node.artefact.codec
        path = store.write_artefact(name, video, result, task.fingerprint, codec=codec, versions=task.versions)
    except StoreError as error:
        # A full disk is no fault of the video: the run ends, as the next one would fail the same way.
        return Outcome(name, video, "unwritable", message=str(error))
    except PipelineError as error:
        return Outcome(name, video, "failed", seconds, message=str(error))
    except Exception as error:  # the value is not what its codec stores: a fault of the kind, for this video
        return _keep_traceback(task, error, seconds)
    return Outcome(name, video, "done", seconds, path.stat().st_size, note)


def _keep_traceback(task: Task, error: Exception, seconds: float) -> Outcome:
    """Return the failure in one line and leave its traceback in the workspace."""
    path = task.workspace / "failures" / task.node.name / f"{escape_path(task.video.id)}.txt"
    reason = f"{task.video.id}: {describe(error)}"
    try:
        write_text(path, traceback.format_exc())
        reason += f"; details in {path}"
    except StoreError:
        reason += "; its details could not be written"
    return Outcome(task.node.name, task.video.id, "failed", seconds, message=reason, is_input_error=False)
