"""Videos and their expressions, as every data set reader yields them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.atomic import read_whole
from rvos.files.images import LARGEST_IMAGE_FILE, decode_frame, read_image_size
from rvos.settings.problems import count


@dataclass(frozen=True, slots=True)
class Expression:
    """One referring sentence of a video.

    Args:
        id: name in the expression file, unique in its video.
        text: the sentence as the file has it.
        object_ids: annotated objects that it refers to; empty where the data has none.
        has_target: False where the data says that it refers to nothing.
        kind: what decides it, where the data says so, such as `motion`.
    """

    id: str
    text: str
    object_ids: tuple[str, ...] = ()
    has_target: bool = True
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Video:
    """Ordered frames of one clip with the expressions that refer to its objects.

    Args:
        id: name in the expression file; text, never a number.
        frames: frame names without extension, in the order of the expression file.
        expressions: in the order of the expression file.
        image_paths: one image a frame; the files are opened only by `read_frame` and `read_size`.
        clip_frames: where each of `image_paths` is a video file: which of its frames each is, from 0; None: images.
        annotated: places of the frames whose masks are known and count; None: all are.
    """

    id: str
    frames: tuple[str, ...]
    expressions: tuple[Expression, ...]
    image_paths: tuple[Path, ...]
    clip_frames: tuple[int, ...] | None = None
    annotated: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.image_paths) != len(self.frames):
            raise InputError(
                f"{self.id}: {count(len(self.frames), 'frame')} but {count(len(self.image_paths), 'image path')}; "
                "give one path for each frame"
            )

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.frames)

    @property
    def annotated_frame(self) -> int:
        """Place of the annotated frame, where there is one alone. Raises InputError: there are more, or none."""
        if self.annotated is None or len(self.annotated) != 1:
            raise InputError(f"{self.id}: no video around a single annotated frame")
        return self.annotated[0]

    def take(self, indices: Sequence[int]) -> Video:
        """Return the video of some of the frames, with all expressions."""
        places = list(indices)
        return Video(
            self.id,
            tuple(self.frames[index] for index in places),
            self.expressions,
            tuple(self.image_paths[index] for index in places),
            None if self.clip_frames is None else tuple(self.clip_frames[index] for index in places),
            None
            if self.annotated is None
            else tuple(place for place, index in enumerate(places) if index in self.annotated),
        )

    def find_source(self, index: int) -> tuple[Path, int]:
        """Return what the pixels of a frame are read from: its file, and its number in there where that is a video."""
        return self.image_paths[index], 0 if self.clip_frames is None else self.clip_frames[index]

    def read_frame(self, index: int) -> NDArray[np.uint8]:
        """Return frame `index` as RGB `(H, W, 3)`, 0 to 255. Raises InputError: missing, too large, damaged."""
        path = self.image_paths[index]
        if self.clip_frames is not None:
            return self._read_clip(path)[index]
        return decode_frame(self._read_file(path), where=str(path))

    def read_size(self) -> tuple[int, int]:
        """Return `(H, W)` of the first frame, of an image by its header. Raises InputError: missing, no image."""
        path = self.image_paths[0]
        if self.clip_frames is not None:
            height, width = self._read_clip(path)[0].shape[:2]
            return height, width
        return read_image_size(self._read_file(path), where=str(path))

    def _read_clip(self, path: Path) -> tuple[NDArray[np.uint8], ...]:
        from rvos.files.video_files import read_clip_frames  # slow to import, and few data sets have video files

        return read_clip_frames(path, self.clip_frames or ())

    def _read_file(self, path: Path) -> bytes:
        if not os.path.lexists(path):
            raise InputError(f"{path}: frame is missing; restore it or drop video {self.id}")
        return read_whole(path, most=LARGEST_IMAGE_FILE)
