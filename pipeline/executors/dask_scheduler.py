"""Loaded by a scheduler before it begins, by `dask scheduler --preload pipeline.executors.dask_scheduler`.

For its dashboard dask keeps spans: an entry for every task that was ever submitted, as long as the scheduler runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class NoSpans:
    """Stands where dask's extension for spans stands, and keeps nothing."""

    def observe_tasks(self, tasks: Iterable[Any], code: object, span_metadata: object) -> Mapping[str, object]:
        """Return no annotations for tasks that were submitted."""
        return {}

    def heartbeat(self, worker: object, data: Mapping[Any, float]) -> None:
        """Ignore the times that a worker measured."""


def dask_setup(scheduler: Any) -> None:
    """Keep no spans."""
    scheduler.extensions["spans"] = NoSpans()
