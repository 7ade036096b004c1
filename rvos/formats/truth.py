"""Ground truth in files: index maps, masks by expression, run lengths; and readers of the first two for a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvos.dataset import VideoTruth
from rvos.errors import InputError
from rvos.evaluation.truth import IndexTruth
from rvos.files.images import LARGEST_IMAGE_FILE
from rvos.files.trees import Tree, list_masks, name_mask
from rvos.masks.mask_images import check_size, decode_index_map
from rvos.masks.run_lengths import decode_run_length
from rvos.videos import Expression, Video


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


@dataclass(frozen=True, slots=True, eq=False)
class IndexSource:
    """Index maps `<video>/<frame>.png`."""

    annotations: Tree
    video: Video
    has_void: bool = False

    def read(self, indices: Sequence[int] | None = None) -> VideoTruth:
        """Read the index maps."""
        return read_index_maps(self.annotations, self.video, indices=indices, has_void=self.has_void)


@dataclass(frozen=True, slots=True, eq=False)
class IndexReader:
    """Index maps of a split; `has_void`: 255 marks pixels that do not count."""

    annotations: Tree
    has_void: bool = False

    def select(self, video: Video) -> IndexSource:
        """The index maps of a video."""
        return IndexSource(self.annotations, video, self.has_void)


@dataclass(frozen=True, slots=True, eq=False)
class PerExpressionSource:
    """Masks `<video>/<expression>/<frame>.png`."""

    annotations: Tree
    video: Video

    def read(self, indices: Sequence[int] | None = None) -> VideoTruth:
        """Read nothing yet: masks are read expression by expression."""
        chosen = tuple(range(self.video.n_frames) if indices is None else indices)
        return PerExpressionTruth(self.annotations, self.video, chosen)


@dataclass(frozen=True, slots=True, eq=False)
class PerExpressionReader:
    """Masks by expression, for a whole split."""

    annotations: Tree

    def select(self, video: Video) -> PerExpressionSource:
        """The masks of a video."""
        return PerExpressionSource(self.annotations, video)
