"""Masks drawn over frames: pictures, and a video that browsers play."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path

import av
import av.container
import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rvos.errors import ConfigError, InputError, explain
from rvos.files.atomic import open_regular, replacing
from rvos.files.video_files import find_pictures
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video

COLOURS = {
    "orange": (230, 85, 13),
    "blue": (49, 130, 189),
    "green": (49, 163, 84),
    "purple": (117, 107, 177),
    "yellow": (214, 161, 0),
    "pink": (197, 27, 138),
}
FRAMES_PER_SECOND = 6.0
"""Of overlays of frames that say nothing of time: the rate of Ref-YouTube-VOS."""
_MOST_FRAMES_PER_SECOND = 1000
_LEAST_LETTERS = 10
_LETTERS = 1 / 22
"""Height of a caption, of the frame's."""
_TINT = 0.45
_SOUND_RATE = 48000
_TICK = Fraction(1, 90000)
"""Seconds: what the usual rates of frames are whole multiples of."""
_HALF_TURN = 180
_CODEC_OPTIONS = {"crf": "20", "preset": "medium"}


def check_rate(asked: float | None) -> None:
    """Refuse, by a ConfigError, frames per second that no video has; None is what the frames say."""
    if asked is not None and not 0 < asked <= _MOST_FRAMES_PER_SECOND:
        raise ConfigError(f"--fps {asked}: give more than 0 and at most {_MOST_FRAMES_PER_SECOND}")


