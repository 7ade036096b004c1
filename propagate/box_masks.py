"""Masks that an engine makes of boxes or masks in one frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from propagate.engines.protocol import Engine
from propagate.frames import Frame
from propagate.passes import EXPRESSIONS_AT_ONCE, cut, read_features
from rvos.masks.mask_sequences import encode
from rvos.videos import Video

Prompts = tuple[Tensor | None, Tensor | None]
"""Masks `(B, H, W)` or boxes `(B, 4)` to start from."""


@torch.inference_mode()
def prompt(engine: Engine, video: Video, frame: int, starts: Iterable[Prompts]) -> Iterator[NDArray[np.bool_]]:
    """Yield what the engine takes for each object, `(H, W)`.

    Args:
        frame: index.
        starts: batch by batch.

    Raises:
        InputError: the frame cannot be read.
        ConfigError: the engine does not start from boxes.
    """
    features = read_features(engine, Frame(video, frame, video.read_size()))
    for masks, boxes in starts:
        yield from engine.open().start(features, masks=masks, boxes=boxes).masks.cpu().numpy()


def find_masks(engine: Engine, video: Video, frame: int, boxes: NDArray[np.float32]) -> tuple[bytes, ...]:
    """Return the run lengths of the object in each box `(N, 4)`, left, top, right, bottom; raises as `prompt` does."""
    starts = ((None, torch.from_numpy(np.stack(chunk))) for chunk in cut(list(boxes), EXPRESSIONS_AT_ONCE))
    return encode(np.stack(list(prompt(engine, video, frame, starts)))) if len(boxes) else ()
