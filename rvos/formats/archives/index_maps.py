"""The archive of Ref-DAVIS17: `anno_0 ... anno_3/<video>/<frame>.png`, all objects of an annotation file in one map."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rvos.formats.archives.files import FileArchive
from rvos.masks.index_maps import (
    N_ANNOTATORS,
    encode_index_map,
    merge_by_annotator,
    split_expression_id,
    to_probabilities,
)
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video


class IndexMapArchive(FileArchive):
    """One map of all objects for each frame and annotation file; soft maps decide where objects overlap."""

    reads_soft: ClassVar[bool] = True

    def list_folders(self, video: Video) -> list[str]:
        """One for each annotation file."""
        return [f"anno_{number}/{video.id}" for number in range(N_ANNOTATORS)]

    def encode(self, video: Video, sequences: Sequence[MaskSequence]) -> Iterator[tuple[str, bytes]]:
        """Merge the expressions of each annotation file and encode the maps."""
        probabilities = {sequence.expression: to_probabilities(sequence) for sequence in sequences}
        for folder, maps in zip(self.list_folders(video), merge_by_annotator(video, probabilities), strict=True):
            for frame, values in zip(video.frames, maps, strict=True):
                yield f"{folder}/{frame}.png", encode_index_map(values)

    def find_marked(self, video: Video, folder: str, values: NDArray[np.uint8]) -> Iterable[str]:
        """Those of the annotation file whose objects the map holds."""
        objects = {str(value) for value in np.flatnonzero(np.bincount(values.ravel()))}
        for one in video.expressions:
            _, number = split_expression_id(one, where=video.id)
            if folder == f"anno_{number}/{video.id}" and objects.intersection(one.object_ids):
                yield one.id

    def find_bad_values(self, values: NDArray[np.uint8], mode: str) -> str | None:
        """Palette indices, or the same in grey."""
        return None if mode in ("P", "L") else f"image mode {mode}, expected palette indices (P)"
