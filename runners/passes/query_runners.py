"""Clip runners that look at all queries: to keep those of an annotated frame, or to follow one through windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeVar

import torch
from torch import Tensor

from runners.networks.text.text_encoder import TextFeatures
from runners.networks.text.tokenizers import Tokens
from runners.passes.clip_runner import ClipProtocol, ClipRunner, spread_centre
from runners.passes.devices import arithmetic
from runners.passes.frames import mask_runs
from runners.passes.identity import follow_identity, keep_surest, take_query
from runners.passes.schedule import Answer, Join
from rvos.errors import ConfigError
from rvos.masks.frame_queries import FrameQueries
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Expression, Video

Visual = TypeVar("Visual")
Choose = Callable[[Visual, Sequence[TextFeatures]], Iterator[Answer]]


class AnnotatedFrameRunner(ClipRunner[Visual]):
    """Answers for the middle frame alone, and keeps the masks and scores of all queries there."""

    def find(self, video: Video, expressions: Sequence[Expression]) -> list[Answer]:
        """Return the logits `(Q, 1, h, w)` and scores `(Q, 1)` of every expression."""
        with arithmetic(self.device, self.clips.settings.precision):
            (one,) = self.clips.plan(video.n_frames)
            return self.run_pass(video, expressions, one)

    def to_sequence(
        self, video: Video, expression: Expression, found: Answer, *, size: tuple[int, int]
    ) -> MaskSequence:
        """Return the masks of the best query, with all others beside it."""
        logits, scores = found
        best = spread_centre(*take_query(found, int(scores[:, 0].argmax())), video.n_frames)
        queries = FrameQueries(video.n_frames // 2, mask_runs(logits[:, 0], size), scores[:, 0].numpy())
        return replace(super().to_sequence(video, expression, best, size=size), queries=queries)


class IdentityRunner(ClipRunner[Visual]):
    """Joins windows by following one object through the masks of the frames that they share."""

    def find(self, video: Video, expressions: Sequence[Expression]) -> list[Answer]:
        """Return logits and scores of every expression in all frames."""
        joined = Join(video.n_frames)
        with arithmetic(self.device, self.clips.settings.precision):
            for _, group in groupby(self.clips.plan(video.n_frames), lambda one: one.clip):
                windows = list(group)
                # windows x expressions
                seen = [[keep_surest(own) for own in self.run_pass(video, expressions, one)] for one in windows]
                overlap = self.clips.settings.overlap
                chosen = [follow_identity(own, overlap) for own in zip(*seen, strict=True)]
                for one, answers, queries in zip(windows, seen, zip(*chosen, strict=True), strict=True):
                    joined.add(one, [take_query(*pair) for pair in zip(answers, queries, strict=True)])
            return joined.finish()


def build_clip_runner(
    network: Any,
    choose: Choose[Visual],
    choose_all: Choose[Visual] | None,
    tokens: Tokens,
    device: torch.device,
    clips: ClipProtocol,
    *,
    pick_key_frame: Callable[[Tensor], int] | None = None,
) -> ClipRunner[Visual]:
    """Return the runner that a protocol asks for.

    Args:
        choose: as in `ClipRunner`.
        choose_all: yields for each expression the logits `(Q, T, h, w)` and scores `(Q, T)` of all queries; None: the
            network has none.

    Raises:
        ConfigError: queries are asked for, and the network has none.
    """
    kind: type[ClipRunner[Visual]] = ClipRunner
    if clips.all_queries:
        kind = AnnotatedFrameRunner
    elif clips.settings.join == "identity":
        kind = IdentityRunner
    if kind is not ClipRunner:
        if choose_all is None:
            raise ConfigError(
                f"{clips.settings.checkpoint}: this network has no queries; leave all_queries and join: identity out"
            )
        choose = choose_all
    return kind(network, choose, tokens, device, clips, pick_key_frame=pick_key_frame)
