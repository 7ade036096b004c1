"""Arithmetic of networks on a device, and advice where its memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from runners.base import Precision
from rvos.errors import ConfigError
from rvos.settings import count
from rvos.videos import Video

_HALF = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Run networks without gradients, in half precision where `precision` says so."""
    with torch.inference_mode(), torch.autocast(device.type, _HALF.get(precision), enabled=precision in _HALF):
        yield


@contextmanager
def memory_advice(
    video: Video, *, at_once: str = "", advice: str = "set `window` to fewer frames, lower `short_side`"
) -> Iterator[None]:
    """Turn the device's lack of memory into a message that says what to change.

    Args:
        at_once: what the device holds at the same time; empty: all frames of the video.
        advice: which options need less.

    Raises:
        ConfigError: the device has no memory left.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise ConfigError(
            f"{video.id}: the device has not enough memory for "
            f"{at_once or count(video.n_frames, 'frame') + ' at once'}; "
            f"{advice}, or use precision bfloat16"
        ) from None
