"""AOT and DeAOT: from labels to network inputs, and the way back to probabilities at frame size."""

from __future__ import annotations

import torch
from deaot_toolkit import resize_labels, upsample_logits
from torch import Tensor


def prepare_labels(labels: Tensor, size: tuple[int, int], *, mirrored: bool) -> Tensor:
    """Return labels `(B, H, W)` at network size, int64, mirrored before the resize: nearest pixels depend on it."""
    return resize_labels(labels.flip(2) if mirrored else labels, size)


def to_probabilities(logits: Tensor, size: tuple[int, int], *, align_corners: bool, mirrored: bool) -> Tensor:
    """Return logits `(B, C, h, w)` as probabilities `(B, C, H, W)`: resized, mirrored back, then the softmax."""
    logits = upsample_logits(logits, size, align_corners=align_corners)
    return (logits.flip(3) if mirrored else logits).softmax(dim=1)


def pick_labels(probabilities: Tensor) -> Tensor:
    """Return the most probable channel `(H, W)` int64 of probabilities `(C, H, W)`; ties go to the first.

    Channel by channel: torch's argmax over the outermost axis is not vectorised on CPUs, 5 to 10 times slower here.
    """
    best = probabilities[0]
    labels = torch.zeros(best.shape, dtype=torch.int64, device=best.device)
    for channel, candidate in enumerate(probabilities[1:], start=1):
        labels = torch.where(candidate > best, channel, labels)
        best = torch.maximum(candidate, best)
    return labels
