"""Masks drawn over frames: pictures, and a video that browsers play."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files import open_regular, replacing
from rvos.images import check_area
from rvos.mask_sequences import MaskSequence
from rvos.videos import Video

COLOURS = ((230, 85, 13), (49, 130, 189), (49, 163, 84), (117, 107, 177), (214, 161, 0), (197, 27, 138))
_TINT = 0.45
_CODEC_OPTIONS = {"crf": "20", "preset": "medium"}


def draw_masks(frame: NDArray[np.uint8], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Return the frame (H, W, 3) with each mask (H, W) tinted and outlined in a colour of its own."""
    drawn = frame.astype(np.float32)
    for index, mask in enumerate(masks):
        colour = np.asarray(COLOURS[index % len(COLOURS)], dtype=np.float32)
        drawn[mask] += _TINT * (colour - drawn[mask])
        outline = mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        drawn[outline] = colour
    return np.rint(drawn).astype(np.uint8)


def draw_video(video: Video, sequences: Sequence[MaskSequence]) -> Iterable[NDArray[np.uint8]]:
    """Yield every frame (H, W, 3) of a video with the masks of the sequences on it.

    Raises:
        InputError: a frame cannot be read, or a mask has another size.
    """
    for index in range(video.n_frames):
        frame = video.read_frame(index)
        for sequence in sequences:
            if sequence.size != frame.shape[:2]:
                raise InputError(
                    f"{video.image_paths[index]}: frame is {frame.shape[:2]} but the masks of "
                    f"{sequence.video}/{sequence.expression} are {sequence.size}; run the recipe on this video again"
                )
        yield draw_masks(frame, [sequence.mask(index) for sequence in sequences])


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], *, frames_per_second: float) -> None:
    """Write RGB frames (H, W, 3) of one size as H.264 in MP4, by way of a temporary file.

    Odd sides are cropped by one pixel: the colour planes have half the resolution.
    """
    options = {"movflags": "faststart"}
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4", options=options) as container:
        stream = None
        for frame in frames:
            height, width = (side - side % 2 for side in frame.shape[:2])
            if stream is None:
                rate = Fraction(frames_per_second).limit_denominator(1000)
                stream = container.add_stream("libx264", rate=rate, options=_CODEC_OPTIONS)
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            container.mux(stream.encode(picture))
        if stream is not None:
            container.mux(stream.encode())


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
