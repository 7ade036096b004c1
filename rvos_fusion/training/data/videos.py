"""Labelled videos, read frame by frame or kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rvos.errors import ConfigError, InputError
from rvos.files.atomic import read_whole
from rvos.files.images import LARGEST_IMAGE_FILE
from rvos.formats import FORMATS, find_format
from rvos.masks.mask_images import decode_index_map
from rvos.settings import Size, nearest, show
from rvos.videos import Video

PLAIN_LAYOUTS = ("youtube-vos", "davis17", "images")
"""Layouts without sentences."""


class LabelledVideo:
    """Frames, index masks and expressions of one video.

    Args:
        video: the frames; expressions know their object by its index in the masks.
        labels: one index mask a frame: PNG files, or what returns that of a frame, `(H, W)` uint8.
        categories, kinds: by object id, and by expression id what decides it, where the data set says so.
        in_memory: keep decoded frames and masks; a read then costs nothing the second time.
        annotated: the only frame whose mask is known; None: all are.
    """

    def __init__(
        self,
        video: Video,
        labels: Sequence[Path] | Callable[[int], NDArray[np.uint8]],
        *,
        categories: Mapping[str, str] | None = None,
        kinds: Mapping[str, str] | None = None,
        in_memory: bool = False,
        annotated: int | None = None,
    ) -> None:
        self.video = video
        self.annotated = annotated
        self.categories = categories or {}
        self.kinds = kinds or {}
        self._read_label = labels if callable(labels) else lambda index: read_label(labels[index])
        self._in_memory = in_memory
        self._frames: dict[int, NDArray[np.uint8]] = {}
        self._labels: dict[int, NDArray[np.uint8]] = {}

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.video.n_frames

    def frames(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Return the frames `indices` as RGB `(n, H, W, 3)`; InputError where one cannot be read."""
        return np.stack([self._keep(self._frames, index, self.video.read_frame) for index in indices])

    def labels(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Return the index masks of the frames, `(n, H, W)`, 0 = background; InputError where one cannot be read."""
        return np.stack([self._keep(self._labels, index, self._read_label) for index in indices])

    def _keep(
        self, known: dict[int, NDArray[np.uint8]], index: int, read: Callable[[int], NDArray[np.uint8]]
    ) -> NDArray[np.uint8]:
        pixels = known[index] if index in known else read(index)
        if self._in_memory:
            known[index] = pixels
        return pixels


def read_label(path: Path) -> NDArray[np.uint8]:
    """Return an index PNG's object indices `(H, W)`; InputError: missing, undecodable or no index map."""
    return decode_index_map(read_whole(path, most=LARGEST_IMAGE_FILE), where=str(path))


MOTION = "motion"
"""Kind of the expressions that only motion decides, in the data that says so."""


@dataclass(frozen=True, slots=True)
class VideoFolder:
    """Where labelled videos are.

    Args:
        root: folder with `meta_expressions` and one folder a split, or of another layout.
        split: name of the split; it needs `Annotations`.
        layout: a format of `rvos.formats` or, without expressions: "youtube-vos" (`<split>/JPEGImages/<video>`),
            "davis17" (`ImageSets/2017/<split>.txt`) or "images" (`JPEGImages/<name>.jpg`, one-frame videos).
        videos: at most so many, the first by name; None: all.
        in_memory: keep decoded frames (about 1 MB for twelve frames of 128x224).
    """

    root: Path
    split: str = "train"
    layout: str = "ref-youtube-vos"
    videos: Size | None = None
    in_memory: bool = False

    def __post_init__(self) -> None:
        if self.layout not in (*FORMATS, *PLAIN_LAYOUTS):
            raise ConfigError(
                f"layout {show(self.layout)} is unknown; {nearest(self.layout, (*FORMATS, *PLAIN_LAYOUTS))}"
            )

    @property
    def has_sentences(self) -> bool:
        """Whether the layout is that of a data set of referring expressions."""
        return self.layout not in PLAIN_LAYOUTS

    @property
    def has_samples(self) -> bool:
        """Whether single frames are annotated."""
        return self.has_sentences and find_format(self.layout).has_samples


def object_of(video: LabelledVideo, number: int) -> int:
    """Return the object that a sentence names; InputError: none, several, or no index."""
    sentence = video.video.expressions[number]
    if len(sentence.object_ids) != 1:
        raise InputError(f"{video.video.id}/{sentence.id}: objects {sentence.object_ids}; training needs exactly one")
    return objects_of(video, number)[0]


def objects_of(video: LabelledVideo, number: int) -> tuple[int, ...]:
    """Return the objects that a sentence names; InputError: one is no index."""
    sentence = video.video.expressions[number]
    try:
        return tuple(int(name) for name in sentence.object_ids)
    except ValueError:
        raise InputError(
            f"{video.video.id}/{sentence.id}: objects {sentence.object_ids}; training needs their indices"
        ) from None


def objects_seen(label: NDArray[np.uint8], *, least: int = 1) -> list[int]:
    """Return the objects of index masks `(H, W)` or `(T, H, W)` with `least` pixels at least; 255 is none."""
    counts = np.bincount(label.ravel(), minlength=256)
    return [int(index) for index in np.flatnonzero(counts[:255] >= max(least, 1)) if index > 0]
