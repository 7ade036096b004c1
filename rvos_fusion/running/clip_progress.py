"""What `rvos segment` shows while it works: one bar that counts the frames of one clip through all networks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from rvos.videos import Video
from rvos_fusion.executors.driver import Watcher
from rvos_fusion.kinds.base import Task
from rvos_fusion.planning.plan import Plan
from rvos_fusion.planning.tasks import Outcome

_FORM = "{percentage:3.0f}%|{bar:12}| {n_fmt}/{total_fmt} frames, {elapsed}{postfix}: {desc}"


@dataclass(frozen=True, slots=True)
class WatchedVideo(Video):
    """A video that tells `on_read` which of its files are read; nobody in other processes."""

    on_read: Callable[[Path], None] | None = field(default=None, compare=False)

    def read_frame(self, index: int) -> NDArray[np.uint8]:
        """Return frame `index` as `Video` does, and tell that it was read."""
        if self.on_read is not None:
            self.on_read(self.image_paths[index])
        return Video.read_frame(self, index)

    def __reduce__(self) -> tuple[type[Video], tuple[object, ...]]:
        """Travel as a plain video: who listens stays here."""
        return Video, (self.id, self.frames, self.expressions, self.image_paths, self.clip_frames, self.annotated)


class ClipProgress(Watcher):
    """A watcher of a run over one clip; a line for every node that is done, and a bar of frames.

    The bar's whole is the clip's frames times the nodes. A pass that reads frames moves it frame by frame, every other
    one when it ends. The time left is an estimate: nodes that have not begun count like those that have.

    Args:
        quiet: show nothing.
        clock: seconds.
    """

    def __init__(self, *, quiet: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._quiet = quiet
        self._clock = clock
        self._read: set[Path] = set()
        self._running: Sequence[Task] = ()
        self._done = 0
        self._reused = 0

    def watch(self, video: Video) -> WatchedVideo:
        """Return the video with this bar as its listener."""
        given = {item.name: getattr(video, item.name) for item in fields(Video)}
        return WatchedVideo(**given, on_read=self._see)

    def begin(self, plan: Plan) -> None:
        tasks = [task for own in plan.tasks.values() for task in own]
        self._n_frames = tasks[0].video.n_frames if tasks else 0
        self._what = {node.name: node.describe() for node in plan.nodes}
        self._started = self._clock()
        self._total = len(tasks) * self._n_frames
        hidden = True if self._quiet else None
        self._bar = tqdm(total=self._total, disable=hidden, leave=False, file=sys.stderr, bar_format=_FORM)

    def start(self, tasks: Sequence[Task]) -> None:
        self._running = tasks
        self._read = set()
        self._bar.set_description_str(" + ".join(task.node.name for task in tasks))

    def stop(self, tasks: Sequence[Task]) -> None:
        self._running = ()
        self._read = set()

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._done += self._n_frames
            self._reused += self._n_frames if outcome.status == "reused" else 0
            text = f"note: {outcome.message}" if outcome.message and outcome.status == "done" else None
            for line in filter(None, (text, f"{outcome.node}: {self._what[outcome.node]}; {outcome.status}")):
                if not self._quiet:
                    tqdm.write(line, file=sys.stderr)
        self._show(self._done)

    def close(self) -> None:
        self._bar.close()

    def count(self) -> int:
        """Return the frames that are done, those of the running pass included."""
        return self._done + len(self._read) * max(1, len(self._running))

    def estimate(self) -> float | None:
        """Return the seconds that are left; None before the first frame that had to be computed."""
        computed = self.count() - self._reused
        if not computed:
            return None
        return (self._clock() - self._started) / computed * (self._total - self.count())

    def _see(self, path: Path) -> None:
        self._read.add(path)
        self._show(self.count())

    def _show(self, count: int) -> None:
        left = self.estimate()
        if left is not None:
            self._bar.set_postfix_str(f"about {tqdm.format_interval(left)} left", refresh=False)
        self._bar.n = count
        self._bar.refresh()
