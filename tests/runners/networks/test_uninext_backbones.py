"""UNINEXT's backbones against plain formulas: tabled norms, windows, relative positions, map sizes."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from runners.networks.attention.grid_attention import GridAttention, attend_in_windows, resize_relative
from runners.networks.uninext.config import ConvNextSizes, ResNetSizes, VitSizes
from runners.networks.uninext.convnext import ChannelNorm, ConvNext
from runners.networks.uninext.visual import build_backbone, level_masks
from runners.networks.uninext.vit import Vit

SMALL_VIT = VitSizes(width=16, depth=3, heads=2, mlp_ratio=2, patch=4, window=3, windowed=(0,), pretrain_grid=4)


def test_tabled_norm_equals_a_plain_layer_norm() -> None:
    torch.manual_seed(0)
    norm, plain = ChannelNorm(6), nn.LayerNorm(6, eps=1e-6)
    with torch.no_grad():
        norm.weight.weight.normal_()
        norm.bias.weight.normal_()
        plain.weight.copy_(norm.weight.weight[0])
        plain.bias.copy_(norm.bias.weight[0])
    maps = torch.randn(2, 6, 3, 4)
    torch.testing.assert_close(norm(maps), plain(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


def test_convnext_goes_on_from_the_maps_before_their_output_norm() -> None:
    torch.manual_seed(0)
    network = ConvNext(ConvNextSizes(depths=(1, 1, 1, 1), widths=(4, 8, 8, 8))).eval()
    frames = torch.randn(1, 3, 64, 96)
    before = network(frames)
    with torch.no_grad():
        network.get_submodule("norm1").weight.weight.mul_(3.0)
    after = network(frames)
    torch.testing.assert_close(after[0], 3 * before[0])
    torch.testing.assert_close(after[1:], before[1:])


@pytest.mark.parametrize(
    ("sizes", "frame", "expected"),
    [
        (ResNetSizes(blocks=(1, 1, 1, 1), width=4), (75, 107), [(32, 10, 14), (64, 5, 7), (128, 3, 4)]),
        (ConvNextSizes((1, 1, 1, 1), (4, 8, 12, 16)), (64, 96), [(8, 8, 12), (12, 4, 6), (16, 2, 3)]),
        (SMALL_VIT, (24, 40), [(8, 12, 20), (16, 6, 10), (16, 3, 5)]),
    ],
    ids=["resnet rounds up", "convnext", "vit"],
)
def test_maps_have_the_stated_channels_and_sizes(
    sizes: ResNetSizes, frame: tuple[int, int], expected: list[tuple[int, int, int]]
) -> None:
    maps = build_backbone(sizes).eval()(torch.randn(2, 3, *frame))
    assert [tuple(level.shape[1:]) for level in maps] == expected
    assert tuple(level.shape[1] for level in maps) == sizes.channels


def test_windows_are_cut_row_by_row_and_put_back() -> None:
    tokens = torch.arange(2 * 4 * 5, dtype=torch.float32).view(2, 4, 5, 1)
    seen: list[torch.Tensor] = []

    class Unchanged(nn.Module):
        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            seen.append(windows)
            return windows

    found = attend_in_windows(Unchanged(), tokens, 3)
    (windows,) = seen
    assert windows.shape == (2 * 2 * 2, 3, 3, 1)
    assert windows[1, :, :, 0].tolist() == [[3, 4, 0], [8, 9, 0], [13, 14, 0]]
    assert windows[2, 0, :, 0].tolist() == [15, 16, 17]
    assert windows[2, 1].abs().sum() == 0
    torch.testing.assert_close(found, tokens)


def test_relative_tables_are_resized_only_if_they_must() -> None:
    table = torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0]])
    assert resize_relative(table, 3) is table
    # Length 5 to 3: samples at 1/3, 2 and 11/3 of the old positions.
    torch.testing.assert_close(resize_relative(table, 2)[:, 0], torch.tensor([1 / 3, 2.0, 11 / 3]))


def test_attention_adds_distance_scores_of_the_unscaled_query() -> None:
    torch.manual_seed(1)
    height, width, heads, channels = 2, 3, 2, 8
    layer = GridAttention(channels, heads, 3)
    with torch.no_grad():
        layer.rel_pos_h.normal_()
        layer.rel_pos_w.normal_()
    tokens = torch.randn(1, height, width, channels)
    q, k, v = layer.qkv(tokens).view(height, width, 3, heads, 4).unbind(2)
    rows, columns = resize_relative(layer.rel_pos_h, height), resize_relative(layer.rel_pos_w, width)
    expected = torch.zeros(height, width, heads, 4)
    places = list(itertools.product(range(height), range(width)))
    for head, (i, j) in itertools.product(range(heads), places):
        query = q[i, j, head]
        scores = torch.stack(
            [
                query @ k[a, b, head] / 2 + query @ rows[i - a + height - 1] + query @ columns[j - b + width - 1]
                for a, b in places
            ]
        ).softmax(0)
        expected[i, j, head] = sum(scores[n] * v[a, b, head] for n, (a, b) in enumerate(places))
    torch.testing.assert_close(layer(tokens)[0], layer.proj(expected.flatten(2)), atol=1e-6, rtol=1e-5)


def test_only_listed_blocks_of_the_vit_are_windowed() -> None:
    sizes = VitSizes()
    assert [index for index in range(sizes.depth) if index not in sizes.windowed][:5] == [2, 5, 8, 11, 12]
    network = Vit(SMALL_VIT)
    assert [block.window for block in network.blocks] == [3, 0, 0]
    assert network.blocks[0].attn.rel_pos_h.shape == (5, 8)
    assert network.blocks[1].attn.rel_pos_h.shape == (127, 8)


def test_a_far_pixel_reaches_across_windows_in_global_blocks_only() -> None:
    torch.manual_seed(0)
    windowed = Vit(VitSizes(16, 1, 2, 2, 4, 3, (0,), 4)).eval()
    everywhere = Vit(VitSizes(16, 1, 2, 2, 4, 3, (), 4)).eval()
    frames = torch.randn(1, 3, 24, 24)
    changed = frames.clone()
    changed[..., 20:, 20:] += 1
    for network, reaches in ((windowed, False), (everywhere, True)):
        difference = (network(frames)[1] - network(changed)[1]).abs()[0, :, 0, 0].max()
        assert bool(difference > 1e-6) == reaches


def test_position_table_is_used_as_it_is_on_its_own_grid() -> None:
    network = Vit(SMALL_VIT)
    nn.init.normal_(network.pos_embed)
    torch.testing.assert_close(network.positions(4, 4).flatten(1, 2), network.pos_embed[:, 1:])
    assert network.positions(6, 2).shape == (1, 6, 2, 16)


def test_the_last_level_takes_the_first_levels_mask() -> None:
    padding = torch.zeros(1, 20, 20, dtype=torch.bool)
    padding[:, :, 11:] = True
    masks = level_masks(padding, ((5, 5), (3, 3), (2, 2), (1, 3)))
    assert masks[0][0, 0].tolist() == [False, False, False, True, True]
    # From level 0, columns 0, 1 and 3 of 5; from the frame it would be columns 0, 6 and 13 of 20.
    assert masks[3][0, 0].tolist() == [False, False, True]
