"""What the transformers remember of a frame, and how frames are stacked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deaot_toolkit.errors import EngineError


@dataclass(frozen=True, slots=True)
class LayerEntry:
    """One or several remembered frames of a layer: key (b, M, d), and values (b, M, dv), one of AOT, two of DeAOT."""

    key: Tensor
    values: tuple[Tensor, ...]

    @property
    def n_bytes(self) -> int:
        """Memory of the tensors."""
        return sum(tensor.numel() * tensor.element_size() for tensor in (self.key, *self.values))


FrameEntry = tuple[LayerEntry, ...]


@dataclass(frozen=True, slots=True)
class LayerMemory:
    """What a layer reads: the stacked long-term frames and the previous frame."""

    long: LayerEntry
    short: LayerEntry


def read_memory(
    remember: Callable[[Tensor], LayerEntry], index: int, memory: Sequence[LayerMemory] | None, identity: Tensor | None
) -> LayerMemory:
    """Return what the layer of that index reads: its memory, or without any the frame itself with its `identity`."""
    if memory is not None:
        return memory[index]
    if identity is None:
        raise EngineError("a frame is read without memory and without labels; give one of them")
    # A reference frame is its own long-term and short-term memory.
    own = remember(identity)
    return LayerMemory(own, own)


def _join(parts: Sequence[Tensor]) -> Tensor:
    # In the first layer keys of a frame that serves all rows have batch 1, those of one frame a row have B.
    batch = max(part.shape[0] for part in parts)
    return torch.cat([part.expand(batch, -1, -1) for part in parts], dim=1) if len(parts) > 1 else parts[0]


def stack_frames(frames: Sequence[FrameEntry]) -> FrameEntry:
    """Return the frames' entries stacked along the tokens, layer by layer, in the given order."""
    return tuple(
        LayerEntry(
            _join([layer.key for layer in layers]),
            # frames x values -> values x frames, each (B, frames * N, dv)
            tuple(_join(parts) for parts in zip(*(layer.values for layer in layers), strict=True)),
        )
        for layers in zip(*frames, strict=True)
    )


def pick_frames(stack: FrameEntry, indices: Sequence[int], *, frames: int) -> list[FrameEntry]:
    """Return parts of a stack of `frames` frames, in order: runs of neighbouring frames stay together as views."""
    parts, start = [], 0
    for position, index in enumerate(indices):
        # A run ends where the next index is no neighbour: one view a run instead of one a frame.
        if position + 1 == len(indices) or indices[position + 1] != index + 1:
            parts.append(tuple(_rows(layer, indices[start], index + 1, frames) for layer in stack))
            start = position + 1
    return parts


def _rows(layer: LayerEntry, first: int, end: int, frames: int) -> LayerEntry:
    cells = layer.key.shape[1] // frames
    part = slice(first * cells, end * cells)
    return LayerEntry(layer.key[:, part], tuple(value[:, part] for value in layer.values))
