"""One frame of a video, read from disk at most once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.videos import Video


class Frame:
    """A video's frame by its index and size (H, W), read when the first engine or augmentation asks for pixels."""

    def __init__(self, video: Video, index: int, size: tuple[int, int]) -> None:
        self._video = video
        self._pixels: NDArray[np.uint8] | None = None
        self.index = index
        self.size = size

    @property
    def path(self) -> Path:
        """Its file."""
        return self._video.image_paths[self.index]

    @property
    def source(self) -> tuple[Path, int]:
        """See `Video.find_source`."""
        return self._video.find_source(self.index)

    @property
    def is_image(self) -> bool:
        """Whether its file is an image, not a video."""
        return self._video.clip_frames is None

    @property
    def n_frames(self) -> int:
        """Frames of the whole video."""
        return self._video.n_frames

    def pixels(self) -> NDArray[np.uint8]:
        """Return RGB `(H, W, 3)`. Raises InputError: it cannot be read or has another size than its video."""
        if self._pixels is None:
            pixels = self._video.read_frame(self.index)
            if pixels.shape[:2] != self.size:
                raise InputError(
                    f"{self.path}: frame of size {pixels.shape[:2]} in a video of size "
                    f"{self.size}; bring all frames of the video to one size"
                )
            self._pixels = pixels
        return self._pixels
