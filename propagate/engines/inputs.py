"""What the engines that start from masks share: frames as network input, and masks of a batch as one map of labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import torch
from deaot_toolkit import errors as toolkit
from deaot_toolkit import prepare_image
from numpy.typing import NDArray
from torch import Tensor

from rvos.errors import CheckpointError, ConfigError, InputError


def prepare_frame(frame: NDArray[np.uint8], size: tuple[int, int], *, mirrored: bool, device: torch.device) -> Tensor:
    """Return RGB `(H, W, 3)`, 0 to 255, as network input `(1, 3, h, w)` float32, mirrored after the resize."""
    pixels = frame.astype(np.float32)
    if pixels.shape[:2] != size:
        # OpenCV, as the networks were trained with: torch rounds the positions to float32, 1e-5 off after normalising.
        pixels = cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    image = prepare_image(torch.from_numpy(pixels).to(device), size)
    return image.flip(3) if mirrored else image


def take_masks(masks: Tensor | None, boxes: Tensor | None, device: torch.device, *, networks: str) -> Tensor:
    """Return the masks `(B, H, W)` that a session starts from, as booleans. Raises ConfigError: boxes."""
    if masks is None or boxes is not None:
        raise ConfigError(f"{networks} from masks, not from boxes; name an engine that takes boxes")
    return masks.to(device) > 0


def number_masks(masks: Tensor) -> Tensor:
    """Return booleans `(B, H, W)` as labels `(1, H, W)` from 1 on; where they overlap the earlier has the pixel."""
    numbers = torch.arange(len(masks), 0, -1, device=masks.device)[:, None, None]
    highest = (masks * numbers).amax(dim=0)
    return torch.where(highest > 0, len(masks) + 1 - highest, 0)[None]


def part_labels(labels: Tensor, n_objects: int) -> Tensor:
    """Return labels `(1, H, W)` as the masks `(B, H, W)` of their objects."""
    return labels == torch.arange(1, n_objects + 1, device=labels.device)[:, None, None]


@contextmanager
def translated() -> Iterator[None]:
    """Turn the toolkit's errors into the product's."""
    try:
        yield
    except toolkit.NetworkConfigError as error:
        raise ConfigError(str(error)) from None
    except toolkit.CheckpointError as error:
        raise CheckpointError(str(error)) from None
    except toolkit.EngineError as error:
        raise InputError(str(error)) from None
