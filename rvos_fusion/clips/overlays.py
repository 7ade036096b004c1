"""Masks drawn over frames: pictures, and a video that browsers play."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.atomic import open_regular, replacing
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video

COLOURS = ((230, 85, 13), (49, 130, 189), (49, 163, 84), (117, 107, 177), (214, 161, 0), (197, 27, 138))
_TINT = 0.45
_SOUND_RATE = 48000
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


def write_video(
    path: Path, frames: Iterable[NDArray[np.uint8]], *, frames_per_second: float | Fraction, sound: Path | None = None
) -> None:
    """Write RGB frames (H, W, 3) of one size as H.264 in MP4, by way of a temporary file.

    Odd sides are cropped by one pixel: the colour planes have half the resolution.

    Args:
        sound: video whose sound is taken over, as far as the frames last; None: silent.

    Raises:
        InputError: the sound cannot be decoded.
    """
    rate = Fraction(frames_per_second).limit_denominator(1001)
    options = {"movflags": "faststart"}
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4", options=options) as container:
        stream, voice, count = None, None, 0
        for frame in frames:
            height, width = (side - side % 2 for side in frame.shape[:2])
            if stream is None:
                stream = container.add_stream("libx264", rate=rate, options=_CODEC_OPTIONS)
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                # Before anything is written: the header names every stream.
                voice = None if sound is None else container.add_stream("aac", rate=_SOUND_RATE)
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            container.mux(stream.encode(picture))
            count += 1
        if stream is not None:
            container.mux(stream.encode())
        if sound is not None and voice is not None:
            _write_sound(container, voice, sound, seconds=count / rate)


def _write_sound(
    container: av.container.OutputContainer, stream: av.AudioStream, sound: Path, *, seconds: Fraction
) -> None:
    """Encode the first sound of a video anew: what MP4 may hold differs from player to player."""
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=_SOUND_RATE)
    left = int(seconds * _SOUND_RATE)
    try:
        with av.open(f"file:{sound}") as given:
            for frame in chain(given.decode(audio=0), (None,)):  # None: what the resampler still holds
                for part in resampler.resample(frame):
                    if part.samples <= left:
                        container.mux(stream.encode(part))
                        left -= part.samples
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"{sound}: its sound cannot be decoded ({error}); give --no-sound") from None
    container.mux(stream.encode())


def read_rate(path: Path) -> tuple[Fraction | None, bool]:
    """Return the mean frames per second of a video file, None where it does not say, and whether it has sound.

    Raises:
        InputError: the file is missing or no video.
    """
    open_regular(path).close()
    try:
        with av.open(f"file:{path}") as container:
            rates = [stream.average_rate or stream.guessed_rate for stream in container.streams.video[:1]]
            return (rates[0] or None) if rates else None, bool(container.streams.audio)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a video ({error}); give a video file or a folder") from None
