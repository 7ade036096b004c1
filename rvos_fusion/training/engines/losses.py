"""Losses of propagation: hardest pixels' cross-entropy and a soft Jaccard index. Source: aot.md, section 12."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rvos_fusion.training.running.schedules import falling

IGNORED = 255
_EPSILON = 1e-6
_SUPPRESSED = -1e10
KEPT_AT_END = 0.15


def kept_fraction(progress: float) -> float:
    """Return which part of the pixels counts: from all of them down to 15 % over the first half of the training."""
    return falling(progress, start=1.0, end=KEPT_AT_END, until=0.5)


def frame_loss(logits: Tensor, labels: Tensor, n_objects: Tensor, *, kept: float) -> Tensor:
    """Return half the hard-pixel cross-entropy plus half the Jaccard loss, mean over samples.

    Args:
        logits: `(B, 1 + ids, H, W)` at the size of the labels.
        labels: `(B, H, W)` int64, 0 background; 255 is ignored.
        n_objects: `(B,)`; identities above it do not count.
        kept: part of the pixels, 0 to 1, that the cross-entropy averages over.
    """
    identities = torch.arange(logits.shape[1], device=logits.device)
    unused = identities[None] > n_objects[:, None]
    logits = logits.float().masked_fill(unused[..., None, None], _SUPPRESSED)
    return 0.5 * hard_cross_entropy(logits, labels, kept=kept) + 0.5 * jaccard_loss(logits, labels)


def hard_cross_entropy(logits: Tensor, labels: Tensor, *, kept: float) -> Tensor:
    """Return the mean cross-entropy of each sample's hardest `kept` part of its pixels, ignored ones with loss 0."""
    each = F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none").flatten(1)
    n_kept = max(int(each.shape[1] * kept), 1)
    hardest = each if n_kept == each.shape[1] else each.topk(n_kept, dim=1, sorted=False).values
    return hardest.mean()


def jaccard_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return 1 - soft intersection over union, mean over the classes of each sample's label, then over samples."""
    counted = labels != IGNORED
    targets = F.one_hot(labels.masked_fill(~counted, 0), logits.shape[1]).permute(0, 3, 1, 2)
    targets = (targets * counted[:, None]).flatten(2).to(logits.dtype)
    probabilities = (logits.softmax(1) * counted[:, None]).flatten(2)
    common = (probabilities * targets).sum(2)
    union = probabilities.sum(2) + targets.sum(2) - common
    losses = 1 - (common + _EPSILON) / (union + _EPSILON)
    present = targets.sum(2) > 0
    per_sample = (losses * present).sum(1) / present.sum(1).clamp(min=1)
    return per_sample.mean()
