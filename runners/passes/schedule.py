"""Which frames of a video a network sees together and how, as a list of passes; and their answers become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from runners.passes.windows import plan_windows
from runners.test_time import View

Answer = tuple[Tensor, Tensor]
"""Mask logits `(T, h, w)` and scores `(T,)` of one expression, float32 on the CPU."""
# Logits of 16: float32 sigmoids beyond are 1.
_EDGE = 1e-7


@dataclass(frozen=True, slots=True)
class Pass:
    """One look at a video.

    Args:
        view: how frames are shown.
        frames: that are seen together.
    """

    view: View
    frames: range

    @property
    def clip(self) -> tuple[View, int]:
        """What the windows of one clip have in common, and no other pass has."""
        return self.view, self.frames.start % self.frames.step


def plan_passes(n_frames: int, views: Sequence[View], window: int | None, overlap: int = 0) -> list[Pass]:
    """Return the passes over a video, view by view: every clip of a view in windows; see `plan_windows`."""
    return [
        Pass(view, clip[part.start : part.stop])
        for view in views
        for clip in view.clips(n_frames)
        for part in plan_windows(len(clip), window, overlap)
    ]


class Join:
    """The answers of all passes as one: the mean of logits over windows of a view, of probabilities over views.

    Two views are in memory at the same time, whatever their number; all come to the resolution of the first.

    Args:
        n_frames: of the video.
    """

    def __init__(self, n_frames: int) -> None:
        self._n_frames = n_frames
        self._view: View | None = None
        self._count = torch.zeros(n_frames)
        self._sums: list[Answer] = []
        self._views: list[list[Answer]] = []
        self._n_views = 0

    def add(self, one: Pass, answers: Sequence[Answer]) -> None:
        """Take in the answers for all expressions, those of `one.frames`; the passes of a view come together."""
        if one.view != self._view:
            self._close_view()
            self._view, self._count = one.view, torch.zeros(self._n_frames)
            self._sums = [
                (logits.new_zeros((self._n_frames, *logits.shape[1:])), scores.new_zeros(self._n_frames))
                for logits, scores in answers
            ]
        frames = slice(one.frames.start, one.frames.stop, one.frames.step)
        self._count[frames] += 1
        for (all_logits, all_scores), (logits, scores) in zip(self._sums, answers, strict=True):
            all_logits[frames] += logits
            all_scores[frames] += scores

    def finish(self) -> list[Answer]:
        """Return the joined answers; those of a single view are its logits as they are."""
        self._close_view()
        (totals,) = self._views
        if self._n_views == 1:
            return totals
        n_views = self._n_views
        return [(torch.logit(probability / n_views, eps=_EDGE), total / n_views) for probability, total in totals]

    def _close_view(self) -> None:
        """Add the finished view to those before."""
        if self._view is None:
            return
        found = [(logits / self._count[:, None, None], scores / self._count) for logits, scores in self._sums]
        self._n_views += 1
        if self._n_views == 1:
            self._views = [found]
            return
        if self._n_views == 2:
            self._views = [[(logits.sigmoid(), scores) for logits, scores in self._views[0]]]
        for (probability, total), (logits, scores) in zip(self._views[0], found, strict=True):
            probability += _resize(logits, probability).sigmoid()
            total += scores


def _resize(logits: Tensor, like: Tensor) -> Tensor:
    """Return logits `(T, h, w)` at the resolution of others."""
    if logits.shape[-2:] == like.shape[-2:]:
        return logits
    size = (like.shape[-2], like.shape[-1])
    return F.interpolate(logits[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
