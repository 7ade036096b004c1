"""How long tasks took, kept in the workspace: what cost estimates are made of."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rvos.errors import InputError
from rvos.files.atomic import append_text, read_whole
from rvos.masks.stored.index import name_result
from rvos.videos import Video
from rvos_fusion.kinds.base import Task
from rvos_fusion.planning.plan import Plan
from rvos_fusion.planning.results import Results
from rvos_fusion.planning.tasks import Outcome

_COUNT = re.compile("[0-9]{1,15}")
_SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
_LONGEST_LINE = 10_000
_COLUMNS = ("node", "video", "expression_frames", "seconds", "name")


class Stopwatch:
    """Appends a line for every task that was computed as soon as it is settled: a killed run keeps its times."""

    def begin(self, plan: Plan) -> None:
        """Count the work of every video."""
        self._path = plan.recipe.workspace / "timings.csv"
        self._plan, self._places = plan, plan.places

    def start(self, tasks: Sequence[Task]) -> None:
        """Ignore it: the worker measures."""

    def stop(self, tasks: Sequence[Task]) -> None:
        """Ignore it."""

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Write down what was computed; StoreError where the file cannot be written."""
        stream = io.StringIO()
        writer = csv.writer(stream)
        for outcome in outcomes:
            if outcome.status == "done":
                task = self._plan.tasks[outcome.node][self._places[outcome.video]]
                result = (count_work(task.video), f"{outcome.seconds:.4f}", name_result(task.fingerprint))
                writer.writerow([outcome.node, outcome.video, *result])
        if lines := stream.getvalue():
            append_text(self._path, lines)

    def close(self) -> None:
        """Nothing is left to write."""


def read_speeds(workspace: Path) -> Mapping[str, float]:
    """Return seconds per expression-frame of every node that ever ran in this workspace."""
    seconds: dict[str, float] = defaultdict(float)
    work: dict[str, int] = defaultdict(int)
    for node, _, count, taken, _ in _read_rows(workspace):
        work[node] += count
        seconds[node] += taken
    return {node: seconds[node] / count for node, count in work.items() if count}


def read_seconds(results: Results) -> Mapping[str, float]:
    """Return the seconds that every node's results took, each video counted once, by its last computation.

    Of other settings' results nothing counts, as far as a workspace tells: those of before do not.
    """
    last: dict[tuple[str, str, str], float] = {}
    for node, video, _, taken, name in _read_rows(results.plan.recipe.workspace):
        last[node, video, name] = taken
    seconds: dict[str, float] = defaultdict(float)
    for video in results.plan.places:
        for node, task in results.tasks(video).items():
            found = last.get((node, video, name_result(task.fingerprint)), last.get((node, video, "")))
            if found is not None:
                seconds[node] += found
    return seconds


def _read_rows(workspace: Path) -> Iterator[tuple[str, str, int, float, str]]:
    """Yield the lines that are whole; a run that was killed may have left half of one. Those of before have no name."""
    path = workspace / "timings.csv"
    if path.is_symlink():
        return
    try:
        lines = read_whole(path).decode("utf-8", "replace").splitlines()
    except InputError:
        return
    for line in lines:
        # Each for itself: half a line may hold a quote that would swallow all that follow.
        row = next(csv.reader([line]), []) if len(line) <= _LONGEST_LINE else []
        row += [""] * (len(row) == len(_COLUMNS) - 1)
        if len(row) == len(_COLUMNS) and _COUNT.fullmatch(row[2]) and _SECONDS.fullmatch(row[3]):
            yield row[0], row[1], int(row[2]), float(row[3]), row[4]


def count_work(video: Video) -> int:
    """Return the expression-frames of a video."""
    return video.n_frames * len(video.expressions)
