"""Propagation of one expression at a time, every frame encoded for every expression and direction."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from deaot_toolkit.encoders.swin import SwinBlock, WindowAttention, WindowOrder
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.plain_networks import PlainAot, PlainDeaot, PlainEntry, torch_alone

_SUPPRESSED = -1e10


class PlainEngine:
    """The memory of one direction of one expression."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.core = PlainAot(network) if network.config.family == "aot" else PlainDeaot(network)
        self.counter = 0
        self.last_write = 0
        self.long: list[list[PlainEntry]] = []
        self.short: list[PlainEntry] = []
        self.seen: list[Any] = []

    def reference(self, image: Tensor, labels: Tensor) -> None:
        """Remember the first frame (1, 3, h, w) with its labels (h, w)."""
        identity = self._identify(labels)
        _, tokens, grid = self._encode(image)
        _, self.seen = self.core.read(tokens, grid, [], [], identity)
        self.short = self._entries(identity)
        self.long = [self.short]

    def propagate(self, image: Tensor) -> Tensor:
        """Return the logits (1 + identities, h/4, w/4) of the next frame, one object being in use."""
        self.counter += 1
        maps, tokens, grid = self._encode(image)
        long = [
            PlainEntry(torch.cat([e.key for e in entries]), torch.cat([e.value for e in entries]))
            for entries in zip(*self.long, strict=True)
        ]
        tokens, self.seen = self.core.read(tokens, grid, long, self.short, None)
        logits = self._decode(maps, tokens, grid)
        logits[2:] = _SUPPRESSED
        return logits

    def remember(self, labels: Tensor) -> None:
        """Decide the labels (h, w) of the frame at hand."""
        self.short = self._entries(self._identify(labels))
        if self.counter - self.last_write >= self.network.config.long_term_gap:
            self.long = [self.short, *self.long]
            self.last_write = self.counter

    def _encode(self, image: Tensor) -> tuple[list[Tensor], Tensor, tuple[int, int]]:
        *maps, last = self.network.encoder(image.contiguous(memory_format=torch.channels_last))
        projected = self.network.encoder_projector(last)
        return maps, projected[0].flatten(1).t(), (projected.shape[2], projected.shape[3])

    def _identify(self, labels: Tensor) -> Tensor:
        bank = self.network.patch_wise_id_bank
        shares = F.one_hot(labels, bank.in_channels).permute(2, 0, 1)[None].float()
        embedded = F.conv2d(shares, bank.weight, bank.bias, bank.stride, bank.padding)[0].flatten(1).t()
        result: Tensor = self.network.id_norm(embedded)
        return result

    def _entries(self, identity: Tensor) -> list[PlainEntry]:
        return [self.core.entry(index, seen, identity) for index, seen in enumerate(self.seen)]

    def _decode(self, maps: Sequence[Tensor], tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        decoder = self.network.decoder
        fourth, eighth, sixteenth = maps
        entry = decoder.conv_in
        mixed = F.relu(entry.gn(entry.conv(tokens.t().reshape(1, -1, *grid))))
        mixed = F.relu(decoder.conv_16x(mixed + decoder.adapter_16x(sixteenth)))
        for level, adapted in (
            (decoder.conv_8x, decoder.adapter_8x(eighth)),
            (decoder.conv_4x, decoder.adapter_4x(fourth)),
        ):
            mixed = F.interpolate(
                mixed, adapted.shape[2:], mode="bilinear", align_corners=self.network.config.align_corners
            )
            mixed = F.relu(level(mixed + adapted))
        logits: Tensor = decoder.conv_out(mixed)[0]
        return logits


@contextmanager
def plain_arithmetic() -> Iterator[None]:
    """Let Swin pad, roll and cut its maps before it projects them, and linear layers be torch's own."""
    with torch_alone(), patch.object(SwinBlock, "forward", _swin_block):
        yield


def _swin_block(self: SwinBlock, cells: Tensor, order: WindowOrder) -> Tensor:
    cells = cells + _attend_windows(self.attn, self.norm1(cells), order.mask)
    result: Tensor = cells + self.mlp(self.norm2(cells))
    return result


def _attend_windows(attention: WindowAttention, cells: Tensor, mask: Tensor | None) -> Tensor:
    batch, height, width, channels = cells.shape
    heads, window = attention.heads, math.isqrt(attention.tokens)
    shift = 0 if mask is None else window // 2
    padded = F.pad(cells, (0, 0, 0, -width % window, 0, -height % window)).roll((-shift, -shift), dims=(1, 2))
    rows, columns = padded.shape[1] // window, padded.shape[2] // window
    cut = padded.view(batch, rows, window, columns, window, channels).transpose(2, 3)
    qkv = attention.qkv(cut.reshape(-1, window**2, channels)).view(-1, window**2, 3, heads, channels // heads)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)
    bias = attention.relative_position_bias_table[attention.relative_position_index].permute(2, 0, 1)
    logits = query * (channels // heads) ** -0.5 @ key.transpose(2, 3) + bias
    if mask is not None:
        logits = logits + mask[:, None].repeat(batch, 1, 1, 1)
    mixed = attention.proj((logits.softmax(dim=3) @ value).transpose(1, 2).flatten(2))
    joined = mixed.view(batch, rows, columns, window, window, channels).transpose(2, 3).reshape(padded.shape)
    result: Tensor = joined.roll((shift, shift), dims=(1, 2))[:, :height, :width]
    return result


@torch.inference_mode()
@plain_arithmetic()
def propagate_plain(network: Any, images: Sequence[Tensor], key: int, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the masks (T, H, W) of one object, carried from its key frame both ways.

    Args:
        network: of the toolkit, whose weights are used.
        images: network inputs (1, 3, h, w).
        key: index of the key frame.
        mask: of the object there, (H, W) at frame size.
    """
    masks = np.zeros((len(images), *mask.shape), dtype=bool)
    masks[key] = mask
    given = torch.from_numpy(mask).long()
    for order in (range(key + 1, len(images)), range(key - 1, -1, -1)):
        if not order:
            continue
        engine = PlainEngine(network)
        engine.reference(images[key], _to_network(given, images[key]))
        for index in order:
            logits = F.interpolate(
                engine.propagate(images[index])[None],
                mask.shape,
                mode="bilinear",
                align_corners=network.config.align_corners,
            )
            labels = logits.softmax(dim=1).argmax(dim=1)[0]
            engine.remember(_to_network(labels, images[index]))
            masks[index] = labels.numpy() > 0
    return masks


def _to_network(labels: Tensor, image: Tensor) -> Tensor:
    return F.interpolate(labels[None, None].float(), image.shape[2:], mode="nearest")[0, 0].long()
