"""Soft masks as pictures, `<video>/<expression>/<frame>.png` of 16 bits: the probability is the value / 65535."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.images import LARGEST_IMAGE_FILE, open_image
from rvos.files.trees import list_masks, name_mask
from rvos.imports.soft_masks import SoftFrames, check_map_size
from rvos.imports.source import PictureSource, find_frame_size, score_presence
from rvos.masks.mask_sequences import KeepSoft, MaskSequence
from rvos.masks.runs import Runs
from rvos.videos import Expression, Video

LARGEST_VALUE = 65535
_LARGEST_LABEL = 255
_MODES = ("I;16", "I;16B", "I")


@dataclass(frozen=True, slots=True)
class SoftPngSource(PictureSource):
    """Soft masks as pictures; they come without scores. `soft`: what to keep of the soft masks."""

    soft: KeepSoft = False

    def read(self, video: Video) -> tuple[MaskSequence, ...]:
        """See `PictureSource`; refuses labels and masks of 8 bits, which would be next to nothing of 65535."""
        size = find_frame_size(video)
        rows = [self._read_frames(video, expression, size) for expression in video.expressions]
        marked = [frames for _, frames in rows if frames.largest > 0]
        if marked and all(one.may_be_labels and one.largest <= _LARGEST_LABEL / LARGEST_VALUE for one in marked):
            largest = round(max(one.largest for one in marked) * LARGEST_VALUE)
            raise InputError(
                f"{self.masks.name}/{video.id}: values up to {largest} of {LARGEST_VALUE}, one a frame, are labels or "
                "masks, no probabilities; write them with 8 bits and import them as png"
            )
        return tuple(sequence for sequence, _ in rows)

    def _read_expression(self, video: Video, expression: Expression, size: tuple[int, int] | None) -> MaskSequence:
        return self._read_frames(video, expression, size)[0]

    def _read_frames(
        self, video: Video, expression: Expression, size: tuple[int, int] | None
    ) -> tuple[MaskSequence, SoftFrames]:
        folder = self.masks.below(video.id).below(expression.id)
        names = list_masks(folder)
        frames: SoftFrames | None = None
        shape: tuple[int, ...] | None = None
        first = next((frame for frame in video.frames if frame in names), video.frames[0])
        for frame in video.frames:
            is_black = self.fills and frame not in names
            frame = first if is_black else frame
            name = names.get(frame, name_mask(frame))
            where = f"{folder.name}/{name}"
            values = _decode(folder.read(name, most=LARGEST_IMAGE_FILE), where=where)
            check_map_size((values.shape[0], values.shape[1]), size, where=where)
            shape = shape or values.shape
            if values.shape != shape:
                raise InputError(f"{where}: {values.shape} pixels, the first has {shape}; write them of one size")
            frames = frames or SoftFrames(size or (values.shape[0], values.shape[1]), "probability", self.soft)
            frames.add(np.zeros_like(values) if is_black else values, where=where)
        assert frames is not None
        runs = tuple(frames.runs)
        presence = score_presence((Runs.decode(runs, frames.size).areas() == 0).tolist())
        sequence = MaskSequence(
            video.id, expression.id, video.frames, frames.size, runs, presence, None, frames.maps(), scored=False
        )
        return sequence, frames


def _decode(content: bytes, *, where: str) -> NDArray[np.float32]:
    """Return the probabilities `(h, w)` of a picture."""
    with open_image(content, where=where) as image:
        if image.mode not in _MODES:
            raise InputError(f"{where}: image mode {image.mode}, expected greyscale of 16 bits; import it as png")
        return (np.asarray(image).astype(np.float32) / np.float32(LARGEST_VALUE)).astype(np.float32)
