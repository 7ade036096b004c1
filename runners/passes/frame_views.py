"""UNINEXT at test time: every frame mirrored too and at several sizes, its best masks averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from runners.networks.text.bert import Text
from runners.networks.uninext.frames import (
    count_tokens,
    finish,
    input_size,
    keep_maps,
    normalise,
    quarter,
    resize_frame,
    shrink_logits,
)
from runners.passes.frame_runner import Candidates, FrameRunner, Track
from runners.passes.frames import read_frame
from runners.test_time import View
from rvos.masks.mask_sequences import encode
from rvos.videos import Expression, Video

# Logits of 16: float32 sigmoids beyond are 1.
_EDGE = 1e-7


class FrameViewsRunner(FrameRunner):
    """A loaded UNINEXT that looks at every frame in several views.

    Each view picks its own query, as those of networks of clips do; probabilities at the original size decide the
    masks, those at a quarter of the first view's size become the soft maps, scores are averaged.

    Args:
        views: flips and sizes; the other arguments are those of `FrameRunner`.
    """

    def __init__(self, *parts: Any, views: Sequence[View], **settings: Any) -> None:
        super().__init__(*parts, **settings)
        self._views = views

    @torch.inference_mode()
    def find(self, video: Video, expressions: Sequence[Expression]) -> list[Track]:
        """Return the one averaged candidate of every expression in every frame."""
        config, original = self.network.config, video.read_size()
        sides = [view.short_side or config.short_side for view in self._views]
        sizes = [input_size(original, side, config.long_side) for side in sides]
        texts = {
            mirrored: self.read_texts(video, expressions, mirrored=mirrored)
            for mirrored in dict.fromkeys(view.mirrored for view in self._views)
        }
        looks = [(view, size, texts[view.mirrored]) for view, size in zip(self._views, sizes, strict=True)]
        tokens = max(count_tokens(size, config.backbone.multiple) for size in sizes)
        step = max(1, self.tokens_at_once // tokens)
        tracks: list[Track] = [[] for _ in expressions]
        for start in range(0, video.n_frames, step):
            indices = range(start, min(start + step, video.n_frames))
            found = self._average([read_frame(video, index, original) for index in indices], looks, len(tracks))
            for place, candidate in enumerate(found):
                tracks[place // len(indices)].append(candidate)
        return tracks

    def _average(
        self, frames: Sequence[NDArray[np.uint8]], looks: Sequence[tuple[View, tuple[int, int], Text]], n_texts: int
    ) -> list[Candidates]:
        """Return the candidates of all pairs of an expression and a frame, expression by expression."""
        original = (frames[0].shape[0], frames[0].shape[1])
        small, n_pairs = quarter(looks[0][1]), n_texts * len(frames)
        chances, maps, scores = torch.zeros(n_pairs, *original), torch.zeros(n_pairs, *small), torch.zeros(n_pairs)
        for view, size, text in looks:
            images = normalise(np.stack([resize_frame(frame, size) for frame in frames]))
            # Mirrored before and back after the padding, which stays on the right.
            images = images.flip(-1) if view.mirrored else images
            for pairs, selection in self.segment_frames(images, text, n_texts):
                rows, logits = pairs.cpu(), selection.logits[:, 0]
                chances[rows] += finish(logits, size, original, mirrored=view.mirrored).cpu()
                maps[rows] += shrink_logits(logits, size, small, mirrored=view.mirrored).sigmoid().cpu()
                scores[rows] += selection.scores[:, 0].float().cpu()
        runs = encode((chances / len(looks) > 0.5).numpy())
        soft = keep_maps(torch.logit(maps / len(looks), eps=_EDGE), self.keep_soft)
        own = [slice(pair, pair + 1) for pair in range(n_pairs)]
        means = (scores / len(looks)).numpy()
        return [Candidates(runs[one], means[one], None if soft is None else soft[one], None) for one in own]
