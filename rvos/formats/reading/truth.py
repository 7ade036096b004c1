"""Ground truth in files: index maps, masks by expression, run lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.evaluation.truth import IndexTruth
from rvos.files.images import LARGEST_IMAGE_FILE
from rvos.files.trees import Tree, list_masks, name_mask
from rvos.masks.mask_images import check_size, decode_index_map
from rvos.masks.run_lengths import decode_run_length
from rvos.videos import Expression, Video


def _read_maps(folder: Tree, video: Video, indices: Sequence[int] | None) -> NDArray[np.uint8]:
    """Return the values `(T, H, W)` of `<frame>.png`, all or some. Raises InputError: missing, damaged, unequal."""
    present = list_masks(folder)
    maps: list[NDArray[np.uint8]] = []
    for index in range(video.n_frames) if indices is None else indices:
        name = present.get(video.frames[index], name_mask(video.frames[index]))
        values = decode_index_map(folder.read(name, most=LARGEST_IMAGE_FILE), where=f"{folder.name}/{name}")
        if maps:
            height, width = maps[0].shape
            check_size(values.shape, (height, width), where=f"{folder.name}/{name}")
        maps.append(values)
    return np.stack(maps)


@dataclass(frozen=True, slots=True, eq=False)
class IndexSource:
    """Index maps `<video>/<frame>.png`; `has_void`: 255 marks pixels that do not count."""

    annotations: Tree
    video: Video
    has_void: bool = False

    def read(self, indices: Sequence[int] | None = None) -> IndexTruth:
        """Read the index maps."""
        folder = self.annotations.below(self.video.id)
        return IndexTruth(_read_maps(folder, self.video, indices), self.has_void, folder.name)


@dataclass(frozen=True, slots=True, eq=False)
class PerExpressionTruth:
    """Masks `<video>/<expression>/<frame>.png`, any non-zero value is foreground; read expression by expression."""

    annotations: Tree
    video: Video
    indices: Sequence[int] | None = None

    def read(self, indices: Sequence[int] | None = None) -> PerExpressionTruth:
        """Choose frames; nothing is read yet."""
        return replace(self, indices=indices)

    @property
    def size(self) -> tuple[int, int] | None:
        """Unknown before a mask is read."""
        return None

    @property
    def void(self) -> None:
        """Nothing is void."""
        return None

    def masks(self, expression: Expression) -> NDArray[np.bool_]:
        """Masks of the expression."""
        return _read_maps(self.annotations.below(self.video.id).below(expression.id), self.video, self.indices) > 0


@dataclass(frozen=True, slots=True, eq=False)
class RunLengthTruth:
    """COCO run lengths by annotation, one or None a frame.

    Args:
        annotations: annotation id -> one RLE, list of RLEs or None for each chosen frame.
        n_frames: number of chosen frames.
        size: (H, W); None where the video has no annotation and no images.
        where: what messages call the file.
        all_objects: one RLE for each chosen frame of all that is annotated in the video; None: the annotations tell.
    """

    annotations: Mapping[str, Sequence[Any]]
    n_frames: int
    size: tuple[int, int] | None
    where: str
    all_objects: Sequence[Any] | None = None

    @property
    def void(self) -> None:
        """Nothing is void."""
        return None

    def take(self, indices: Sequence[int]) -> RunLengthTruth:
        """Return the ground truth of some of the frames; nothing is decoded yet."""
        annotations = {name: [frames[index] for index in indices] for name, frames in self.annotations.items()}
        every = None if self.all_objects is None else [self.all_objects[index] for index in indices]
        return replace(self, annotations=annotations, n_frames=len(indices), all_objects=every)

    def masks(self, expression: Expression) -> NDArray[np.bool_]:
        """Masks of the union of the expression's annotations, empty for one without target; raises as `counts`."""
        return self.counts(expression) > 0

    def objects(self) -> NDArray[np.bool_]:
        """Return the masks `(T, H, W)` of everything that is annotated in the video; raises as `counts` does."""
        if self.all_objects is None:
            return self._add(self.annotations, *self.annotations) > 0
        return self._add({"all": self.all_objects}, "all") > 0

    def counts(self, expression: Expression) -> NDArray[np.uint8]:
        """Return how many of the expression's annotations cover each pixel, `(T, H, W)`.

        Raises:
            InputError: no annotation is named, or one is unknown, malformed or of another size, or the size is unknown.
        """
        if self.size is None:
            raise InputError(f"{self.where}: expression {expression.id}: frame size unknown; add the images")
        if expression.has_target and not expression.object_ids:
            raise InputError(
                f"{self.where}: expression {expression.id}: no anno_id, so its mask is unknown; add it, or an empty "
                "list where it has no target"
            )
        for name in expression.object_ids:
            if name not in self.annotations:
                raise InputError(f"{self.where}: expression {expression.id}: no annotation {name}; correct anno_id")
        return self._add(self.annotations, *expression.object_ids)

    def _add(self, annotations: Mapping[str, Sequence[Any]], *names: str) -> NDArray[np.uint8]:
        if self.size is None:
            raise InputError(f"{self.where}: frame size unknown; add the images")
        total = np.zeros((self.n_frames, *self.size), np.uint8)
        for name in names:
            for frame, found in enumerate(annotations[name]):
                for rle in found if isinstance(found, list) else [found]:
                    if rle is not None:
                        total[frame] += decode_run_length(rle, self.size, where=f"{self.where}: {name}, frame {frame}")
        return total
