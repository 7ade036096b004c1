"""What a node says of a video beside its result, for people: `nodes/NODE/VIDEO/NAME.json` of the workspace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from rvos.errors import InputError
from rvos.files.atomic import write_atomically
from rvos.files.json_files import expect_object, read_json
from rvos.ids import escape_path
from rvos.masks.stored.index import name_result
from rvos.masks.stored.store import Store
from rvos_fusion.kinds.base import Task


@runtime_checkable
class Counting(Protocol):
    """A node whose reports of all videos are worth a line of the log."""

    def count_reports(self, contents: Sequence[Any]) -> str:
        """Return that line, of what was written of the videos."""


def write_report(task: Task, content: object) -> None:
    """Write what a node says of a video beside its result, if that is kept; StoreError where it cannot be written."""
    if not task.is_stored:
        return
    text = json.dumps({"fingerprint": task.fingerprint, "video": task.video.id, "content": content}, indent=1)
    write_atomically(place_beside(task, ".json"), text.encode())


def read_report(task: Task) -> object:
    """Return what a node said of a video beside the result of a task; None where that is not there any more."""
    # Workspaces of before have one for all settings.
    before = task.workspace / task.node.keyword / task.node.name / f"{escape_path(task.video.id)}.json"
    for path in (place_beside(task, ".json"), before):
        try:
            found = expect_object(read_json(path), where=str(path)) if path.is_file() else {}
        except InputError:
            continue
        if found.get("fingerprint") == task.fingerprint:
            return found.get("content")
    return None


def place_beside(task: Task, suffix: str) -> Path:
    """Return a file beside the result of a task."""
    folder = Store(task.workspace).folder(task.node.name, task.video.id)
    return folder / f"{name_result(task.fingerprint)}{suffix}"
