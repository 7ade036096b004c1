"""Rows of clips and of their frames: split by clip, shared by the expressions of a clip, joined from parts."""

from __future__ import annotations

import torch
from torch import Tensor

from runners.networks.attention.deformable_transformer import DecoderStates


def by_clip(values: Tensor, clips: int) -> Tensor:
    """Return `(clips, T, ...)` of values `(clips * T, ...)`."""
    return torch.unflatten(values, 0, (clips, -1))


def for_clips(values: Tensor, clips: int, wanted: int, frames: int = 0) -> Tensor:
    """Return rows of clips, repeated where one clip serves `wanted` expressions; with `frames`, one row serves all."""
    if clips == wanted or (frames and len(values) == 1):
        return values
    # Whole clips one after the other, as E stands before T everywhere: not repeat_interleave.
    return values.repeat(wanted, *([1] * (values.ndim - 1)))


def join_frames(parts: list[tuple[list[Tensor], DecoderStates]]) -> tuple[list[Tensor], DecoderStates]:
    """Return the maps and states of consecutive frames as one."""
    if len(parts) == 1:
        return parts[0]
    maps = [torch.cat(levels) for levels in zip(*(levels for levels, _ in parts), strict=True)]
    states = [state for _, state in parts]
    decoded = DecoderStates(
        torch.cat([state.hidden for state in states], 1),
        torch.cat([state.initial_reference for state in states]),
        torch.cat([state.references for state in states], 1),
        torch.cat([state.deltas for state in states], 1),
    )
    return maps, decoded
