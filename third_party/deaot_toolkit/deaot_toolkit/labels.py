"""Between logits at stride 4, label maps at frame size and label maps at network size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

_SMALLEST = 1e-5


def upsample_logits(logits: Tensor, size: tuple[int, int], *, align_corners: bool) -> Tensor:
    """Return logits (B, C, h, w) at the frame's `size`, in float32."""
    # From stride 4 to the frame in one step, as officially, not by way of the network's size.
    return interpolate(logits.float(), size, mode="bilinear", align_corners=align_corners)


def resize_labels(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Return integer labels (B, h, w) at `size`: nearest cell, by the float32 rule of training."""
    if tuple(labels.shape[1:]) == tuple(size):
        return labels.long()
    # Float32 on purpose: integers would take another source row in some pairs of sizes, such as 150 -> 145.
    return interpolate(labels[:, None].float(), size, mode="nearest")[:, 0].long()


def merge_groups(logits: Sequence[Tensor]) -> Tensor:
    """Return the merged logits (B, 1 + groups*identities, H, W) of several groups of objects.

    Background is where every group sees background; probabilities are clamped to [1e-5, 1 - 1e-5].

    Args:
        logits: of each group (B, 1 + identities, H, W), upsampled already.
    """
    if len(logits) == 1:
        return logits[0]
    probabilities = [group.softmax(dim=1) for group in logits]
    # (B, 1, H, W): what no engine claims
    background = torch.stack([group[:, :1] for group in probabilities]).prod(dim=0)
    merged = torch.cat([background, *(group[:, 1:] for group in probabilities)], dim=1)
    # Logits again, since all callers take a softmax next; without the clamp sure pixels would be infinite.
    return merged.clamp(_SMALLEST, 1 - _SMALLEST).logit()


def split_labels(labels: Tensor, n_groups: int, identities: int) -> list[Tensor]:
    """Return the labels as each group sees them: its own objects from 1 on, everything else background."""
    parts = []
    for group in range(n_groups):
        own = labels - group * identities
        parts.append(torch.where((own >= 1) & (own <= identities), own, 0))
    return parts
