"""Overlays show the masks, and the video can be read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rvos.errors import InputError
from rvos.files.video_files import read_video
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video
from rvos_fusion.clips.overlays import COLOURS, draw_captions, draw_masks, draw_video, name_colour, write_video


def test_outside_of_the_masks_nothing_changes() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    mask = np.zeros((20, 30), dtype=bool)
    mask[5:12, 8:20] = True
    drawn = draw_masks(frame, [mask])
    assert np.array_equal(drawn[~mask], frame[~mask])
    assert tuple(drawn[5, 8]) == COLOURS[name_colour(0)]
    assert not np.array_equal(drawn[8, 12], frame[8, 12])


def test_an_empty_mask_leaves_the_frame() -> None:
    frame = np.full((7, 9, 3), 100, dtype=np.uint8)
    assert np.array_equal(draw_masks(frame, [np.zeros((7, 9), dtype=bool)]), frame)


def test_each_sentence_stands_on_the_frame_in_the_colour_of_its_mask() -> None:
    frame = np.full((480, 640, 3), 128, dtype=np.uint8)
    drawn = draw_captions(frame, ["the ball", "the box"])
    rows = [np.argwhere((drawn == COLOURS[name_colour(place)]).all(axis=2))[:, 0] for place in range(2)]
    assert min(len(letters) for letters in rows) > 20
    assert rows[0].max() < rows[1].min()
    assert np.array_equal(draw_captions(frame, []), frame)


@pytest.mark.parametrize("size", [(32, 48), (33, 47)], ids=["even", "odd"])
def test_written_video_has_the_frames(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = [np.full((*size, 3), value, dtype=np.uint8) for value in (30, 120, 220)]
    path = tmp_path / "overlay.mp4"
    write_video(path, frames, frames_per_second=6)
    found = list(read_video(path))
    assert [round(float(frame.mean()), -1) for frame in found] == [30, 120, 220]
    assert found[0].shape[:2] == (size[0] - size[0] % 2, size[1] - size[1] % 2)
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_source_leaves_no_half_video(tmp_path: Path) -> None:
    def frames() -> object:
        yield np.zeros((16, 16, 3), dtype=np.uint8)
        raise InputError("frame 1: missing; restore it")

    with pytest.raises(InputError, match="frame 1"):
        write_video(tmp_path / "overlay.mp4", frames(), frames_per_second=6)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_masks_of_another_size_are_named(tmp_path: Path) -> None:
    path = tmp_path / "0.png"
    Image.new("RGB", (16, 8)).save(path)
    video = Video("clip", ("0",), (), (path,))
    scores = np.ones(1, dtype=np.float32)
    other = MaskSequence.from_masks(
        np.zeros((1, 8, 8), dtype=bool), video="clip", expression="0", frames=("0",), scores=scores
    )
    with pytest.raises(InputError, match=r"frame is \(8, 16\).*clip/0.*\(8, 8\)"):
        list(draw_video(video, [other]))


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("not a video")
    with pytest.raises(InputError, match=r"text\.mp4"):
        list(read_video(path))
    with pytest.raises(InputError, match=r"absent\.mp4"):
        list(read_video(tmp_path / "absent.mp4"))
