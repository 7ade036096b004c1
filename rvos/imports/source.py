"""What every import shares: its interface, and the checks of masks against the data set."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError, make_printable
from rvos.files.images import check_area
from rvos.files.trees import Tree, list_masks, name_mask
from rvos.masks.mask_sequences import MaskSequence
from rvos.settings import count
from rvos.videos import Expression, Video


class Source(ABC):
    """Masks that another system made, read one video at a time."""

    __slots__ = ()

    @abstractmethod
    def read(self, video: Video) -> tuple[MaskSequence, ...]:
        """Return a video's masks, in its order. Raises InputError: one is missing, damaged or does not fit."""

    @abstractmethod
    def list_videos(self) -> tuple[str, ...]:
        """Return the ids of the videos that the source has."""

    @abstractmethod
    def list_expressions(self, video_id: str) -> tuple[str, ...]:
        """Return the ids of the expressions that the source has of a video."""

    def sample(self, video: Video) -> tuple[MaskSequence, ...]:
        """Return some masks of a video, which tell whether it fits; raises as `read` does.

        Of few expressions, or of the first frame, where all would take long; none where sizes can be told without any.
        """
        return self.read(replace(video, expressions=video.expressions[:2]))

    def list_gaps(self, video: Video) -> Mapping[str, int]:
        """Return how many masks are missing of expressions that lack some; all of those that are not there at all."""
        present = self.list_expressions(video.id) if video.id in self.list_videos() else ()
        return {one.id: video.n_frames for one in video.expressions if one.id not in present}

    def list_lacking(self, video: Video) -> Sequence[str]:
        """Return the masks of a video's expressions that are missing by their names; none where there are no names."""
        return ()

    def list_strays(self, video: Video) -> tuple[str, ...]:
        """Return what lies among the masks of a video and is none of them."""
        return ()


@dataclass(frozen=True, slots=True)
class FolderSource(Source):
    """A folder or archive with a folder for each video.

    Args:
        masks: holds the videos.
        paths: ids of videos that are paths.
    """

    masks: Tree
    paths: frozenset[str] = field(default=frozenset(), kw_only=True)

    def list_videos(self) -> tuple[str, ...]:
        """Names of the folders of videos, of paths those that are known."""
        tops = {name.partition("/")[0] for name in self.paths}
        plain = (name for name in _list_folders(self.masks) if name not in tops)
        return (*plain, *sorted(name for name in self.paths if self.masks.is_folder(name)))


@dataclass(frozen=True, slots=True)
class PictureSource(FolderSource):
    """Pictures `<video>/<expression>/<frame>.png`; with `fills`, frames without one are black."""

    fills: bool = field(default=False, kw_only=True)

    def read(self, video: Video) -> tuple[MaskSequence, ...]:
        """Return a video's masks by the data set's frames. Raises InputError: a file is missing, damaged or misfit."""
        size = find_frame_size(video)
        return tuple(self._read_expression(video, expression, size) for expression in video.expressions)

    @abstractmethod
    def _read_expression(self, video: Video, expression: Expression, size: tuple[int, int] | None) -> MaskSequence:
        """Return the masks of one expression; `size` (H, W) of the frames, None: without images."""

    def list_expressions(self, video_id: str) -> tuple[str, ...]:
        """Names of the folders of expressions."""
        return _list_folders(self.masks.below(video_id))

    def sample(self, video: Video) -> tuple[MaskSequence, ...]:
        """Those of the first frame."""
        return self.read(video.take([0]))

    def list_gaps(self, video: Video) -> Mapping[str, int]:
        """Frames without a mask."""
        folder = self.masks.below(video.id)
        found = {one.id: list_masks(folder.below(one.id)) for one in video.expressions}
        counts = {name: sum(frame not in masks for frame in video.frames) for name, masks in found.items()}
        return {name: number for name, number in counts.items() if number}

    def list_lacking(self, video: Video) -> tuple[str, ...]:
        """Frames without a mask."""
        folder = self.masks.below(video.id)
        found = {expression.id: list_masks(folder.below(expression.id)) for expression in video.expressions}
        return tuple(
            f"{name}/{name_mask(frame)}"
            for name, masks in found.items()
            for frame in video.frames
            if frame not in masks
        )

    def list_strays(self, video: Video) -> tuple[str, ...]:
        """Files that are no mask of a listed frame."""
        folder = self.masks.below(video.id)
        strays = [f"{name} is no expression folder" for name in folder.children() if not folder.is_folder(name)]
        for expression in video.expressions:
            own = folder.below(expression.id)
            masks = list_masks(own)
            expected = {masks.get(frame) for frame in video.frames}
            strays += [f"{expression.id}/{name} is no listed frame" for name in own.children() if name not in expected]
        return tuple(strays)


def _list_folders(tree: Tree) -> tuple[str, ...]:
    return tuple(name for name in tree.children() if tree.is_folder(name))


def find_misfits(source: Source, videos: Sequence[Video]) -> list[str]:
    """Return what does not fit a data set by its ids, one printable line each; no mask is read."""
    present = source.list_videos()
    known = {video.id: video for video in videos}
    problems = [f"{name}: not in the data set" for name in present if name not in known]
    for video in videos:
        if video.id not in present:
            problems.append(f"{video.id}: missing, {count(len(video.expressions), 'expression')}")
            continue
        expected = [expression.id for expression in video.expressions]
        found = source.list_expressions(video.id)
        problems += [f"{video.id}/{name}: missing" for name in expected if name not in found]
        problems += [f"{video.id}/{name}: not in the data set" for name in found if name not in expected]
        problems += [f"{video.id}: {stray}" for stray in source.list_strays(video)]
    return [make_printable(problem) for problem in problems]


def find_frame_size(video: Video) -> tuple[int, int] | None:
    """Return (H, W) of the first frame, None without images. Raises InputError: the image is damaged."""
    return video.read_size() if video.image_paths and os.path.lexists(video.image_paths[0]) else None


def check_mask_size(found: tuple[int, int], expected: tuple[int, int] | None, *, where: str) -> tuple[int, int]:
    """Return the size of masks. Raises InputError: not that of the frames, a side of 0, or too large."""
    if min(found) < 1 or (expected is not None and found != expected):
        wanted = "at least 1 x 1" if expected is None else f"{expected[0]} x {expected[1]}"
        raise InputError(
            f"{where}: masks of {found[0]} x {found[1]} pixels (H x W), expected {wanted}; "
            "write them at the original frame size"
        )
    check_area(found, where=where)
    return found


def score_presence(runs_are_empty: Sequence[bool]) -> NDArray[np.float32]:
    """Return what stands for the scores of masks without any: 1 where there is a mask, 0 where it is empty."""
    return np.array([0 if empty else 1 for empty in runs_are_empty], np.float32)
