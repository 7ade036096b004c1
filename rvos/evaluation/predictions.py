"""Predicted masks `<video>/<expression>/<frame>.png` in a folder or a zip archive, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.trees import Tree, list_masks
from rvos.masks.mask_images import check_size, decode_index_map
from rvos.settings.problems import count
from rvos.videos import Expression, Video


@dataclass(frozen=True, slots=True, eq=False)
class PredictedMasks:
    """Masks `(T, H, W)` of one expression, empty in frames without a file; these, and notes of odd values."""

    masks: NDArray[np.bool_]
    missing: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read_predicted(predictions: Tree, video: Video, expression: Expression, size: tuple[int, int]) -> PredictedMasks:
    """Read the masks of one expression; any non-zero value is foreground.

    Args:
        size: (H, W) that every mask must have.

    Raises:
        InputError: a file is damaged, of another size, or no greyscale or palette image.
    """
    folder = predictions.below(video.id).below(expression.id)
    maps, missing = read_maps(folder, video, size)
    masks = maps != 0
    notes = []
    for frame, values, mask in zip(video.frames, maps, masks, strict=True):
        odd = _find_odd_value(values, mask)
        if odd is not None:
            where = f"{folder.name}/{list_masks(folder)[frame]}"
            notes.append(f"{where}: value {odd}, expected only 0 and 255 (or 0 and 1); counted as foreground")
    return PredictedMasks(masks, missing, tuple(notes))


def read_maps(folder: Tree, video: Video, size: tuple[int, int]) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Return the values `(T, H, W)` of `<frame>.png`, 0 where there is no such file, and the frames without one.

    Args:
        size: (H, W) that every image must have.

    Raises:
        InputError: a file is damaged, of another size, or no greyscale or palette image.
    """
    maps = np.zeros((video.n_frames, *size), np.uint8)
    present = list_masks(folder)
    for index, frame in enumerate(video.frames):
        if frame in present:
            where = f"{folder.name}/{present[frame]}"
            values = decode_index_map(folder.read(present[frame]), where=where)
            check_size(values.shape, size, where=where)
            maps[index] = values
    return maps, tuple(frame for frame in video.frames if frame not in present)


def find_strays(predictions: Tree, videos: Sequence[Video]) -> tuple[str, ...]:
    """Return what lies among the predictions and belongs to no listed video, expression or frame."""
    known = {name for video in videos for name in (video.id, video.id.partition("/")[0])}
    strays = [f"{name}: not in this split" for name in predictions.children() if name not in known]
    for video in videos:
        folder = predictions.below(video.id)
        expressions = {expression.id for expression in video.expressions}
        for name in folder.children():
            if name not in expressions:
                strays.append(f"{video.id}/{name}: no expression of the video")
                continue
            masks = list_masks(folder.below(name))
            files = {masks.get(frame) for frame in video.frames}
            extra = [file for file in folder.below(name).children() if file not in files]
            strays += [f"{video.id}/{name}/{file}: no listed frame" for file in extra]
    return tuple(strays)


def _find_odd_value(values: NDArray[np.uint8], foreground: NDArray[np.bool_]) -> int | None:
    """Return a value that a binary mask should not hold."""
    highest = int(values.max())
    if highest not in (0, 1, 255):
        return highest
    if highest == 255 and int(values.sum(dtype=np.int64)) != 255 * int(np.count_nonzero(foreground)):
        return int(values[foreground].min())
    return None


def check_some(predictions: Tree, videos: Sequence[Video]) -> None:
    """Check that any video has a prediction. Raises InputError: none; likely the wrong folder or split."""
    if not any(predictions.is_folder(video.id) for video in videos):
        found = ", ".join(predictions.children()[:3]) or "nothing"
        raise InputError(
            f"{predictions.name}: no folder for any of the {count(len(videos), 'video')} (found {found}); "
            "check the folder and the split"
        )
