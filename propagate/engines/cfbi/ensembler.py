"""The collaborative ensembler: turns a row's maps into its logit, gated by the row's mean embeddings.

It takes one row at a time: maps of several are too large for the allocator to keep, and pages that are new each time
cost as much as what is computed on them.

Source: cfbi.md, section 6.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, relu

from propagate.engines.cfbi.configs import CfbiConfig
from propagate.engines.cfbi.embeddings import resize

_EPSILON = 1e-5
_BOTTLENECK = 4
_RATES = (1, 6, 12, 18)
# Of the eight blocks: which multiple of the width goes out, stride, dilation.
_BLOCKS = ((1, 1, 1), (1, 1, 2), (2, 2, 1), (2, 1, 2), (2, 1, 4), (2, 2, 1), (2, 1, 2), (2, 1, 4))
_DETAIL_AFTER = 1
# Blocks before which the input of the next coarser stride joins (CFBI+).
_JOINS = (3, 6)


class Gate(nn.Module):
    """What a row's mean embeddings multiply its channels by."""

    def __init__(self, channels: int, head: int) -> None:
        super().__init__()
        self.IA = nn.Linear(head, channels)

    def forward(self, head: Tensor) -> Tensor:
        """Return the factors (rows, C) of the heads (rows, H)."""
        return 1 + torch.tanh(self.IA(head))


class ChannelTransformation(nn.Module):
    """Gated channel transformation: channels compete by their length over the whole map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        shape = (1, channels, 1, 1)
        self.alpha = nn.Parameter(torch.ones(shape))
        self.gamma = nn.Parameter(torch.zeros(shape))
        self.beta = nn.Parameter(torch.zeros(shape))

    def factors(self, squares: Tensor) -> Tensor:
        """Return what channels are multiplied by, (rows, C), given the sums of their squares (rows, C)."""
        alpha, gamma, beta = (values.flatten() for values in (self.alpha, self.gamma, self.beta))
        lengths = alpha * (squares + _EPSILON).sqrt()
        norm = gamma / (lengths.square().mean(dim=1, keepdim=True) + _EPSILON).sqrt()
        return 1 + torch.tanh(lengths * norm + beta)


def _sum_squares(parts: Sequence[Tensor]) -> Tensor:
    """Return (rows, C) of maps in parts."""
    # A norm makes no second map of the squares.
    return torch.cat([torch.linalg.vector_norm(part, dim=(2, 3)) for part in parts], dim=1).square()


def _scale(maps: Tensor, factors: Tensor) -> Tensor:
    """Return maps (rows, C, h, w) times factors (rows, C)."""
    return maps * factors[:, :, None, None]


def _convolve_scaled(parts: Sequence[Tensor], factors: Tensor, layer: nn.Conv2d) -> Tensor:
    """Return a 1x1 convolution of maps in parts times factors (rows, C): it is the weights that are scaled.

    Products of matrices take the maps as they lie; a convolution would reorder them first, and all parts put together.
    """
    if layer.stride != (1, 1):
        parts = [part[:, :, :: layer.stride[0], :: layer.stride[1]] for part in parts]
    # (rows, out, in)
    weights = layer.weight[:, :, 0, 0] * factors[:, None]
    total: Tensor | None = None
    for part, weight in zip(parts, torch.split(weights, [part.shape[1] for part in parts], dim=2), strict=True):
        cells = part.flatten(2)
        if total is None:
            total = torch.bmm(weight, cells)
        else:  # in place, which autocast leaves alone
            total.baddbmm_(weight.to(total.dtype), cells.to(total.dtype))
    assert total is not None, "a map without parts"
    return total.reshape(*total.shape[:2], *parts[0].shape[2:])


class Block(nn.Module):
    """Channel transformation, then a bottleneck with group norms; the shortcut is taken before the transformation."""

    def __init__(self, channels_in: int, channels_out: int, *, groups: int, stride: int, dilation: int) -> None:
        super().__init__()
        hidden = channels_out // _BOTTLENECK
        self.GCT1 = ChannelTransformation(channels_in)
        self.conv1 = nn.Conv2d(channels_in, hidden, 1, bias=False)
        self.bn1 = nn.GroupNorm(groups, hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.GroupNorm(groups, hidden)
        self.conv3 = nn.Conv2d(hidden, channels_out, 1, bias=False)
        self.bn3 = nn.GroupNorm(groups, channels_out)
        self.downsample: nn.ModuleList | None = None
        if stride != 1 or channels_in != channels_out:
            shortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.downsample = nn.ModuleList([shortcut, nn.GroupNorm(groups, channels_out)])

    def forward(self, inputs: Sequence[Tensor], gate: Tensor) -> Tensor:
        """Return (rows, channels out, h / stride, w / stride) of inputs in parts times their gate (rows, channels)."""
        squares = _sum_squares(inputs) * gate.square()
        hidden = _convolve_scaled(inputs, gate * self.GCT1.factors(squares), self.conv1)
        hidden = self.bn2(self.conv2(relu(self.bn1(hidden), inplace=True)))
        hidden = self.bn3(_convolve(relu(hidden, inplace=True), self.conv3))
        return relu(self._add_shortcut(hidden, inputs, gate), inplace=True)

    def _add_shortcut(self, hidden: Tensor, inputs: Sequence[Tensor], gate: Tensor) -> Tensor:
        if self.downsample is None:
            (only,) = inputs
            return hidden.addcmul_(only, gate[:, :, None, None])
        convolution, norm = self.downsample
        assert isinstance(convolution, nn.Conv2d)
        return hidden.add_(norm(_convolve_scaled(inputs, gate, convolution)))


class GatedBlock(nn.Module):
    """A gate, which the shortcut passes too, and a block."""

    def __init__(self, gate: Gate, block: Block) -> None:
        super().__init__()
        self.gate = gate
        self.block = block

    def forward(self, inputs: Sequence[Tensor], head: Tensor) -> Tensor:
        """Return the block's map of the gated inputs in parts."""
        return self.block(inputs, self.gate(head))


