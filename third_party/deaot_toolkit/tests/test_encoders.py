"""Encoders against what their definition says."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deaot_toolkit import EncoderConfig
from deaot_toolkit.encoders.frozen_norm import FrozenBatchNorm, convolve_and_norm
from deaot_toolkit.encoders.swin import PatchMerging, SwinBlock, relative_index, window_order
from deaot_toolkit.network import build_encoder


def test_a_frozen_norm_equals_batch_norm_in_evaluation() -> None:
    norm, official = FrozenBatchNorm(6), nn.BatchNorm2d(6).eval()
    for name in ("weight", "bias", "running_mean", "running_var"):
        value = torch.rand(6) + 0.5
        getattr(norm, name).copy_(value)
        getattr(official, name).data.copy_(value)
    convolution = nn.Conv2d(3, 6, 3, 2, padding=1, bias=False)
    images = torch.randn(2, 3, 9, 11)
    expected = official(convolution(images))
    torch.testing.assert_close(convolve_and_norm(convolution, norm, images), expected, atol=1e-5, rtol=1e-5)


def test_frozen_norms_have_no_parameters() -> None:
    names = {name for name, _ in build_encoder(EncoderConfig("mobilenet_v2")).named_parameters()}
    assert not any(".1.weight" in name and "conv" not in name for name in names)
    assert "features.18.0.weight" in names


def test_maps_have_the_stated_channels_and_strides() -> None:
    for config in (
        EncoderConfig("mobilenet_v2"),
        EncoderConfig("resnet", depths=(1, 1, 1)),
        EncoderConfig("compact", depths=(1, 1, 1), widths=(8, 16, 24, 32)),
    ):
        maps = build_encoder(config)(torch.randn(1, 3, 65, 81))
        assert tuple(level.shape[1] for level in maps) == config.channels
        assert [tuple(level.shape[2:]) for level in maps] == [(17, 21), (9, 11), (5, 6), (5, 6)]


def attend_by_token(block: SwinBlock, cells: Tensor) -> Tensor:
    """Return window attention with shift, pair of tokens by pair: who may see whom follows from the coordinates."""
    heads, window = block.attn.heads, int(block.attn.tokens**0.5)
    shift = window // 2 if block.shifted else 0
    _, height, width, channels = cells.shape
    full = (height + -height % window, width + -width % window)
    padded = torch.zeros(1, *full, channels)
    padded[:, :height, :width] = block.norm1(cells)
    tokens = padded.flatten(1, 2)[0]
    query, key, value = block.attn.qkv(tokens).view(-1, 3, heads, channels // heads).permute(1, 2, 0, 3)
    table = block.attn.relative_position_bias_table.view(2 * window - 1, 2 * window - 1, heads)
    logits = torch.full((heads, len(tokens), len(tokens)), float("-inf"))
    places = [divmod(index, full[1]) for index in range(len(tokens))]
    for one, (y, x) in enumerate(places):
        rolled = (y - shift) % full[0], (x - shift) % full[1]
        for other, (v, u) in enumerate(places):
            there = (v - shift) % full[0], (u - shift) % full[1]
            if (rolled[0] // window, rolled[1] // window) != (there[0] // window, there[1] // window):
                continue
            bias = table[rolled[0] - there[0] + window - 1, rolled[1] - there[1] + window - 1]
            # Rolled to the far side: neighbours in the window that were none in the image.
            parted = shift and ((y < shift) != (v < shift) or (x < shift) != (u < shift))
            product = (query[:, one] * key[:, other]).sum(dim=1) * (channels // heads) ** -0.5
            logits[:, one, other] = product + bias + (-100.0 if parted else 0.0)
    attended = (logits.softmax(dim=2) @ value).transpose(0, 1).flatten(1)
    result: Tensor = block.attn.proj(attended).view(1, *full, channels)[:, :height, :width]
    return result


def test_swin_blocks_equal_attention_token_by_token() -> None:
    torch.manual_seed(0)
    for shifted in (False, True):
        for size in ((5, 7), (4, 4), (3, 2), (9, 4)):
            block = SwinBlock(8, 2, window=4, shifted=shifted)
            nn.init.normal_(block.attn.relative_position_bias_table)
            cells = torch.randn(1, *size, 8)
            expected = cells + attend_by_token(block, cells)
            expected = expected + block.mlp(block.norm2(expected))
            found = block(cells, window_order(size, 4, shifted=shifted))
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_relative_index_is_query_minus_key() -> None:
    index = relative_index(3)
    assert int(index[0, 0]) == 2 * 5 + 2
    assert int(index[8, 0]) == 4 * 5 + 4
    assert int(index[0, 1]) == 2 * 5 + 1


def test_merging_takes_the_sub_lattices_in_the_official_order() -> None:
    merging = PatchMerging(1)
    merging.norm, merging.reduction = nn.Identity(), nn.Identity()
    cells = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).view(1, 2, 3, 1)
    assert merging(cells).tolist() == [[[[1.0, 4.0, 2.0, 5.0], [3.0, 6.0, 0.0, 0.0]]]]
