"""What every runner of a clip-level network does: checks, cached texts, windows, arithmetic, advice, mask sequences."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from runners.base import ModelSettings, Precision
from runners.checkpoints.resources import arithmetic, memory_advice
from runners.networks.text.text_encoder import TextFeatures
from runners.networks.text.tokenizers import Tokens
from runners.passes.frames import read_clip, to_mask_sequence
from runners.passes.test_time import View, mirror_words
from runners.passes.view_merging import Found, join_clips, merge_views
from runners.passes.windows import describe_protocol, join_windows, plan_windows
from rvos.errors import InputError
from rvos.masks.mask_sequences import KeepSoft, MaskSequence
from rvos.videos import Expression, Video

Visual = TypeVar("Visual")
_CACHED_TEXTS = 2048
_SURELY_BACKGROUND = -20.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClipProtocol:
    """How a video becomes clips, and what is kept of the results.

    Args:
        short_side: of the resized frames in pixels, less where the long one would pass `long_side`.
        smallest: side that the network needs, pixels.
        window, overlap: see `runners.passes.windows.plan_windows`; None: all frames in one clip, the official protocol.
        precision: of the network's arithmetic.
        keep_soft: keep logits beside the hard masks, as `uint8` (true) or `float16`.
        lower_case: lower-case expressions and join their words by single blanks, as in training.
        views: looks at the video that are averaged.
        centre_only: answer for the middle frame of a clip alone.
    """

    short_side: int
    long_side: int | None = None
    smallest: int = 1
    window: int | None = None
    overlap: int = 0
    precision: Precision = "float32"
    keep_soft: KeepSoft = True
    lower_case: bool = False
    views: tuple[View, ...] = (View(),)
    centre_only: bool = False

    @classmethod
    def of(
        cls,
        settings: ModelSettings,
        *,
        short_side: int,
        long_side: int | None = None,
        smallest: int = 1,
        lower_case: bool = False,
        centre_only: bool = False,
    ) -> ClipProtocol:
        """Return the protocol that a recipe asks for.

        Raises:
            ConfigError: a window without frames, or an overlap that leaves nothing new.
        """
        plan_windows(1, settings.window, settings.overlap)
        return cls(
            short_side,
            long_side,
            smallest,
            settings.window,
            settings.overlap,
            settings.precision,
            settings.keep_soft,
            lower_case,
            (View(),) if settings.test_time is None else settings.test_time.views(),
            centre_only,
        )


class ClipRunner(ABC, Generic[Visual]):
    """A loaded network that looks at clips; a network gives three hooks: encode the video, encode the text, choose.

    Args:
        tokens: that the network was trained with.
        device: that the network is on.
    """

    def __init__(self, tokens: Tokens, device: torch.device, clips: ClipProtocol) -> None:
        self.tokens, self.device, self.clips = tokens, device, clips
        self._texts: OrderedDict[str, TextFeatures] = OrderedDict()

    @abstractmethod
    def encode_video(self, frames: Tensor) -> Visual:
        """Return what all expressions share of a clip `(1, T, 3, H, W)`."""

    @abstractmethod
    def encode_text(self, ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """Return the features of an expression of token ids `(1, L)`."""

    @abstractmethod
    def choose(self, visual: Visual, texts: Sequence[TextFeatures]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield for each expression the mask logits `(T, h, w)` and scores `(T,)` of the object that it means."""

    def pick_key_frame(self, logits: Tensor) -> int | None:
        """Return the key frame of logits `(T, h, w)`; None: the first maximum of the scores, as officially."""
        return None

    def protocol(self, video: Video) -> str:
        """Return which frames see each other: all of them, as officially, or those of a window."""
        return describe_protocol(video.n_frames, self.clips.window, self.clips.overlap)

    def segment(self, video: Video, expressions: Sequence[Expression]) -> Iterator[MaskSequence]:
        """Yield one mask sequence for each expression, in their order; the video is looked at once.

        Raises:
            InputError: an unreadable frame, frames of several sizes, or an empty expression.
            ConfigError: the device has not enough memory.
        """
        if not expressions:
            return
        if not video.frames:
            raise InputError(f"{video.id}: no frames; drop the video or restore its frame list")
        _logger.info("%s: %s", video.id, self.protocol(video))
        with memory_advice(video), arithmetic(self.device, self.clips.precision):
            found = merge_views(self._segment_view(video, expressions, view) for view in self.clips.views)
        size = video.read_size()
        for expression, (logits, scores) in zip(expressions, found, strict=True):
            yield to_mask_sequence(
                video,
                expression,
                logits,
                scores,
                size=size,
                keep_soft=self.clips.keep_soft,
                key_frame=self.pick_key_frame(logits),
            )

    def _segment_view(self, video: Video, expressions: Sequence[Expression], view: View) -> Found:
        """Return logits and scores of every expression in all frames, as one view gives them."""
        texts = self._read(video, expressions, mirrored=view.mirrored)
        clips = list(view.clips(video.n_frames))
        return join_clips([self._segment_clip(video, clip, texts, view) for clip in clips], clips, video.n_frames)

    def _segment_clip(self, video: Video, frames: range, texts: Sequence[TextFeatures], view: View) -> Found:
        """Return logits and scores of every expression in some frames, window by window."""
        windows = plan_windows(len(frames), self.clips.window, self.clips.overlap)
        found = [self._segment_window(video, frames[window.start : window.stop], texts, view) for window in windows]
        return [
            (
                join_windows([one[0] for one in parts], windows, len(frames)),
                join_windows([one[1] for one in parts], windows, len(frames)),
            )
            for parts in zip(*found, strict=True)
        ]

    def _segment_window(self, video: Video, window: range, texts: Sequence[TextFeatures], view: View) -> Found:
        """Return logits and scores of every expression in one window, float32 on the CPU."""
        sides = self.clips
        short_side = view.short_side or sides.short_side
        clip = read_clip(video, window, short_side=short_side, long_side=sides.long_side, smallest=sides.smallest)
        if view.mirrored:
            clip = clip.flip(-1)
        visual = self.encode_video(clip[None].to(self.device))
        found = [(logits.float().cpu(), scores.float().cpu()) for logits, scores in self.choose(visual, texts)]
        if sides.centre_only:
            found = [_spread_centre(logits, scores, len(window)) for logits, scores in found]
        # Mirrored back here, so that all views lie over each other whatever is done with them.
        return [(logits.flip(-1), scores) for logits, scores in found] if view.mirrored else found

    def _read(self, video: Video, expressions: Sequence[Expression], *, mirrored: bool) -> list[TextFeatures]:
        """Return the text features of the expressions; those of texts seen before come from the cache."""
        wanted = [self._clean(mirror_words(one.text) if mirrored else one.text) for one in expressions]
        for expression, text in zip(expressions, wanted, strict=True):
            if not text.strip():
                raise InputError(f"{video.id}/{expression.id}: the expression is empty; mend or drop it")
        features = {text: self._texts[text] for text in wanted if text in self._texts}
        for text in dict.fromkeys(wanted):
            if text not in features:
                # One at a time: padding to the longest would change the rounding of the others.
                ids, mask = self.tokens.encode([text])
                features[text] = self.encode_text(ids.to(self.device), mask.to(self.device))
        self._texts.update(features)
        while len(self._texts) > _CACHED_TEXTS:
            self._texts.popitem(last=False)
        return [features[text] for text in wanted]

    def _clean(self, text: str) -> str:
        return " ".join(text.lower().split()) if self.clips.lower_case else text


def find_centre(frames: Tensor) -> Tensor:
    """Return the place `(1,)` of the middle frame of a clip `(1, T, 3, H, W)`."""
    return torch.tensor([frames.shape[1] // 2], device=frames.device)


def _spread_centre(logits: Tensor, scores: Tensor, n_frames: int) -> tuple[Tensor, Tensor]:
    """Return the answer for the middle frame, logits `(1, h, w)` and score `(1,)`, among frames without a mask."""
    spread = logits.new_full((n_frames, *logits.shape[1:]), _SURELY_BACKGROUND)
    spread[n_frames // 2] = logits[0]
    all_scores = scores.new_zeros(n_frames)
    all_scores[n_frames // 2] = scores[0]
    return spread, all_scores
