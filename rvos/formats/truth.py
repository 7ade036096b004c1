"""Ground truth of one video: boolean masks of its expressions, and pixels that do not count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from rvos.errors import InputError
from rvos.files.images import LARGEST_IMAGE_FILE
from rvos.files.json_files import expect_object
from rvos.files.trees import Tree, list_masks, name_mask
from rvos.masks.mask_images import check_size, decode_index_map
from rvos.masks.mask_sequences import decode
from rvos.masks.runs import Runs
from rvos.videos import Expression, Video

VOID = 255
_MOST_DIGITS = 9


class VideoTruth(Protocol):
    """What a data set knows of one video."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(H, W) of the masks; None where no mask tells."""

    @property
    def void(self) -> NDArray[np.bool_] | None:
        """Pixels `(T, H, W)` that do not count, or None."""

    def masks(self, expression: Expression) -> NDArray[np.bool_]:
        """Masks `(T, H, W)` of what the expression refers to."""


@dataclass(frozen=True, slots=True, eq=False)
class IndexTruth:
    """Index maps: value = object, 0 = background, and 255 = void where the data set says so.

    Args:
        maps: `(T, H, W)` uint8.
        has_void: whether 255 marks pixels that do not count.
        where: what messages call the maps.
    """

    maps: NDArray[np.uint8]
    has_void: bool = False
    where: str = "index maps"

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the maps."""
        height, width = self.maps.shape[1:]
        return height, width

    @property
    def void(self) -> NDArray[np.bool_] | None:
        """Pixels that do not count."""
        return self.maps == VOID if self.has_void else None

    def masks(self, expression: Expression) -> NDArray[np.bool_]:
        """Masks of the union of the expression's objects.

        Raises:
            InputError: the expression names no object, or one that an index map cannot hold.
        """
        if not expression.object_ids:
            raise InputError(
                f"{self.where}: expression {expression.id}: no obj_id, so its mask is unknown; "
                "use the expression file that comes with the ground truth"
            )
        values = [_to_index(name, f"{self.where}: expression {expression.id}") for name in expression.object_ids]
        return self.maps == values[0] if len(values) == 1 else np.isin(self.maps, values)


def _to_index(name: str, where: str) -> int:
    if not (name.isascii() and name.isdecimal() and len(name) <= _MOST_DIGITS) or not 0 < int(name) <= VOID:
        raise InputError(f"{where}: object {ascii(name)[:40]} is no index from 1 to {VOID}; correct obj_id")
    return int(name)


def read_index_maps(
    annotations: Tree, video: Video, *, indices: Sequence[int] | None = None, has_void: bool = False
) -> IndexTruth:
    """Read `<video>/<frame>.png` for all frames, or for some.

    Raises:
        InputError: a file is missing, damaged or of another size than the first.
    """
    chosen = range(video.n_frames) if indices is None else indices
    maps: list[NDArray[np.uint8]] = []
    folder = annotations.below(video.id)
    for name in _name_masks(folder, video, chosen):
        values = decode_index_map(folder.read(name, most=LARGEST_IMAGE_FILE), where=f"{folder.name}/{name}")
        if maps:
            height, width = maps[0].shape
            check_size(values.shape, (height, width), where=f"{folder.name}/{name}")
        maps.append(values)
    return IndexTruth(np.stack(maps), has_void, folder.name)


def _name_masks(folder: Tree, video: Video, indices: Sequence[int]) -> list[str]:
    """Return the file names of the masks of some frames, whether they are there or not."""
    found = list_masks(folder)
    return [found.get(video.frames[index], name_mask(video.frames[index])) for index in indices]


@dataclass(frozen=True, slots=True, eq=False)
class PerExpressionTruth:
    """Masks `<video>/<expression>/<frame>.png`, any non-zero value is foreground."""

    annotations: Tree
    video: Video
    indices: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int] | None:
        """Unknown before a mask is read."""
        return None

    @property
    def void(self) -> None:
        """Nothing is void."""
        return None

    def masks(self, expression: Expression) -> NDArray[np.bool_]:
        """Masks of the expression.

        Raises:
            InputError: a file is missing, damaged or of another size than the first.
        """
        folder = self.annotations.below(self.video.id).below(expression.id)
        frames = _name_masks(folder, self.video, self.indices)
        maps = [
            decode_index_map(folder.read(name, most=LARGEST_IMAGE_FILE), where=f"{folder.name}/{name}")
            for name in frames
        ]
        height, width = maps[0].shape
        for name, values in zip(frames, maps, strict=True):
            check_size(values.shape, (height, width), where=f"{folder.name}/{name}")
        return np.stack(maps) > 0


@dataclass(frozen=True, slots=True, eq=False)
class RunLengthTruth:
    """COCO run lengths by annotation, one or None a frame.

    Args:
        annotations: annotation id -> one RLE or None for each chosen frame.
        n_frames: number of chosen frames.
        size: (H, W); None where the video has no annotation and no images.
        where: what messages call the file.
    """

    annotations: Mapping[str, Sequence[Mapping[str, Any] | None]]
    n_frames: int
    size: tuple[int, int] | None
    where: str

    @property
    def void(self) -> None:
        """Nothing is void."""
        return None

    def masks(self, expression: Expression) -> NDArray[np.bool_]:
        """Masks of the union of the expression's annotations; empty for a sentence without target.

        Raises:
            InputError: an annotation is unknown, malformed or of another size, or the size is unknown.
        """
        if self.size is None:
            raise InputError(f"{self.where}: expression {expression.id}: frame size unknown; add the images")
        masks = np.zeros((self.n_frames, *self.size), bool)
        for name in expression.object_ids:
            if name not in self.annotations:
                raise InputError(f"{self.where}: expression {expression.id}: no annotation {name}; correct anno_id")
            for frame, rle in enumerate(self.annotations[name]):
                if rle is not None:
                    masks[frame] |= decode_run_length(rle, self.size, where=f"{self.where}: {name}, frame {frame}")
        return masks


def decode_run_length(rle: object, size: tuple[int, int], *, where: str) -> NDArray[np.bool_]:
    """Return the mask `(H, W)` of `{"size": [H, W], "counts": text}`.

    Raises:
        InputError: malformed, or of another size.
    """
    counts = check_run_length(rle, size, where=where)
    mask: NDArray[np.bool_] = decode((counts,), size)[0]
    return mask


def check_run_length(rle: object, size: tuple[int, int], *, where: str) -> bytes:
    """Return the compressed counts of a COCO run length, checked to cover `(H, W)`.

    Raises:
        InputError: malformed, or of another size.
    """
    entry = expect_object(rle, where=where)
    found = entry.get("size")
    if found != list(size):
        text = ascii(found)[:60]
        raise InputError(f"{where}: size {text}, expected {list(size)}; write masks at the frame size")
    counts = entry.get("counts")
    try:
        if isinstance(counts, list):
            counts = _compress(counts, size)
        if not isinstance(counts, (str, bytes)):
            raise InputError("no `counts`; encode the mask again")
        content = counts.encode("ascii") if isinstance(counts, str) else counts
        Runs.decode([content], size)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except (TypeError, ValueError, OverflowError, UnicodeEncodeError) as error:
        raise InputError(f"{where}: no run lengths ({error}); encode the mask again") from None
    return content


def _compress(counts: list[Any], size: tuple[int, int]) -> bytes:
    """Return plain run lengths in compressed form; checked first, since the C code trusts them."""
    if not all(type(count) is int and count >= 0 for count in counts) or sum(counts) != size[0] * size[1]:
        raise InputError(f"run lengths that do not cover {size[0]} x {size[1]} pixels; encode the mask again")
    return bytes(coco.frPyObjects({"size": list(size), "counts": counts}, *size)["counts"])
