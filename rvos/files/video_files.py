"""Frames of video files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import av
import av.container
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from numpy.typing import NDArray

from rvos.errors import InputError, explain
from rvos.files.atomic import open_regular
from rvos.files.images import check_area

_KEPT_CLIPS = 2
_ONE = 1 << 16
"""Of the fixed-point numbers of a display matrix."""
_STILL = ("mjpeg", "png", "bmp", "webp")
_ERRORS = (av.FFmpegError, OSError, ValueError)


def read_video(path: Path) -> Iterable[NDArray[np.uint8]]:
    """Yield a video file's frames (H, W, 3) RGB, upright as its matrix says. Raises InputError: none, or too large."""
    open_regular(path).close()  # a pipe would be waited for, and a name with a scheme would be fetched
    try:
        with av.open(f"file:{path}") as container:
            stream = find_pictures(container, path)
            check_area((stream.codec_context.height or 0, stream.codec_context.width or 0), where=str(path))
            for frame in container.decode(stream):
                yield turn_upright(frame.to_ndarray(format="rgb24"), read_matrix(frame))
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        raise InputError(
            f"{path}: cannot be read as a video ({explain(error)}); give a video file or a folder"
        ) from None


def find_pictures(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """Return the first video stream of an opened file that is no cover picture. Raises InputError: there is none.

    Phones write thumbnails as streams without a flag: one of several that has a single frame, or holds still images, is
    none that is meant.
    """
    streams = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    readable = [one for one in streams if one.codec_context is not None]
    if readable:
        return min(readable, key=lambda one: (one.frames == 1, one.codec_context.name in _STILL))
    if streams:
        raise InputError(f"{path}: holds a video stream that no decoder here knows; convert it to H.264")
    what = "no video stream but a cover picture" if container.streams.video else "no video stream"
    raise InputError(f"{path}: holds {what}; give a video file or a folder of frames")


def read_matrix(frame: av.VideoFrame) -> NDArray[np.int32] | None:
    """Return the display matrix `(3, 3)` beside a frame; None without one."""
    try:
        data = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    except ValueError:
        # Data of a kind without a name, such as EXIF, lies beside the picture, and hides what else lies there.
        angle = np.deg2rad(-frame.rotation)
        turn = [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        return np.rint(np.array(turn) * _ONE).astype(np.int32) if frame.rotation else None
    return None if data is None else np.frombuffer(bytes(data), np.int32)[:9].reshape(3, 3)


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
    """Return the frames of a video file by its header or packets, none decoded. Raises InputError: no video."""
    open_regular(path).close()
    try:
        with av.open(f"file:{path}") as container:
            stream = find_pictures(container, path)
            return stream.frames or sum(1 for packet in container.demux(stream) if packet.size)
    except _ERRORS as error:
        raise InputError(f"{path}: cannot be read as a video ({explain(error)}); fetch the clip again") from None


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
    raise InputError(f"{path}: frame {max(wanted) + 1} is needed, of {n_frames}; fetch the clip again")
