"""Windows over long videos."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from runners.passes.schedule import Join, plan_passes
from runners.passes.windows import describe_protocol, describe_setting, plan_windows
from runners.test_time import View
from rvos.errors import ConfigError


@given(st.integers(1, 80), st.integers(1, 20), st.data())
def test_every_frame_is_in_a_window_and_neighbours_share_the_overlap(
    n_frames: int, window: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, window - 1))
    windows = plan_windows(n_frames, window, overlap)
    assert sorted({frame for part in windows for frame in part}) == list(range(n_frames))
    assert all(len(part) <= window for part in windows)
    for before, after in pairwise(windows):
        assert len(set(before) & set(after)) == overlap
        assert after.stop > before.stop


def test_without_a_window_all_frames_are_one_clip() -> None:
    assert plan_windows(300, None) == (range(300),)
    assert describe_protocol(300, None) == "all 300 frames in one clip"


def test_the_protocol_says_how_frames_are_shared() -> None:
    assert describe_protocol(10, 4, 1) == "3 windows of at most 4 frames, neighbours share 1"
    assert describe_setting(4, 1) == "windows of at most 4 frames, neighbours share 1"
    assert describe_setting(None).startswith("official")


@pytest.mark.parametrize(("window", "overlap"), [(0, 0), (4, 4), (4, -1), (None, 2)])
def test_impossible_windows_are_refused(window: int | None, overlap: int) -> None:
    with pytest.raises(ConfigError, match="window"):
        plan_windows(10, window, overlap)


def test_shared_frames_are_averaged() -> None:
    joined = Join(3)
    for one, values in zip(plan_passes(3, (View(),), 2, 1), ([1.0, 2.0], [4.0, 6.0]), strict=True):
        joined.add(one, [(torch.tensor(values)[:, None, None], torch.tensor(values))])
    ((logits, scores),) = joined.finish()
    assert logits.flatten().tolist() == scores.tolist() == [1.0, 3.0, 6.0]
