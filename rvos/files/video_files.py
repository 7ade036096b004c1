"""Frames of video files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.atomic import open_regular
from rvos.files.images import check_area

_KEPT_CLIPS = 2
_ERRORS = (av.FFmpegError, OSError, ValueError)


def read_video(path: Path) -> Iterable[NDArray[np.uint8]]:
    """Yield the frames (H, W, 3) RGB of a video file, upright: as its display matrix says.

    Raises:
        InputError: the file is missing, no video, or its frames are too large.
    """
    open_regular(path).close()  # a pipe would be waited for, and a name with a scheme would be fetched
    try:
        with av.open(f"file:{path}") as container:
            if not container.streams.video:
                raise InputError(f"{path}: holds no video stream; give a video file or a folder of frames")
            context = container.streams.video[0].codec_context
            check_area((context.height or 0, context.width or 0), where=str(path))
            for frame in container.decode(video=0):
                yield turn_upright(frame.to_ndarray(format="rgb24"), _read_matrix(frame))
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        raise InputError(f"{path}: cannot be read as a video ({error}); give a video file or a folder") from None


def _read_matrix(frame: av.VideoFrame) -> NDArray[np.int32] | None:
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return np.frombuffer(bytes(data), np.int32)[:9].reshape(3, 3)
    return None


def turn_upright(frame: NDArray[np.uint8], matrix: NDArray[np.int32] | None) -> NDArray[np.uint8]:
    """Return a frame (H, W, 3) turned by quarters and mirrored as a display matrix says.

    Args:
        matrix: `(3, 3)`; a pixel at (x, y) is shown at (x, y, 1) times it. None: as it is.

    Source: ISO/IEC 14496-12, 6.2.2 (transformation matrices).
    """
    if matrix is None:
        return frame
    (to_right, to_bottom), (down_to_right, down_to_bottom) = matrix[:2, :2].tolist()
    if abs(to_right) >= abs(to_bottom):
        mirrored = (down_to_bottom < 0, to_right < 0)
    else:
        frame = frame.transpose(1, 0, 2)
        mirrored = (to_bottom < 0, down_to_right < 0)
    axes = tuple(axis for axis, is_mirrored in enumerate(mirrored) if is_mirrored)
    return np.ascontiguousarray(np.flip(frame, axes))


def count_clip_frames(path: Path) -> int:
    """Return the number of frames of a video file, as its header or its packets say; nothing is decoded.

    Raises:
        InputError: the file is missing or no video.
    """
    open_regular(path).close()
    try:
        with av.open(f"file:{path}") as container:
            if not container.streams.video:
                raise InputError(f"{path}: holds no video stream; fetch the clip again")
            stream = container.streams.video[0]
            return stream.frames or sum(1 for packet in container.demux(stream) if packet.size)
    except _ERRORS as error:
        raise InputError(f"{path}: cannot be read as a video ({error}); fetch the clip again") from None


def read_clip_frames(path: Path, numbers: Sequence[int]) -> tuple[NDArray[np.uint8], ...]:
    """Return some frames (H, W, 3) RGB of a video file; the last few answers are kept, as callers ask frame by frame.

    Args:
        numbers: of the frames, from 0, in any order, some perhaps more than once.

    Raises:
        InputError: the file is missing, no video, or has fewer frames.
    """
    try:
        changed = os.stat(path).st_mtime_ns
    except OSError:
        raise InputError(f"{path}: clip is missing; restore it") from None
    return _read_clip_frames(path, tuple(numbers), changed)


@lru_cache(maxsize=_KEPT_CLIPS)
def _read_clip_frames(path: Path, numbers: tuple[int, ...], changed: int) -> tuple[NDArray[np.uint8], ...]:
    wanted = set(numbers)
    found: dict[int, NDArray[np.uint8]] = {}
    n_frames = 0
    for number, frame in enumerate(read_video(path)):
        n_frames = number + 1
        if number in wanted:
            found[number] = frame
        if len(found) == len(wanted):
            return tuple(found[one] for one in numbers)
    raise InputError(f"{path}: holds {n_frames} frames, frame {max(wanted) + 1} is needed; fetch the clip again")
