"""What every import shares: its interface, and the checks of masks against the data set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.images import check_area
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video


class Source(Protocol):
    """Masks that another system made, read one video at a time."""

    def read(self, video: Video) -> tuple[MaskSequence, ...]:
        """Return the masks of all expressions of a video, in its order.

        Raises:
            InputError: a mask is missing, damaged, or does not fit the frames of the video.
        """

    def list_videos(self) -> tuple[str, ...]:
        """Return the ids of the videos that the source has."""

    def list_expressions(self, video_id: str) -> tuple[str, ...]:
        """Return the ids of the expressions that the source has of a video."""

    def list_lacking(self, video: Video) -> Sequence[str]:
        """Return the masks of a video's expressions that are missing by their names; none where there are no names."""

    def list_strays(self, video: Video) -> tuple[str, ...]:
        """Return what lies among the masks of a video and is none of them."""


def find_misfits(source: Source, videos: Sequence[Video]) -> list[str]:
    """Return what does not fit a data set by its ids, one line each; the masks themselves are not read."""
    present = source.list_videos()
    known = {video.id: video for video in videos}
    problems = [f"{name}: not in the data set" for name in present if name not in known]
    for video in videos:
        if video.id not in present:
            problems.append(f"{video.id}: missing, {len(video.expressions)} expressions")
            continue
        expected = [expression.id for expression in video.expressions]
        found = source.list_expressions(video.id)
        problems += [f"{video.id}/{name}: missing" for name in expected if name not in found]
        problems += [f"{video.id}/{name}: not in the data set" for name in found if name not in expected]
        problems += [f"{video.id}: {stray}" for stray in source.list_strays(video)]
    return problems


def find_frame_size(video: Video) -> tuple[int, int] | None:
    """Return (H, W) of the first frame, or None where the data set comes without images.

    Raises:
        InputError: the image is damaged.
    """
    return video.read_size() if video.image_paths and os.path.lexists(video.image_paths[0]) else None


def check_mask_size(found: tuple[int, int], expected: tuple[int, int] | None, *, where: str) -> tuple[int, int]:
    """Return the size of masks, if it is that of the frames.

    Raises:
        InputError: they differ, a side is 0, or they are too large to be held.
    """
    if min(found) < 1 or (expected is not None and found != expected):
        wanted = "at least 1 x 1" if expected is None else f"{expected[0]} x {expected[1]}"
        raise InputError(
            f"{where}: masks of {found[0]} x {found[1]} pixels (H x W), expected {wanted}; "
            "write them at the original frame size"
        )
    check_area(found, where=where)
    return found


def score_presence(runs_are_empty: Sequence[bool]) -> NDArray[np.float32]:
    """Return what stands for the scores of masks without any: 1 where there is a mask, 0 where it is empty."""
    return np.array([0 if empty else 1 for empty in runs_are_empty], np.float32)
