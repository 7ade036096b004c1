"""The runner of every network that looks at clips: passes over the video, cached texts, mask sequences."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from runners.base import ModelSettings
from runners.networks.text.text_encoder import TextFeatures
from runners.networks.text.tokenizers import Tokens
from runners.passes.adapter import Adapter, TextReader
from runners.passes.devices import arithmetic
from runners.passes.frames import read_clip, to_mask_sequence
from runners.passes.schedule import Answer, Join, Pass, plan_passes
from runners.passes.windows import describe_protocol, plan_windows
from runners.test_time import View, mirror_words
from rvos.errors import ConfigError
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Expression, Video

Visual = TypeVar("Visual")
Encoded = TypeVar("Encoded", covariant=True)
_SURELY_BACKGROUND = -20.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClipProtocol:
    """How a video becomes clips, and what is kept of the results.

    Args:
        settings: window, overlap, views, precision, and what is kept.
        short_side: of the resized frames in pixels, less where the long one would pass `long_side`.
        smallest: side that the network needs, pixels.
        lower_case: lower-case expressions and join their words by single blanks, as in training.
        centre_only: answer for the middle frame of a clip alone.
        all_queries: keep the masks of all queries in that frame.

    Raises:
        ConfigError: a window without frames, an overlap that leaves nothing new, or what does not go together.
    """

    settings: ModelSettings
    short_side: int
    long_side: int | None = None
    smallest: int = 1
    lower_case: bool = False
    centre_only: bool = False
    all_queries: bool = False

    def __post_init__(self) -> None:
        settings = self.settings
        plan_windows(1, settings.window, settings.overlap)
        if self.all_queries and not (self.centre_only and settings.window is None and settings.test_time is None):
            raise ConfigError(
                f"{settings.runner}: all_queries are those of one frame that is looked at once; add centre_only, and "
                "leave window and test_time out"
            )
        if settings.join == "identity" and (self.centre_only or not settings.overlap):
            raise ConfigError(
                f"{settings.runner}: join: identity follows objects through frames that windows share; give window and "
                "overlap, and leave centre_only out"
            )

    def plan(self, n_frames: int) -> list[Pass]:
        """Return the passes over a video."""
        views = (View(),) if self.settings.test_time is None else self.settings.test_time.views()
        return plan_passes(n_frames, views, self.settings.window, self.settings.overlap)


class ClipNetwork(Protocol[Encoded]):
    """What a clip-level network can do."""

    def encode_video(self, frames: Tensor, *, annotated: Tensor | None = None) -> Encoded:
        """Return what all expressions share of a clip `(1, T, 3, H, W)`, of its frames `annotated` `(1,)` alone."""

    def encode_text(self, ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """Return the features of an expression of token ids `(1, L)`."""


class ClipRunner(Adapter[Answer], Generic[Visual]):
    """A loaded network that looks at clips.

    Args:
        network: with its weights.
        choose: yields for each expression the mask logits `(T, h, w)` and scores `(T,)` of the object that it means.
        tokens: that the network was trained with.
        device: to run on.
        pick_key_frame: of logits `(T, h, w)`; None: the first maximum of the scores, as officially.
    """

    def __init__(
        self,
        network: Any,
        choose: Callable[[Visual, Sequence[TextFeatures]], Iterator[Answer]],
        tokens: Tokens,
        device: torch.device,
        clips: ClipProtocol,
        *,
        pick_key_frame: Callable[[Tensor], int] | None = None,
    ) -> None:
        self.network: ClipNetwork[Visual] = network
        if isinstance(network, nn.Module):
            network.to(device).eval()
        self.device, self.clips = device, clips
        self._choose, self._pick_key_frame = choose, pick_key_frame
        self._texts = TextReader(tokens, lambda ids, mask: self.network.encode_text(ids, mask), device)

    def protocol(self, video: Video) -> str:
        """Return which frames see each other: all of them, as officially, or those of a window."""
        return describe_protocol(video.n_frames, self.clips.settings.window, self.clips.settings.overlap)

    def find(self, video: Video, expressions: Sequence[Expression]) -> list[Answer]:
        """Return logits and scores of every expression in all frames."""
        _logger.info("%s: %s", video.id, self.protocol(video))
        joined = Join(video.n_frames)
        with arithmetic(self.device, self.clips.settings.precision):
            for one in self.clips.plan(video.n_frames):
                found = self.run_pass(video, expressions, one)
                if self.clips.centre_only:
                    found = [spread_centre(logits, scores, len(one.frames)) for logits, scores in found]
                joined.add(one, found)
            return joined.finish()

    def to_sequence(
        self, video: Video, expression: Expression, found: Answer, *, size: tuple[int, int]
    ) -> MaskSequence:
        """Return the masks of one expression; see `to_mask_sequence`."""
        logits, scores = found
        key_frame = None if self._pick_key_frame is None else self._pick_key_frame(logits)
        keep_soft = self.clips.settings.keep_soft
        return to_mask_sequence(video, expression, logits, scores, size=size, keep_soft=keep_soft, key_frame=key_frame)

    def run_pass(self, video: Video, expressions: Sequence[Expression], one: Pass) -> list[Answer]:
        """Return what the network says of every expression in the frames of one pass, or in the middle one alone."""
        sides, view = self.clips, one.view
        texts = self._texts.read(
            video, expressions, lambda text: self._clean(mirror_words(text) if view.mirrored else text)
        )
        short_side = view.short_side or sides.short_side
        clip = read_clip(video, one.frames, short_side=short_side, long_side=sides.long_side, smallest=sides.smallest)
        if view.mirrored:
            clip = clip.flip(-1)
        frames = clip[None].to(self.device)
        if sides.centre_only:
            centre = torch.tensor([len(one.frames) // 2], device=self.device)
            visual = self.network.encode_video(frames, annotated=centre)
        else:
            visual = self.network.encode_video(frames)
        found = [(logits.float().cpu(), scores.float().cpu()) for logits, scores in self._choose(visual, texts)]
        # Mirrored back here, so that all views lie over each other whatever is done with them.
        return [(logits.flip(-1), scores) for logits, scores in found] if view.mirrored else found

    def _clean(self, text: str) -> str:
        return " ".join(text.lower().split()) if self.clips.lower_case else text


def spread_centre(logits: Tensor, scores: Tensor, n_frames: int) -> Answer:
    """Return the answer for the middle frame, logits `(1, h, w)` and score `(1,)`, among frames without a mask."""
    spread = logits.new_full((n_frames, *logits.shape[1:]), _SURELY_BACKGROUND)
    spread[n_frames // 2] = logits[0]
    all_scores = scores.new_zeros(n_frames)
    all_scores[n_frames // 2] = scores[0]
    return spread, all_scores
