"""Masks of boxes, by an engine that starts from boxes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from propagate.engines.protocol import Engine
from propagate.frames import Frame
from propagate.propagator import EXPRESSIONS_AT_ONCE
from rvos.masks.mask_sequences import encode
from rvos.videos import Video


@torch.inference_mode()
def find_masks(engine: Engine, video: Video, frame: int, boxes: NDArray[np.float32]) -> tuple[bytes, ...]:
    """Return the COCO run lengths of what the engine takes for the object in each box.

    Args:
        frame: index.
        boxes: `(N, 4)`, left, top, right, bottom in pixels.

    Raises:
        InputError: the frame cannot be read.
        ConfigError: the engine starts from masks alone.
    """
    if not len(boxes):
        return ()
    image = Frame(video, frame, video.read_size())
    features = [engine.read(image, augmentation) for augmentation in engine.augmentations]
    found = []
    for start in range(0, len(boxes), EXPRESSIONS_AT_ONCE):
        chunk = torch.from_numpy(boxes[start : start + EXPRESSIONS_AT_ONCE])
        found.append(engine.open().start(features, boxes=chunk).masks.cpu().numpy())
    return encode(np.concatenate(found))
