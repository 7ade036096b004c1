"""Loaded by a scheduler before it begins, by `dask scheduler --preload rvos_fusion.executors.dask_scheduler`.

For its dashboard dask keeps spans: an entry for every task that was ever submitted, as long as the scheduler runs. In
every process it keeps the names of the last 100,000 tasks, which are 25 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dask.utils import key_split


class NoSpans:
    """Stands where dask's extension for spans stands, and keeps nothing."""

    def observe_tasks(self, tasks: Iterable[Any], code: object, span_metadata: object) -> Mapping[str, object]:
        """Return no annotations for tasks that were submitted."""
        forget_keys()
        return {}

    def heartbeat(self, worker: object, data: Mapping[Any, float]) -> None:
        """Ignore the times that a worker measured."""


def forget_keys() -> None:
    """Forget the names of the tasks before; no two have the same, so that none would be found again."""
    key_split.cache_clear()


def dask_setup(scheduler: Any) -> None:
    """Keep no spans."""
    scheduler.extensions["spans"] = NoSpans()