def draw_masks(frame: NDArray[np.uint8], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Return the frame (H, W, 3) with each mask (H, W) tinted and outlined in a colour of its own."""
    drawn = frame.astype(np.float32)
    for index, mask in enumerate(masks):
        colour = np.asarray(COLOURS[name_colour(index)], dtype=np.float32)
        drawn[mask] += _TINT * (colour - drawn[mask])
        outline = mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        drawn[outline] = colour
    return np.rint(drawn).astype(np.uint8)


def name_colour(index: int) -> str:
    """Return the colour of a sentence by its place."""
    return tuple(COLOURS)[index % len(COLOURS)]


def draw_captions(frame: NDArray[np.uint8], sentences: Sequence[str]) -> NDArray[np.uint8]:
    """Return the frame (H, W, 3) with the sentences below each other, each in the colour of its mask."""
    picture = Image.fromarray(frame)
    pen = ImageDraw.Draw(picture)
    height = max(_LEAST_LETTERS, round(frame.shape[0] * _LETTERS))
    # Pillow's own font knows English letters only.
    font = ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf"), height)
    for index, sentence in enumerate(sentences):
        place = (height // 2, height // 2 + index * round(1.3 * height))
        pen.text(
            place, sentence, COLOURS[name_colour(index)], font, stroke_width=max(1, height // 10), stroke_fill="black"
        )
    return np.asarray(picture)


def draw_video(video: Video, sequences: Sequence[MaskSequence]) -> Iterable[NDArray[np.uint8]]:
    """Yield every frame (H, W, 3) of a video with the masks of the sequences, of its size, and their sentences."""
    sentences = {expression.id: expression.text for expression in video.expressions}
    captions = [sentences.get(sequence.expression, sequence.expression) for sequence in sequences]
    for index in range(video.n_frames):
        frame = video.read_frame(index)
        for sequence in sequences:
            if sequence.size != frame.shape[:2]:
                raise InputError(
                    f"{video.image_paths[index]}: frame is {frame.shape[:2]} but the masks of "
                    f"{sequence.video}/{sequence.expression} are {sequence.size}; run the recipe on this video again"
                )
        yield draw_captions(draw_masks(frame, [sequence.mask(index) for sequence in sequences]), captions)


@dataclass(frozen=True, slots=True)
class Showing:
    """How a clip is shown.

    Args:
        times: seconds at which each frame is shown, from the clip's beginning; empty where the file does not say.
        end: seconds at which the last frame goes.
        rate: mean frames per second; None: the file does not say.
        pixel_ratio: width over height of a pixel, upright.
        sound: file whose sound belongs to the frames; None: silent.
    """

    times: tuple[Fraction, ...] = ()
    end: Fraction = Fraction(0)
    rate: Fraction | None = None
    pixel_ratio: Fraction = Fraction(1)
    sound: Path | None = None

    def take(self, every: int, most: int | None) -> Showing:
        """Return the times of each n-th frame, of no more than `most`."""
        kept = self.times[::every][:most]
        following = self.times[every * len(kept) :]
        rate = None if self.rate is None else self.rate / every
        return replace(self, times=kept, end=following[0] if following else self.end, rate=rate)


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    *,
    frames_per_second: float | Fraction,
    showing: Showing | None = None,
) -> None:
    """Write RGB frames (H, W, 3) of one size as H.264 in MP4, by way of a temporary file.

    Odd sides are cropped by one pixel: the colour planes have half the resolution.

    Args:
        showing: of the clip that the frames are of: its times, where it has any, win over `frames_per_second`; its
            sound is taken over as far as the frames last. None: at a constant rate, of square pixels, silent.

    Raises:
        InputError: the sound cannot be decoded.
    """
    shown = showing or Showing()
    rate = Fraction(frames_per_second).limit_denominator(1001)
    options = {"movflags": "faststart"}
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4", options=options) as container:
        stream, voice, count = None, None, 0
        for frame in frames:
            height, width = (side - side % 2 for side in frame.shape[:2])
            if stream is None:
                stream = container.add_stream("libx264", rate=rate, options=_CODEC_OPTIONS)
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.codec_context.sample_aspect_ratio = shown.pixel_ratio
                if shown.times:
                    stream.codec_context.time_base = _TICK
                # Before anything is written: the header names every stream.
                voice = None if shown.sound is None else container.add_stream("aac", rate=_SOUND_RATE)
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            if shown.times:
                picture.pts, picture.time_base = round(shown.times[count] / _TICK), _TICK
            container.mux(stream.encode(picture))
            count += 1
        if stream is not None:
            container.mux(stream.encode())
        if shown.sound is not None and voice is not None:
            _write_sound(container, voice, shown.sound, seconds=shown.end if shown.times else count / rate)


def _write_sound(
    container: av.container.OutputContainer, stream: av.AudioStream, sound: Path, *, seconds: Fraction
) -> None:
    """Encode the first sound of a video anew: what MP4 may hold differs from player to player."""
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=_SOUND_RATE)
    try:
        with av.open(f"file:{sound}") as given:
            begin = round(_find_begin(given) * _SOUND_RATE)
            for frame in chain(given.decode(audio=0), (None,)):  # None: what the resampler still holds
                for part in resampler.resample(frame):
                    # Sound that begins later or earlier than the pictures keeps its distance.
                    if part.pts is not None:
                        part.pts -= begin
                    if (part.pts or 0) + part.samples <= seconds * _SOUND_RATE:
                        container.mux(stream.encode(part))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"{sound}: its sound cannot be decoded ({explain(error)}); give --no-sound") from None
    container.mux(stream.encode())


def read_showing(path: Path) -> Showing:
    """Return how a video file is shown; InputError where it is missing or no video."""
    open_regular(path).close()
    try:
        with av.open(f"file:{path}") as container:
            stream = find_pictures(container, path)
            begin, rate = _find_begin(container), stream.average_rate or stream.guessed_rate or None
            ratio = stream.sample_aspect_ratio or Fraction(1)
            has_sound = bool(container.streams.audio)
            length = Fraction(container.duration or 0, av.time_base)
            frames = [(frame.pts, frame.time_base, frame.rotation) for frame in container.decode(stream)]
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as a video ({explain(error)}); give a video file or a folder"
        ) from None
    times = [pts * base - begin for pts, base, _ in frames if pts is not None and base is not None]
    if len(times) < len(frames) or any(one >= after for one, after in pairwise(times)):
        times = []
    mean_gap = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else Fraction(0)
    lies = bool(frames) and frames[0][2] % _HALF_TURN != 0
    return Showing(
        tuple(times),
        max(length, times[-1] + mean_gap) if times else length,
        rate,
        1 / ratio if lies else ratio,
        path if has_sound else None,
    )


def _find_begin(container: av.container.InputContainer) -> Fraction:
    """Return the seconds at which a file says that it begins: recorders of broadcasts count from midnight."""
    return Fraction(container.start_time or 0, av.time_base)
