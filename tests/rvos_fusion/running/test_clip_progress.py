"""The bar of `rvos segment`: frames of one clip through all nodes, and an estimate of what is left."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from small_plans import make_plan

from rvos.videos import Expression, Video
from rvos_fusion.planning.tasks import Outcome
from rvos_fusion.running.clip_progress import ClipProgress


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def make_video(folder: Path, n_frames: int) -> Video:
    frames = tuple(f"{place:05d}" for place in range(n_frames))
    paths = tuple(folder / f"{name}.png" for name in frames)
    for path in paths:
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path)
    return Video("clip", frames, (Expression("0", "it"),), paths)


def test_frames_count_once_a_pass_and_nodes_fill_up_when_they_end(tmp_path: Path) -> None:
    clock = Clock()
    progress = ClipProgress(quiet=True, clock=clock)
    video = progress.watch(make_video(tmp_path, 4))
    plan = make_plan(tmp_path, {"clip": 4})  # six nodes: 24 frames
    progress.begin(plan)
    assert (progress.count(), progress.estimate()) == (0, None)
    progress.start(plan.tasks["m"])
    clock.now = 2.0
    for index in (0, 1, 1, 0):  # read again, as a way back does
        video.read_frame(index)
    assert (progress.count(), progress.estimate()) == (2, 22.0)
    progress.stop(plan.tasks["m"])
    progress.settle([Outcome("m", "clip", "done", 4.0)])
    clock.now = 4.0
    assert (progress.count(), progress.estimate()) == (4, 20.0)
    progress.close()


def test_two_nodes_of_one_pass_move_together(tmp_path: Path) -> None:
    progress = ClipProgress(quiet=True)
    video = progress.watch(make_video(tmp_path, 4))
    plan = make_plan(tmp_path, {"clip": 4})
    progress.begin(plan)
    progress.start([*plan.tasks["p"], *plan.tasks["q"]])
    video.read_frame(3)
    assert progress.count() == 2
    progress.close()


def test_what_was_reused_says_nothing_of_the_time_that_is_left(tmp_path: Path) -> None:
    clock = Clock()
    progress = ClipProgress(quiet=True, clock=clock)
    plan = make_plan(tmp_path, {"clip": 4})
    progress.begin(plan)
    progress.settle([Outcome("m", "clip", "reused"), Outcome("n", "clip", "reused")])
    assert (progress.count(), progress.estimate()) == (8, None)
    clock.now = 3.0
    progress.settle([Outcome("f", "clip", "done", 3.0)])
    assert (progress.count(), progress.estimate()) == (12, 9.0)
    progress.close()


def test_a_watched_video_travels_as_a_plain_one(tmp_path: Path) -> None:
    video = make_video(tmp_path, 2)
    copy = pickle.loads(pickle.dumps(ClipProgress(quiet=True).watch(video)))
    assert copy == video
    assert type(copy) is Video
