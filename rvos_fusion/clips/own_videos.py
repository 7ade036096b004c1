"""A user's own clip as a data set of one video: frames from a file or a folder, sentences from the command line."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rvos.errors import InputError
from rvos.files.atomic import read_whole, write_atomically
from rvos.files.images import LARGEST_IMAGE_FILE, decode_frame
from rvos.files.names import is_system_name
from rvos.files.video_files import read_video
from rvos.ids import check_id

SPLIT = "valid"
_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
_JPEG_QUALITY = 95
_LONGEST_NAME = 80
NamedFrame = tuple[str, NDArray[np.uint8]]


def name_video(source: Path) -> str:
    """Return a video id made of the source's name: letters, digits, `-` and `_` only."""
    stem = Path(os.path.abspath(source)).stem
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_")[:_LONGEST_NAME] or "video"


def write_own_video(
    root: Path, source: Path, texts: Sequence[str], *, every: int = 1, max_frames: int | None = None
) -> str:
    """Write `source` as a Ref-YouTube-VOS-shaped data set below `root` and return the video's id.

    Args:
        source: a video file, or a folder of images in natural name order; both are turned as their metadata says.
            Frames of a folder keep their names; those of a video are named by their place in it, `00000` onwards.
        texts: one expression each.
        every: take each n-th frame.
        max_frames: take no more frames than this.

    Raises:
        InputError: nothing to read, an unreadable frame, frames of unequal size or of one name, or a sentence that is
            no text.
    """
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"sentence {ascii(text)[:60]}: holds bytes that are no UTF-8; type it again") from None
    video = check_id(name_video(source), where=str(source), what="video")
    frames = list(
        _write_frames(root / SPLIT / "JPEGImages" / video, islice(_read_frames(source), 0, None, every), max_frames)
    )
    if not frames:
        raise InputError(f"{source}: holds no frames; give a video file or a folder of images")
    expressions = {str(index): {"exp": text} for index, text in enumerate(texts)}
    content = {"videos": {video: {"expressions": expressions, "frames": frames}}}
    path = root / "meta_expressions" / SPLIT / "meta_expressions.json"
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False).encode())
    return video


def _write_frames(folder: Path, frames: Iterable[NamedFrame], limit: int | None) -> Iterator[str]:
    size: tuple[int, ...] | None = None
    seen: set[str] = set()
    for index, (name, frame) in enumerate(islice(frames, limit)):
        if size is not None and frame.shape != size:
            raise InputError(
                f"{folder.name}: frame {index} is {frame.shape[:2]}, the first is {size[:2]}; crop them alike"
            )
        # Two files, where file names may differ in case alone, would become one.
        if name.lower() in seen:
            raise InputError(f"{folder.name}: two frames are named {name}; rename one of them")
        size = frame.shape
        seen.add(name.lower())
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, "JPEG", quality=_JPEG_QUALITY)
        write_atomically(folder / f"{name}.jpg", stream.getvalue())
        yield name


def _read_frames(source: Path) -> Iterator[NamedFrame]:
    if not os.path.isdir(source):
        yield from ((f"{index:05d}", frame) for index, frame in enumerate(read_video(source)))
        return
    try:
        names = [path for path in source.iterdir() if path.suffix.lower() in _IMAGE_SUFFIXES]
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror}); check its rights") from None
    for path in sorted((path for path in names if not is_system_name(path.name)), key=_natural):
        frame = decode_frame(read_whole(path, most=LARGEST_IMAGE_FILE), where=str(path), upright=True)
        yield check_id(path.stem, where=str(path), what="frame"), frame


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a sort key that puts frame 10 after frame 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]
