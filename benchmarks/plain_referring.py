"""ReferFormer, SOC and UNINEXT as their authors run them, on the weights of our networks: the other side.

Every expression starts from pixels; attention weights are formed as whole matrices and averaged over heads, maps are
padded, rolled and cut before their windows are projected and a mask is added for each window, all sampled values are
stacked before they are weighed, feed-forward layers see all tokens at once, and masks are drawn for every query (of
ReferFormer and SOC: of every decoder layer) from a copy of the mask features. UNINEXT's expressions are padded to 256
tokens, its fusion projects all pixels to the inner width, and the head that associates queries across frames runs,
though nothing reads it. Linear layers are torch's own.

Source: soc.md, section 9; uninext.md, sections 2, 5, 10, 13 and 15: what the official code computes and inference does
not need.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.plain_networks import torch_alone
from runners.networks.attention import broadcast_attention, deformable_attention, deformable_transformer
from runners.networks.backbones.shifted_windows import WindowAttention, WindowBlock
from runners.networks.backbones.window_order import Sizes, effective_window, to_windows, window_groups
from runners.networks.parts import pyramid
from runners.networks.parts.dynamic_masks import split_filters
from runners.networks.parts.referring import Predictions
from runners.networks.referformer import network as referformer
from runners.networks.referformer.network import ReferFormer
from runners.networks.soc import network as soc
from runners.networks.soc.network import SOC
from runners.networks.soc.types import SOCOutputs
from runners.networks.text.bert import Text
from runners.networks.uninext import masks as uninext_masks
from runners.networks.uninext.fusion import BiAttention
from runners.networks.uninext.network import Uninext, pad_frames

_LIMIT = 50000.0


def plain_predict(network: ReferFormer, frames: Tensor, ids: Tensor) -> Predictions:
    """Return all predictions for one expression, from pixels: frames (1, T, 3, H, W), ids (1, L)."""
    with plain_arithmetic():
        predictions: Predictions = network(frames, None, ids, torch.ones_like(ids))
    return predictions


def plain_soc(network: SOC, frames: Tensor, ids: Tensor) -> SOCOutputs:
    """Return all predictions for one expression, from pixels: frames (1, T, 3, H, W), ids (1, L)."""
    sizes = torch.tensor([frames.shape[-2:]])
    with plain_arithmetic():
        outputs: SOCOutputs = network(frames, None, ids, torch.ones_like(ids), sizes)
    return outputs


def plain_uninext(network: Uninext, frame: Tensor, ids: Tensor) -> Tensor:
    """Return the mask logits (h, w) of the best query, all queries being drawn: frame (1, 3, H, W), ids (1, L)."""
    sizes = torch.tensor([frame.shape[-2:]])
    padding = network.config.text.max_tokens - ids.shape[1]
    with plain_arithmetic():
        visual = network.look(pad_frames(frame, network.config.backbone.multiple), sizes)
        text = network.read(F.pad(ids, (0, padding)), F.pad(torch.ones_like(ids), (0, padding)))
        detections = network.detect(visual, text)
        if network.config.association_layers:
            network.detr.reid_embed_head(detections.decoded.states[-1], detections.boxes, detections.memory)
        queries = torch.arange(detections.scores.shape[1])[None]
        painted = network.paint(detections, queries, visual.sizes)
    return painted[0, int(detections.scores.argmax())]


@contextmanager
def plain_arithmetic() -> Iterator[None]:
    """Replace the fused and sliced parts of the network by the plain ones below."""
    with ExitStack() as stack:
        stack.enter_context(torch_alone())
        stack.enter_context(patch.object(WindowBlock, "_attend", _attend_windows))
        stack.enter_context(patch.object(BiAttention, "forward", _attend_both_ways))
        stack.enter_context(patch.object(deformable_attention, "sample", _sample_levels))
        for module in (referformer, soc, uninext_masks):
            stack.enter_context(patch.object(module, "dynamic_masks", _dynamic_masks))
        for module in (deformable_transformer, pyramid):
            stack.enter_context(patch.object(module, "feed_forward", _feed_forward))
        for module in (broadcast_attention, pyramid):
            stack.enter_context(patch.object(module, "attend", _attend))
        yield


def _attend(
    module: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor, padding_mask: Tensor | None = None
) -> Tensor:
    result: Tensor = module(query, key, value, key_padding_mask=padding_mask, need_weights=True)[0]
    return result


def _feed_forward(first: nn.Linear, second: nn.Linear, dropout: nn.Module, tokens: Tensor) -> Tensor:
    result: Tensor = second(dropout(F.relu(first(tokens))))
    return result


def _attend_windows(self: WindowBlock, x: Tensor) -> Tensor:
    sizes = (x.shape[1], x.shape[2], x.shape[3])
    window, shift = effective_window(sizes, self.window, self.shift, shrinks=self.shrinks)
    ends = [-size % width for size, width in zip(sizes, window, strict=True)]
    x = F.pad(x, (0, 0, 0, ends[2], 0, ends[1], 0, ends[0]))
    padded = (x.shape[1], x.shape[2], x.shape[3])
    if any(shift):
        x = x.roll([-step for step in shift], (1, 2, 3))
    masks = None
    if any(shift):
        groups = window_groups(padded, window, shift)
        masks = x.new_zeros(sum(len(members) for members, _ in groups), *groups[0][1].shape)
        for members, mask in groups:
            masks[members] = mask
    x = from_windows(_attend_in_windows(self.attn, to_windows(x, window), masks), window, padded)
    if any(shift):
        x = x.roll(shift, (1, 2, 3))
    return x[:, : sizes[0], : sizes[1], : sizes[2]]


def from_windows(x: Tensor, window: Sizes, sizes: Sizes) -> Tensor:
    """Return the map `(B, T, H, W, C)` of windows `(B, windows, N, C)`."""
    frames, rows, columns = sizes
    t, h, w = window
    # (B, windows, t * h * w, C) -> (B, T/t, H/h, W/w, t, h, w, C) -> (B, T, H, W, C)
    cut = x.view(len(x), frames // t, rows // h, columns // w, t, h, w, x.shape[-1])
    return cut.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(len(x), frames, rows, columns, x.shape[-1])


def _attend_in_windows(attention: WindowAttention, windows: Tensor, masks: Tensor | None) -> Tensor:
    batch, count, tokens, channels = windows.shape
    heads = attention.heads
    index = attention.relative_position_index[:tokens, :tokens].reshape(-1)
    bias = attention.relative_position_bias_table[index].view(tokens, tokens, -1).permute(2, 0, 1)
    qkv = attention.qkv(windows).view(batch * count, tokens, 3, heads, channels // heads)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)
    logits = (query * (channels // heads) ** -0.5) @ key.transpose(-2, -1) + bias
    if masks is not None:
        logits = (logits.view(batch, count, heads, tokens, tokens) + masks[:, None]).flatten(0, 1)
    mixed = (logits.softmax(-1) @ value).transpose(1, 2).reshape(windows.shape)
    result: Tensor = attention.proj(mixed)
    return result


def _attend_both_ways(self: BiAttention, visual: Tensor, text: Text) -> tuple[Tensor, Tensor]:
    # (N, n, heads * c) -> (N, heads, n, c)
    query, key, visual_values, text_values = (
        torch.unflatten(tokens, -1, (self.heads, -1)).transpose(1, 2)
        for tokens in (
            self.v_proj(visual) * self.scale,
            self.l_proj(text.tokens),
            self.values_v_proj(visual),
            self.values_l_proj(text.tokens),
        )
    )
    scores = query @ key.transpose(-2, -1)
    # Officially the largest score is taken off each row, and the result clamped, on the way to the text.
    turned = scores.transpose(-2, -1)
    to_text = (turned - turned.amax(-1, keepdim=True)).clamp(-_LIMIT, _LIMIT).softmax(-1)
    to_image = scores.clamp(-_LIMIT, _LIMIT).masked_fill(~text.mask[:, None, None], -torch.inf).softmax(-1)
    image = self.out_v_proj((to_image @ text_values).transpose(1, 2).flatten(2))
    return image, self.out_l_proj((to_text @ visual_values).transpose(1, 2).flatten(2))


def _sample_levels(value: Tensor, shapes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    images, _, heads, channels = value.shape
    queries, levels, points = locations.shape[1], *locations.shape[3:5]
    samples = []
    for level, part in enumerate(value.split_with_sizes([height * width for height, width in shapes], dim=1)):
        maps = part.flatten(2).transpose(1, 2).reshape(images * heads, channels, *shapes[level])
        grid = (2 * locations[:, :, :, level] - 1).transpose(1, 2).flatten(0, 1)
        samples.append(F.grid_sample(maps, grid, "bilinear", "zeros", align_corners=False))
    shares = weights.transpose(1, 2).reshape(images * heads, 1, queries, levels * points)
    total = (torch.stack(samples, dim=-2).flatten(-2) * shares).sum(-1)
    return total.view(images, heads * channels, queries).transpose(1, 2)


def _dynamic_masks(
    features: Tensor, filters: Tensor, references: Tensor, image_sizes: Tensor, *, channels: int = 8, stride: int = 4
) -> Tensor:
    images, queries = filters.shape[:2]
    height, width = features.shape[-2:]
    columns = torch.arange(width) * stride + stride // 2
    rows = torch.arange(height) * stride + stride // 2
    centres = torch.stack((columns.expand(height, -1), rows[:, None].expand(-1, width)))
    relative = (references * image_sizes.flip(-1)[:, None])[..., None, None] - centres
    weights, biases = split_filters(filters, features.shape[1], channels)
    # Layer by layer of the decoder, as each has its own copy of the features.
    masks = []
    for part in torch.arange(queries).chunk(max(1, queries // 5)):
        copies = features[:, None].expand(-1, len(part), -1, -1, -1)
        hidden = torch.cat((copies, relative[:, part]), dim=2).reshape(1, -1, height, width)
        for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            kernel = weight[:, part].flatten(0, 1)
            groups = len(kernel)
            hidden = F.conv2d(hidden, kernel.flatten(0, 1)[..., None, None], bias[:, part].flatten(), groups=groups)
            hidden = hidden.relu() if index < len(weights) - 1 else hidden
        masks.append(hidden.view(images, len(part), height, width))
    return torch.cat(masks, dim=1)
