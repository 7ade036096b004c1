"""Blocks of shifted windows against a loop over pairs of tokens."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from runners.networks.backbones.shifted_windows import WindowBlock
from runners.networks.backbones.window_order import Sizes

HEADS, WIDTH = 2, 4


def segment(place: int, *, length: int, window: int, shift: int) -> int:
    """Return which part of a rolled axis a place belongs to; tokens of different parts were no neighbours before."""
    if not shift or place < length - window:
        return 0
    return 1 if place < length - shift else 2


def attend_by_token(block: WindowBlock, x: Tensor, window: Sizes, shift: Sizes) -> Tensor:
    """Return what the block's attention gives for a map `(T, H, W, C)`, pair of tokens by pair of tokens.

    Args:
        window, shift: in force for this map, worked out by hand.
    """
    sizes = x.shape[:3]
    full = [size + -size % width for size, width in zip(sizes, window, strict=True)]
    padded = torch.zeros(*full, x.shape[3])
    padded[: sizes[0], : sizes[1], : sizes[2]] = block.norm1(x)
    qkv = block.attn.qkv(padded).view(*full, 3, HEADS, WIDTH)
    nominal = block.window
    out = torch.zeros(*full, HEADS * WIDTH)
    places = list(product(*(range(size) for size in full)))
    rolled = {
        place: tuple((at - step) % size for at, step, size in zip(place, shift, full, strict=True)) for place in places
    }
    for one in places:
        neighbours = [
            other
            for other in places
            if all(a // w == b // w for a, b, w in zip(rolled[one], rolled[other], window, strict=True))
        ]
        logits = []
        for other in neighbours:
            logit = (qkv[(*one, 0)] * qkv[(*other, 1)]).sum(-1) * WIDTH**-0.5
            apart = [_nominal_place(rolled[place], window, nominal) for place in (one, other)]
            row = 0
            for a, b, size in zip(*apart, nominal, strict=True):
                row = row * (2 * size - 1) + a - b + size - 1
            logit = logit + block.attn.relative_position_bias_table[row]
            parts = [
                [
                    segment(at, length=size, window=width, shift=step)
                    for at, size, width, step in zip(rolled[place], full, window, shift, strict=True)
                ]
                for place in (one, other)
            ]
            logits.append(logit if parts[0] == parts[1] else logit - 100)
        weights = torch.stack(logits).softmax(0)
        values = torch.stack([qkv[(*other, 2)] for other in neighbours])
        out[one] = (weights[..., None] * values).sum(0).flatten()
    return block.attn.proj(out)[: sizes[0], : sizes[1], : sizes[2]]


def _nominal_place(rolled: tuple[int, ...], window: Sizes, nominal: Sizes) -> tuple[int, int, int]:
    """Return the place in a nominal window that the official index gives to a token of a (smaller) window."""
    t, r, c = (at % width for at, width in zip(rolled, window, strict=True))
    number = (t * window[1] + r) * window[2] + c
    return number // (nominal[1] * nominal[2]), number // nominal[2] % nominal[1], number % nominal[2]


def make_block(window: Sizes, shift: Sizes, *, shrinks: bool) -> WindowBlock:
    torch.manual_seed(3)
    block = WindowBlock(HEADS * WIDTH, HEADS, window=window, shift=shift, shrinks=shrinks, drop_path=0.0)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return block.eval()


@pytest.mark.parametrize("shift", [(0, 0, 0), (0, 3, 3)], ids=["still", "shifted"])
@pytest.mark.parametrize(
    ("height", "width"),
    [(7, 7), (1, 1), (3, 6), (7, 8), (2, 9), (9, 9)],
    ids=["one whole window", "one token", "less than a window", "a column more", "one row of windows", "four windows"],
)
def test_windows_of_frames_are_never_smaller_and_always_shifted(height: int, width: int, shift: Sizes) -> None:
    block = make_block((1, 7, 7), shift, shrinks=False)
    x = torch.randn(2, 1, height, width, HEADS * WIDTH)
    with torch.inference_mode():
        expected = x + torch.stack([attend_by_token(block, one, (1, 7, 7), shift) for one in x])
        expected = expected + block.mlp(block.norm2(expected))
        torch.testing.assert_close(block(x), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shifted", [False, True], ids=["still", "shifted"])
@pytest.mark.parametrize(
    ("sizes", "window", "shift"),
    [
        ((2, 3, 3), (2, 3, 3), (0, 0, 0)),
        ((4, 3, 3), (4, 3, 3), (0, 0, 0)),
        ((5, 3, 2), (4, 3, 2), (2, 0, 0)),
        ((3, 4, 3), (3, 3, 3), (0, 1, 0)),
        ((4, 2, 7), (4, 2, 3), (0, 0, 1)),
        ((6, 4, 4), (4, 3, 3), (2, 1, 1)),
    ],
    ids=["short clip", "one whole window", "long and small", "rows alone", "columns alone", "all axes"],
)
def test_windows_of_clips_shrink_and_rest_axis_by_axis(
    sizes: Sizes, window: Sizes, shift: Sizes, *, shifted: bool
) -> None:
    block = make_block((4, 3, 3), (2, 1, 1) if shifted else (0, 0, 0), shrinks=True)
    x = torch.randn(1, *sizes, HEADS * WIDTH)
    moved = shift if shifted else (0, 0, 0)
    with torch.inference_mode():
        expected = x + attend_by_token(block, x[0], window, moved)
        expected = expected + block.mlp(block.norm2(expected))
        torch.testing.assert_close(block(x), expected, atol=1e-4, rtol=1e-4)