class AtrousBranch(nn.Module):
    """Channel transformation and a convolution of one dilation."""

    def __init__(self, channels_in: int, channels_out: int, rate: int, groups: int) -> None:
        super().__init__()
        kernel, padding = (1, 0) if rate == 1 else (3, rate)
        self.GCT = ChannelTransformation(channels_in)
        self.atrous_conv = nn.Conv2d(channels_in, channels_out, kernel, padding=padding, dilation=rate, bias=False)
        self.bn = nn.GroupNorm(groups, channels_out)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (rows, channels out, h, w)."""
        factors = self.GCT.factors(_sum_squares([inputs]))
        if self.atrous_conv.kernel_size == (1, 1):
            return relu(self.bn(_convolve_scaled([inputs], factors, self.atrous_conv)), inplace=True)
        return relu(self.bn(self.atrous_conv(_scale(inputs, factors))), inplace=True)


class AtrousPyramid(nn.Module):
    """Four dilations and the mean over the map; unlike DeepLab's, the mean is not normalised."""

    def __init__(self, channels_in: int, width: int, groups: int) -> None:
        super().__init__()
        each = width // 2
        branches = (AtrousBranch(channels_in, each, rate, groups) for rate in _RATES)
        self.aspp1, self.aspp2, self.aspp3, self.aspp4 = branches
        # The pool has no weights, but a place in the official file's numbering.
        self.global_avg_pool = nn.ModuleList([nn.Identity(), nn.Conv2d(channels_in, each, 1, bias=False)])
        joined = (len(_RATES) + 1) * each
        self.GCT = ChannelTransformation(joined)
        self.conv1 = nn.Conv2d(joined, width, 1, bias=False)
        self.bn1 = nn.GroupNorm(groups, width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (rows, width, h, w)."""
        pooled = relu(self.global_avg_pool[1](inputs.mean(dim=(2, 3), keepdim=True)), inplace=True)
        branches = [branch(inputs) for branch in (self.aspp1, self.aspp2, self.aspp3, self.aspp4)]
        joined = [*branches, pooled.expand_as(branches[0])]
        factors = self.GCT.factors(_sum_squares(joined))
        return relu(self.bn1(_convolve_scaled(joined, factors, self.conv1)), inplace=True)


class Ensembler(nn.Module):
    """Maps of a row in, two logits for each cell out.

    Args:
        inputs: channels of the input at each stride.
        head: channels of a row's mean embeddings.
        low_channels: of the backbone's first map.
    """

    def __init__(self, config: CfbiConfig, inputs: Sequence[int], *, head: int, low_channels: int) -> None:
        super().__init__()
        width, groups = config.width, config.groups
        blocks: list[nn.Module] = []
        channels = inputs[0]
        for number, (multiple, stride, dilation) in enumerate(_BLOCKS):
            if config.is_pyramid and number in _JOINS:
                channels += inputs[1 + _JOINS.index(number)]
            gate = Gate(channels, head)
            block = Block(channels, multiple * width, groups=groups, stride=stride, dilation=dilation)
            blocks.append(GatedBlock(gate, block))
            channels = multiple * width
        self.blocks = nn.ModuleList(blocks)
        self.ASPP_IA = Gate(channels, head)
        self.ASPP = AtrousPyramid(channels, width, groups)
        detail, decoded = width // 4, width // 2
        self.GCT_sc = ChannelTransformation(low_channels + width)
        self.conv_sc = nn.Conv2d(low_channels + width, detail, 1, bias=False)
        self.bn_sc = nn.GroupNorm(groups // 2, detail)
        self.IA10 = Gate(width + detail, head)
        self.conv1 = nn.Conv2d(width + detail, decoded, 3, padding=1, bias=False)
        self.bn1 = nn.GroupNorm(groups, decoded)
        self.IA11 = Gate(decoded, head)
        self.conv2 = nn.Conv2d(decoded, decoded, 3, padding=1, bias=False)
        self.bn2 = nn.GroupNorm(groups, decoded)
        # A row's own last layer: a weight for each channel, and a bias.
        self.IA_final_fg = nn.Linear(head, decoded + 1)
        self.IA_final_bg = nn.Linear(head, decoded + 1)

    def forward(self, inputs: Sequence[Sequence[Tensor]], head: Tensor, low: Tensor) -> Tensor:
        """Return (2, h, w): a row's logit, and what it adds to that of the background.

        Args:
            inputs: at each stride, finest first, the row's maps in parts (1, channels, h, w).
            head: (1, H).
            low: (1, channels, h, w), of the backbone.
        """
        hidden = inputs[0]
        coarser = iter(inputs[1:])
        detail = [low]
        for number, block in enumerate(self.blocks):
            if number in _JOINS:
                hidden = [*hidden, *next(coarser, ())]
            hidden = [block(hidden, head)]
            if number == _DETAIL_AFTER:
                detail += hidden
        return self._decode(self.ASPP(_scale(hidden[0], self.ASPP_IA(head))), detail, head)

    def _decode(self, coarse: Tensor, detail: Sequence[Tensor], head: Tensor) -> Tensor:
        factors = self.GCT_sc.factors(_sum_squares(detail))
        fine = relu(self.bn_sc(_convolve_scaled(detail, factors, self.conv_sc)), inplace=True)
        sizes = [coarse.shape[1], fine.shape[1]]
        # The official network enlarges the coarse map and convolves both as one.
        of_coarse, of_fine = torch.split(_scale_weights(self.conv1, self.IA10(head)), sizes, dim=1)
        hidden = convolve_enlarged(coarse, of_coarse, fine.shape[2:]).add_(conv2d(fine, of_fine, padding=1))
        hidden = relu(self.bn1(hidden), inplace=True)
        hidden = conv2d(hidden, _scale_weights(self.conv2, self.IA11(head)), padding=1)
        cells = relu(self.bn2(hidden), inplace=True)[0].flatten(1)
        # The bias is the last parameter.
        parameters = torch.cat([self.IA_final_fg(head), self.IA_final_bg(head)])
        logits = parameters[:, :-1] @ cells + parameters[:, -1:]
        return logits.reshape(2, *fine.shape[2:])


def _scale_weights(layer: nn.Conv2d, factors: Tensor) -> Tensor:
    """Return a convolution's weights that give what the layer gives of a map times factors (1, C)."""
    return layer.weight * factors[:, :, None, None]


def _convolve(maps: Tensor, layer: nn.Conv2d) -> Tensor:
    """Return a 1x1 convolution (rows, out, h, w) of maps (rows, C, h, w)."""
    product = torch.matmul(layer.weight[:, :, 0, 0], maps.flatten(2))
    return product.reshape(*product.shape[:2], *maps.shape[2:])


def convolve_enlarged(maps: Tensor, weights: Tensor, size: torch.Size) -> Tensor:
    """Return the 3x3 convolution, padded by 1, of maps (rows, C, h, w) enlarged bicubically to `size`, corners aligned.

    Enlarging acts on cells, a convolution's weights on channels: so the products with the weights (out, C, 3, 3) are
    made where there are few cells, and each of the nine is enlarged one cell further.
    """
    (height, width), n_out = maps.shape[2:], len(weights)
    down, right = (_shifted_weights(*sides, maps) for sides in zip(maps.shape[2:], size, strict=True))
    products = weights.permute(2, 3, 0, 1).flatten(0, 2) @ maps.flatten(2)
    # (rows, out, shifts down, h, shifts right, w)
    products = products.reshape(-1, 3, 3, n_out, height, width).permute(0, 3, 1, 4, 2, 5)
    return down @ (products.reshape(-1, n_out, 3 * height, 3 * width) @ right.T)


def _shifted_weights(side: int, larger: int, like: Tensor) -> Tensor:
    """Return (larger, 3 * side): what each place, and its neighbours before and behind, take of each of `side` places.

    A neighbour beyond the border takes nothing.
    """
    unit = torch.eye(side, dtype=like.dtype, device=like.device)
    # A line of unit values, enlarged.
    taken = pad(resize(unit[None, None], (larger, side), "bicubic")[0, 0], (0, 0, 1, 1))
    return torch.cat([taken[:-2], taken[1:-1], taken[2:]], dim=1)
