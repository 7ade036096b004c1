"""Run lengths of all annotations of a split in one file, `mask_dict.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rvos.errors import InputError
from rvos.files.json_files import expect_list, expect_object, parse_json
from rvos.files.trees import Tree
from rvos.formats.reading.truth import RunLengthTruth
from rvos.masks.run_lengths import read_run_size
from rvos.settings import count
from rvos.videos import Video

LARGEST_MASK_DICT = 1 << 32


class MaskDictReader:
    """All run lengths of a split: read once, at the first use, since the file of train is large."""

    def __init__(self, tree: Tree, name: str, has_images: bool) -> None:
        self._tree = tree
        self._name = name
        self._has_images = has_images

    @cached_property
    def _annotations(self) -> dict[str, Any]:
        where = f"{self._tree.name}/{self._name}"
        return expect_object(parse_json(self._tree.read(self._name, most=LARGEST_MASK_DICT), where=where), where=where)

    def __call__(self, video: Video) -> MaskDictSource:
        """The run lengths of one video. Raises InputError: an annotation has another number of frames."""
        where = f"{self._tree.name}/{self._name}: {video.id}"
        wanted = {name for expression in video.expressions for name in expression.object_ids}
        chosen = {name: self._annotations[name] for name in sorted(wanted) if name in self._annotations}
        for name, frames in chosen.items():
            if len(expect_list(frames, where=f"{where}: {name}")) != video.n_frames:
                raise InputError(
                    f"{where}: annotation {name} has {count(len(frames), 'frame')}, expected {video.n_frames}"
                )
        return MaskDictSource(chosen, video, where, self._has_images)


@dataclass(frozen=True, slots=True, eq=False)
class MaskDictSource:
    """Run lengths of the annotations of one video, one or None a frame; perhaps that of all its objects."""

    annotations: Mapping[str, Sequence[Any]]
    video: Video
    where: str
    has_images: bool
    all_objects: Sequence[Any] | None = None

    def read(self, indices: Sequence[int] | None = None) -> RunLengthTruth:
        """Choose frames; masks are decoded expression by expression."""
        whole = RunLengthTruth(self.annotations, self.video.n_frames, self._find_size(), self.where, self.all_objects)
        return whole if indices is None else whole.take(indices)

    def _find_size(self) -> tuple[int, int] | None:
        for frames in self.annotations.values():
            for rle in frames:
                if rle:
                    return read_run_size(rle[0] if isinstance(rle, list) else rle, where=self.where)
        return self.video.read_size() if self.has_images else None
