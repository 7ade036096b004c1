"""Writing synthetic videos as a Ref-YouTube-VOS-shaped data set with ground truth."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rvos.errors import InputError, explain
from rvos.files.atomic import write_atomically
from rvos.masks.index_maps import davis_palette
from rvos.settings import count
from rvos_fusion.synthetic.synthesis import SyntheticVideo, make_video, video_id

QUALITY = 88
_FRAME_STEP = 5
_DROPPING = 10**6
"""Sets the draws of dropped sentences apart from those of the attempts at a scene."""
_CUTTING = _DROPPING + 1
_LATE_START = 7
"""One video in so many does not begin at frame 00000, as in the real data."""


def write_dataset(
    root: Path, *, seed: int, n_videos: int, split: str = "valid", drop: float = 0.0, cuts: float = 0.0
) -> tuple[int, int]:
    """Write `n_videos` videos of `seed` below `root` and return the numbers of expressions and frames.

    The expression file is removed first and written last: a folder that has one is complete.

    Args:
        drop: chance in [0, 1) that a sentence is left out, as real files lack some; each video keeps one.
        cuts: chance in [0, 1] that a video has two shots; `cuts.json` says then which frame begins the second.

    Raises:
        InputError: fewer than one video, or a folder that holds other videos or cannot be written.
    """
    if not 0 <= drop < 1:
        raise InputError(f"{root}: {drop} of the sentences to drop; give a share from 0 to below 1")
    if not 0 <= cuts <= 1:
        raise InputError(f"{root}: {cuts} of the videos to cut; give a share from 0 to 1")
    order = choose_videos(root / split / "JPEGImages", seed=seed, n_videos=n_videos)
    expression_file = root / "meta_expressions" / split / "meta_expressions.json"
    expressions: dict[str, Any] = {}
    objects: dict[str, Any] = {}
    cut_frames: dict[str, str] = {}
    with writing(root):
        expression_file.unlink(missing_ok=True)
        for index in order:
            has_cut = bool(np.random.default_rng([seed, index, _CUTTING]).random() < cuts)
            video = drop_sentences(
                make_video(seed, index, has_cut=has_cut), drop, random=np.random.default_rng([seed, index, _DROPPING])
            )
            frames = frame_names(index, len(video.frames))
            write_frames(root / split, video, frames)
            write_maps(root / split, video, frames)
            expressions[video.id] = {"expressions": list_entries(video), "frames": list(frames)}
            objects[video.id] = _object_entry(video, frames)
            if video.scene.cut:
                cut_frames[video.id] = frames[video.scene.cut]
    if cut_frames:
        write_atomically(root / split / "cuts.json", to_json(cut_frames))
    write_atomically(root / split / "meta.json", to_json({"videos": objects}))
    write_atomically(expression_file, to_json({"videos": expressions}))
    return count_entries(expressions)


def choose_videos(folder: Path, *, seed: int, n_videos: int, suffix: str = "") -> list[int]:
    """Return the videos' indices by name; InputError: none asked for, or a folder of others' `NAME + suffix`."""
    if seed < 0:
        raise InputError(f"seed {seed}: negative; give a whole number from 0")
    if n_videos < 1:
        raise InputError(f"{folder}: {n_videos} is no number of videos; give at least 1")
    names = {video_id(seed, index): index for index in range(n_videos)}
    refuse_others(folder, {name + suffix for name in names})
    return [names[name] for name in sorted(names)]


def count_entries(expressions: Mapping[str, Any]) -> tuple[int, int]:
    """Return the numbers of expressions and frames in the content of an expression file."""
    entries = expressions.values()
    return sum(len(entry["expressions"]) for entry in entries), sum(len(entry["frames"]) for entry in entries)


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Tell in one line, an InputError, that the system refuses to write a data set."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{root}: cannot be written ({explain(error)}); give a folder with room and rights") from None


def drop_sentences(video: SyntheticVideo, share: float, *, random: np.random.Generator) -> SyntheticVideo:
    """Return the video without some of its sentences, at least one of which stays."""
    kept = tuple(expression for expression in video.expressions if random.random() >= share)
    return replace(video, expressions=kept or video.expressions[:1])


def refuse_others(folder: Path, expected: set[str]) -> None:
    """Raise InputError where a folder holds other videos."""
    others = sorted({entry.name for entry in folder.iterdir()} - expected) if folder.is_dir() else []
    if others:
        raise InputError(
            f"{folder}: holds {count(len(others), 'other video')}, first {others[0]}; give an empty folder"
        )


def frame_names(index: int, n_frames: int) -> tuple[str, ...]:
    """Return the names of a video's frames; not all begin at 00000."""
    first = _FRAME_STEP if index % _LATE_START == _LATE_START - 1 else 0
    return tuple(f"{first + _FRAME_STEP * frame:05d}" for frame in range(n_frames))


def write_frames(folder: Path, video: SyntheticVideo, frames: tuple[str, ...], *, place: str = "") -> None:
    """Write the pictures of a video below `folder/JPEGImages/place`."""
    for name, picture in zip(frames, video.frames, strict=True):
        content = encode_image(Image.fromarray(picture), "JPEG", quality=QUALITY, subsampling=0)
        write_atomically(folder / "JPEGImages" / place / video.id / f"{name}.jpg", content)


def write_maps(folder: Path, video: SyntheticVideo, frames: tuple[str, ...]) -> None:
    """Write the index maps of a video below `folder/Annotations`."""
    for name, mask in zip(frames, video.index_masks, strict=True):
        image = Image.fromarray(mask)
        image.putpalette(davis_palette())
        content = encode_image(image, "PNG", optimize=False, compress_level=9)
        write_atomically(folder / "Annotations" / video.id / f"{name}.png", content)


def list_entries(video: SyntheticVideo) -> dict[str, dict[str, str]]:
    """Return the entries of a video's sentences in an expression file."""
    return {
        str(number): {"exp": one.text, "obj_id": str(one.object_id), "kind": one.kind}
        for number, one in enumerate(video.expressions)
    }


def encode_image(image: Image.Image, form: str, **options: int | bool) -> bytes:
    """Return the bytes of an image file."""
    stream = io.BytesIO()
    image.save(stream, format=form, **options)
    return stream.getvalue()


def _object_entry(video: SyntheticVideo, frames: tuple[str, ...]) -> dict[str, Any]:
    entries = {}
    for index, category in enumerate(video.categories, start=1):
        shown = (video.index_masks == index).any(axis=(1, 2))
        entries[str(index)] = {
            "category": category,
            "frames": [name for name, is_shown in zip(frames, shown, strict=True) if is_shown],
        }
    return {"objects": entries}


def to_json(content: dict[str, Any]) -> bytes:
    """Return the content of a JSON file, one value a line."""
    return (json.dumps(content, indent=1) + "\n").encode()
