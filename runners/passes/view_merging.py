"""Results of several views of one video become one: mean probability of every pixel, mean score of every frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Found = list[tuple[Tensor, Tensor]]
"""For every expression the mask logits `(T, h, w)` and scores `(T,)`."""
# Logits of 16: float32 sigmoids beyond are 1.
_EDGE = 1e-7


def join_clips(parts: Sequence[Found], clips: Sequence[range], n_frames: int) -> Found:
    """Return the results of clips that share out the frames of a video as those of the whole video."""
    if len(parts) == 1:
        return parts[0]
    return [
        (_interleave([one[0] for one in own], clips, n_frames), _interleave([one[1] for one in own], clips, n_frames))
        for own in zip(*parts, strict=True)
    ]


def _interleave(parts: Sequence[Tensor], clips: Sequence[range], n_frames: int) -> Tensor:
    whole = parts[0].new_empty((n_frames, *parts[0].shape[1:]))
    for part, frames in zip(parts, clips, strict=True):
        whole[frames.start :: frames.step] = part
    return whole


def merge_views(views: Iterable[Found]) -> Found:
    """Return the mean over views, as logits at the resolution of the first; a single view comes back as it is.

    Views are added up one by one, so that two are in memory at the same time, whatever their number.
    """
    rest = iter(views)
    first = next(rest)
    totals: Found | None = None
    count = 1
    for found in rest:
        if totals is None:
            totals = [(logits.sigmoid(), scores.clone()) for logits, scores in first]
        count += 1
        for (probability, total), (logits, scores) in zip(totals, found, strict=True):
            probability += _resize(logits, probability).sigmoid()
            total += scores
    if totals is None:
        return first
    return [(torch.logit(probability / count, eps=_EDGE), total / count) for probability, total in totals]


def _resize(logits: Tensor, like: Tensor) -> Tensor:
    """Return logits `(T, h, w)` at the resolution of others."""
    if logits.shape[-2:] == like.shape[-2:]:
        return logits
    size = (like.shape[-2], like.shape[-1])
    return F.interpolate(logits[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
