"""Reading and resizing of frames, and mask sequences from logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from referring_helpers import write_video

from runners.passes.frames import mask_runs, read_clip, resized_size, to_mask_sequence
from rvos.errors import CheckpointError, InputError
from rvos.masks.mask_sequences import decode


@pytest.mark.parametrize(
    ("size", "long_side", "expected"),
    [
        ((720, 1280), None, (360, 640)),
        ((1280, 720), None, (640, 360)),
        ((100, 100), None, (360, 360)),
        ((333, 500), None, (360, 540)),
        ((480, 853), None, (360, 639)),
        ((100, 400), 640, (160, 640)),
    ],
)
def test_the_short_side_decides_the_size(
    size: tuple[int, int], long_side: int | None, expected: tuple[int, int]
) -> None:
    assert resized_size(size, 360, long_side) == expected


def test_frames_are_normalised(tmp_path: Path) -> None:
    video = write_video(tmp_path, n_frames=2, size=(32, 40))
    clip = read_clip(video, range(2), short_side=32)
    frame = video.read_frame(1)
    expected = (frame / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert clip.shape == (2, 3, 32, 40)
    assert np.allclose(clip[1].permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_a_frame_of_another_size_is_named(tmp_path: Path) -> None:
    video = write_video(tmp_path, size=(32, 40))
    Image.new("RGB", (10, 10)).save(video.image_paths[1])
    with pytest.raises(InputError, match="00001: frame is 10x10 but the first is 32x40"):
        read_clip(video, range(3), short_side=32)


def test_an_unreadable_frame_is_named(tmp_path: Path) -> None:
    video = write_video(tmp_path)
    video.image_paths[2].write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"00002\.png"):
        read_clip(video, range(3), short_side=32)


def test_a_frame_that_stays_too_narrow_is_refused(tmp_path: Path) -> None:
    video = write_video(tmp_path, size=(20, 64))
    with pytest.raises(InputError, match="raise short_side"):
        read_clip(video, range(1), short_side=20, smallest=29)


def test_masks_are_resized_before_the_threshold() -> None:
    logits = torch.tensor([[[-1.0, 3.0]]])
    (mask,) = decode(mask_runs(logits, (1, 8)), (1, 8))
    # Half-pixel centres: place x of 8 lies at (x + 0.5) / 4 - 0.5 of the two values, clamped at the ends.
    values = [-1 + 4 * min(max((x + 0.5) / 4 - 0.5, 0), 1) for x in range(8)]
    assert mask[0].tolist() == [value > 0 for value in values]


def test_a_logit_of_zero_is_background() -> None:
    (mask,) = decode(mask_runs(torch.zeros(1, 4, 4), (4, 4)), (4, 4))
    assert not mask.any()


def test_logits_that_are_not_finite_are_an_error(tmp_path: Path) -> None:
    video = write_video(tmp_path)
    with pytest.raises(CheckpointError, match="not finite"):
        to_mask_sequence(video, video.expressions[0], torch.full((3, 4, 4), torch.nan), torch.ones(3), size=(48, 64))
