"""Soft masks as pictures, `<video>/<expression>/<frame>.png` of 16 bits: the probability is the value / 65535."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.images import LARGEST_IMAGE_FILE, open_image
from rvos.files.trees import list_masks, name_mask
from rvos.imports.soft_masks import SoftFrames, check_map_size
from rvos.imports.source import PictureSource, score_presence
from rvos.masks.mask_sequences import KeepSoft, MaskSequence
from rvos.masks.runs import Runs
from rvos.videos import Expression, Video

LARGEST_VALUE = 65535
_MODES = ("I;16", "I;16B", "I")


@dataclass(frozen=True, slots=True)
class SoftPngSource(PictureSource):
    """Soft masks as pictures; they come without scores. `soft`: what to keep of the soft masks."""

    soft: KeepSoft = False

    def _read_expression(self, video: Video, expression: Expression, size: tuple[int, int] | None) -> MaskSequence:
        folder = self.masks.below(video.id).below(expression.id)
        names = list_masks(folder)
        frames: SoftFrames | None = None
        shape: tuple[int, ...] | None = None
        for frame in video.frames:
            name = names.get(frame, name_mask(frame))
            where = f"{folder.name}/{name}"
            values = _decode(folder.read(name, most=LARGEST_IMAGE_FILE), where=where)
            check_map_size((values.shape[0], values.shape[1]), size, where=where)
            shape = shape or values.shape
            if values.shape != shape:
                raise InputError(f"{where}: {values.shape} pixels, the first has {shape}; write them of one size")
            frames = frames or SoftFrames(size or (values.shape[0], values.shape[1]), "probability", self.soft)
            frames.add(values, where=where)
        assert frames is not None
        runs = tuple(frames.runs)
        presence = score_presence((Runs.decode(runs, frames.size).areas() == 0).tolist())
        return MaskSequence(
            video.id, expression.id, video.frames, frames.size, runs, presence, None, frames.maps(), scored=False
        )


def _decode(content: bytes, *, where: str) -> NDArray[np.float32]:
    """Return the probabilities `(h, w)` of a picture."""
    with open_image(content, where=where) as image:
        if image.mode not in _MODES:
            raise InputError(f"{where}: image mode {image.mode}, expected greyscale of 16 bits; import it as png")
        return (np.asarray(image).astype(np.float32) / np.float32(LARGEST_VALUE)).astype(np.float32)
