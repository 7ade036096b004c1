"""Masks of objects in folders of their own, where a frame without a file does not show the object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rvos.dataset import Dataset
from rvos.errors import InputError
from rvos.files.images import LARGEST_IMAGE_FILE, read_image_size
from rvos.files.trees import Tree, list_masks
from rvos.masks.mask_images import check_size, decode_index_map
from rvos.videos import Expression, Video

_TYPES = {"static", "dynamic", "hybrid", "static+dynamic"}


def find_types(dataset: Dataset) -> tuple[str, str] | None:
    """Return that data are those of Long-RVOS: elsewhere its folders of objects would pass for folders of sentences."""
    kinds = {one.kind for video in dataset.videos for one in video.expressions}
    return ("long-rvos", f"type {min(kinds)}") if kinds and kinds <= _TYPES else None


@dataclass(frozen=True, slots=True, eq=False)
class ObjectFolders:
    """The masks of a video's objects, read object by object; any value but 0 is foreground.

    Args:
        annotations: holds the folders.
        video: with all its frames.
        place: of the folder of an object, with `{video}` and `{object}`.
        has_images: whether the frames tell the size where no mask does.
        indices: of the frames that were chosen; None: all.
    """

    annotations: Tree
    video: Video
    place: str
    has_images: bool
    indices: tuple[int, ...] | None = None

    def read(self, indices: Sequence[int] | None = None) -> ObjectFolders:
        """Choose frames; nothing is read yet."""
        return replace(self, indices=None if indices is None else tuple(indices))

    def take(self, indices: Sequence[int]) -> ObjectFolders:
        """Return the ground truth of some of the chosen frames; nothing is read yet."""
        own = range(self.video.n_frames) if self.indices is None else self.indices
        return replace(self, indices=tuple(own[index] for index in indices))

    @property
    def size(self) -> tuple[int, int] | None:
        """(H, W) of the first mask, or of the frames; None where nothing tells. Raises InputError: damaged."""
        for name in dict.fromkeys(name for one in self.video.expressions for name in one.object_ids):
            folder = self._find(name)
            for file in list_masks(folder).values():
                content = folder.read(file, most=LARGEST_IMAGE_FILE)
                return read_image_size(content, where=f"{folder.name}/{file}")
        return self.video.read_size() if self.has_images else None

    @property
    def void(self) -> None:
        """Nothing is void."""
        return None

    def masks(self, expression: Expression) -> NDArray[np.bool_]:
        """Masks of all the expression's objects.

        Raises:
            InputError: no object is named, or a file is damaged or of another size, or nothing tells the size.
        """
        where = f"{self.annotations.name}: {self.video.id}/{expression.id}"
        if not expression.object_ids:
            raise InputError(f"{where}: no object, so its mask is unknown; use the sentences that come with the masks")
        size = self.size
        if size is None:
            raise InputError(f"{where}: no mask and no image tells the size of the frames; add the images")
        chosen = range(self.video.n_frames) if self.indices is None else self.indices
        masks = np.zeros((len(chosen), *size), np.bool_)
        for name in expression.object_ids:
            folder = self._find(name)
            present = list_masks(folder)
            for place, index in enumerate(chosen):
                if (file := present.get(self.video.frames[index])) is not None:
                    values = decode_index_map(folder.read(file, most=LARGEST_IMAGE_FILE), where=f"{folder.name}/{file}")
                    check_size(values.shape, size, where=f"{folder.name}/{file}")
                    masks[place] |= values > 0
        return masks

    def _find(self, name: str) -> Tree:
        return self.annotations.below(self.place.format(video=self.video.id, object=name))
