"""A split of a data set: its videos in file order, frame sizes, and ground truth where there is any."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.ids import compose_name
from rvos.videos import Expression, Video


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


class TruthSource(Protocol):
    """Where the ground truth of one video lies: small enough to send to a worker."""

    def read(self, indices: Sequence[int] | None = None) -> VideoTruth:
        """Read all frames, or some; InputError where files are missing or damaged."""


SelectTruth = Callable[[Video], TruthSource]
"""Returns the ground truth of a video of a split, not yet read."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A split of a data set.

    Args:
        format: name of the format, as `rvos.formats.find_format` takes it.
        root: folder or archive as the user gave it.
        split: train, valid, test, valid_u.
        videos: in the order of the expression file.
        image_folder: holds `<video>/<frame>.jpg` (or `.png`); None where there are no images.
        truth: ground truth; None where the split has none.
        categories: (video, object) -> category name, where the data set tells.
        is_by_object: whether the objects that a sentence names say what its ground truth is.

    Raises:
        InputError: a video is listed twice.
    """

    format: str
    root: Path
    split: str
    videos: tuple[Video, ...]
    image_folder: Path | None = None
    truth: SelectTruth | None = None
    categories: Mapping[tuple[str, str], str] = field(default_factory=dict)
    is_by_object: bool = False

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for video in self.videos:
            if video.id in seen:
                raise InputError(f"{self.root}: split {self.split} lists video {video.id} twice; keep one")
            seen.add(video.id)

    @property
    def n_expressions(self) -> int:
        """Expressions of all videos."""
        return sum(len(video.expressions) for video in self.videos)

    def video(self, video_id: str) -> Video:
        """Return a video by its id. Raises InputError: the split does not list it."""
        for video in self.videos:
            if video.id == compose_name(video_id):
                return video
        raise InputError(f"{self.root}: split {self.split} has no video {video_id}; check the id and the split")

    def find_unknown(self, video: Video) -> tuple[str, ...]:
        """Return the sentences of a video of which nothing says what they mean, where the data say it of others.

        They cannot be scored; where no sentence names an object, reading the ground truth says what is missing.
        """
        if self.truth is None or not self.is_by_object:
            return ()
        lacking = tuple(one.id for one in video.expressions if one.has_target and not one.object_ids)
        said = lacking and any(one.object_ids for own in self.videos for one in own.expressions)
        return lacking if said else ()

    def scored(self, video: Video) -> Video:
        """Return a video without the sentences of `find_unknown`."""
        unknown = self.find_unknown(video)
        if not unknown:
            return video
        return replace(video, expressions=tuple(one for one in video.expressions if one.id not in unknown))

    def name_unknown(self, videos: Sequence[Video]) -> list[str]:
        """Return a line for every sentence of some videos that cannot be scored."""
        return [
            f"{video.id}/{name}: no object or annotation says what it means, so its mask is unknown; not scored"
            for video in videos
            for name in self.find_unknown(video)
        ]

    def read_size(self, video: Video) -> tuple[int, int] | None:
        """Return (H, W) of a video's first image, None without images. Raises InputError: missing or damaged."""
        return video.read_size() if self.image_folder is not None else None

    def select_truth(self, video: Video) -> TruthSource:
        """Return where the ground truth of a video lies. Raises InputError: the split has no ground truth."""
        if self.truth is None:
            raise InputError(
                f"{self.root}: no ground truth for split {self.split}; add its annotations and an expression file "
                "that names their objects"
            )
        return self.truth(video)

    def read_truth(self, video: Video, indices: Sequence[int] | None = None) -> VideoTruth:
        """Read the ground truth of all or some frames of a video. Raises InputError: none, or damaged files."""
        return self.select_truth(video).read(indices)
