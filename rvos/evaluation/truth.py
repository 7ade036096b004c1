"""Ground truth that lies in memory: index maps of all frames, or masks of a single one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.masks.index_maps import read_index
from rvos.videos import Expression, Video

VOID = 255


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
        """Masks of all the expression's objects. Raises InputError: none, or one that an index map cannot hold."""
        if not expression.object_ids:
            raise InputError(
                f"{self.where}: expression {expression.id}: no obj_id, so its mask is unknown; "
                "use the expression file that comes with the ground truth"
            )
        values = [read_index(name, where=f"{self.where}: expression {expression.id}") for name in expression.object_ids]
        return self.maps == values[0] if len(values) == 1 else np.isin(self.maps, values)


@dataclass(frozen=True, slots=True, eq=False)
class SampleTruth:
    """Masks of the objects of one annotated frame; nothing is known of the other frames, which are void.

    Args:
        objects: object -> mask `(H, W)`.
        n_frames: of the window, or of the frames that were chosen.
        annotated: place of the annotated frame among them; None: it is not among them.
        where: what messages call the file.
    """

    objects: Mapping[str, NDArray[np.bool_]]
    n_frames: int
    annotated: int | None
    where: str

    @classmethod
    def of(
        cls, video: Video, objects: Mapping[str, NDArray[np.bool_]], indices: Sequence[int] | None, *, where: str
    ) -> SampleTruth:
        """Return the truth of a video with one annotated frame, or of some of its frames."""
        shown = video if indices is None else video.take(indices)
        return cls(objects, shown.n_frames, next(iter(shown.annotated or ()), None), where)

    @property
    def size(self) -> tuple[int, int] | None:
        """(H, W) of the masks; None without an object."""
        first = next(iter(self.objects.values()), None)
        return None if first is None else (first.shape[0], first.shape[1])

    @property
    def void(self) -> NDArray[np.bool_] | None:
        """All pixels of all frames but the annotated one."""
        if self.size is None:
            return None
        void = np.ones((self.n_frames, *self.size), np.bool_)
        if self.annotated is not None:
            void[self.annotated] = False
        return void

    def mask(self, expression: Expression) -> NDArray[np.bool_]:
        """Return the annotated frame's mask `(H, W)` of an expression. Raises InputError: no such object."""
        name = expression.object_ids[0]
        if name not in self.objects:
            raise InputError(
                f"{self.where}: no instance {name} ({', '.join(self.objects) or 'none'}); correct the list"
            )
        return self.objects[name]

    def masks(self, expression: Expression) -> NDArray[np.bool_]:
        """Return masks `(T, H, W)`, empty but in the annotated frame. Raises InputError: no such object."""
        mask = self.mask(expression)
        masks = np.zeros((self.n_frames, *mask.shape), np.bool_)
        if self.annotated is not None:
            masks[self.annotated] = mask
        return masks
