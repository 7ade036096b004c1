"""Shots: where a video is cut, and sequences that are taken apart and joined there."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from propagate.shots import join_shots, list_shots, take_shot
from rvos.masks.mask_sequences import MaskSequence, SoftMaps
from rvos.videos import Video
from rvos_fusion.synthetic.synthesis import make_video

SIZE = (8, 12)


def write_frames(folder: Path, frames: NDArray[np.uint8]) -> Video:
    names = tuple(f"{index:05d}" for index in range(len(frames)))
    paths = tuple(folder / f"{name}.png" for name in names)
    for path, frame in zip(paths, frames, strict=True):
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, "PNG")
        path.write_bytes(stream.getvalue())
    return Video("v", names, (), paths)


def test_the_second_shot_of_a_synthetic_video_is_where_its_scene_says(tmp_path: Path) -> None:
    for index in range(4):
        synthetic = make_video(5, index, has_cut=True)
        folder = tmp_path / str(index)
        folder.mkdir()
        shots = list_shots(write_frames(folder, synthetic.frames))
        assert [shot.start for shot in shots] == [0, synthetic.scene.cut]
        assert shots[-1].stop == len(synthetic.frames)


def test_a_camera_that_moves_and_light_that_changes_are_no_cuts(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    wall = np.repeat(np.repeat(random.integers(60, 190, (12, 20, 3)), 16, 0), 16, 1).astype(np.uint8)
    moving = np.stack([wall[:, 8 * step : 8 * step + 200] for step in range(8)])
    light = np.stack([np.clip(wall[:, :200].astype(int) + 3 * step, 0, 255) for step in range(8)]).astype(np.uint8)
    for name, frames in (("moving", moving), ("light", light)):
        (tmp_path / name).mkdir()
        assert list_shots(write_frames(tmp_path / name, frames)) == [range(8)]


def test_a_video_of_one_frame_is_one_shot(tmp_path: Path) -> None:
    assert list_shots(write_frames(tmp_path, np.zeros((1, 16, 16, 3), np.uint8))) == [range(1)]


@given(
    n_frames=st.integers(1, 9),
    cuts=st.sets(st.integers(1, 8)),
    key=st.none() | st.integers(0, 8),
    soft=st.booleans(),
    seed=st.integers(0, 99),
)
def test_what_is_taken_apart_and_joined_is_the_same(
    n_frames: int, cuts: set[int], key: int | None, soft: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    bounds = [0, *sorted(cut for cut in cuts if cut < n_frames), n_frames]
    shots = [range(first, end) for first, end in pairwise(bounds)]
    maps = SoftMaps(random.integers(0, 256, (n_frames, 2, 3), dtype=np.uint8), 0.0, 1.0, "probability")
    whole = MaskSequence.from_masks(
        random.random((n_frames, *SIZE)) > 0.5,
        video="v",
        expression="0",
        frames=tuple(map(str, range(n_frames))),
        scores=random.random(n_frames).astype(np.float32),
        key_frame=None if key is None or key >= n_frames else key,
        soft=maps if soft else None,
    )
    parts = [take_shot(whole, shot) for shot in shots]
    for shot, part in zip(shots, parts, strict=True):
        inside = whole.key_frame is not None and whole.key_frame in shot
        assert part.key_frame == (whole.key_frame - shot.start if inside and whole.key_frame is not None else None)
    joined = join_shots(whole, shots, parts, keep_soft=soft)
    assert (joined.runs, joined.frames) == (whole.runs, whole.frames)
    assert joined.propagation is None
    if joined.soft is None or whole.soft is None:
        assert joined.soft is whole.soft
    else:
        assert np.array_equal(joined.soft.values, whole.soft.values)
    # Every shot has a key frame; the best-scored of them is that of the whole.
    keys = [shot.start + part.pick_key_frame() for shot, part in zip(shots, parts, strict=True)]
    assert joined.key_frame in keys
    assert whole.scores[joined.key_frame] == max(whole.scores[frame] for frame in keys)


def test_a_shot_in_which_nothing_was_carried_keeps_its_masks_as_soft_maps() -> None:
    masks = np.zeros((2, *SIZE), np.bool_)
    masks[1, :4, :4] = True
    whole = MaskSequence.from_masks(masks, video="v", expression="0", frames=("0", "1"), scores=np.ones(2, np.float32))
    joined = join_shots(
        whole, [range(1), range(1, 2)], [take_shot(whole, range(1)), take_shot(whole, range(1, 2))], True
    )
    assert joined.soft is not None
    assert joined.soft.probabilities(1, (2, 3))[0, 0] == 1
    assert joined.soft.probabilities(0, (2, 3)).max() == 0
