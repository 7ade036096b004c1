"""Small parts of the transformers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, dropout2d, group_norm

from deaot_toolkit.transformer.tokens import Grid, to_map, to_tokens

_KERNEL = 5


class TokenGroupNorm(nn.GroupNorm):
    """Group normalisation of tokens (B, N, C): statistics over all tokens and the channels of a group."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the normalised tokens."""
        # (B, N, C) -> (B, C, N): the library wants channels second, and takes its statistics over the rest
        normalised = group_norm(tokens.transpose(1, 2), self.num_groups, self.weight, self.bias, self.eps)
        return normalised.transpose(1, 2)


class DepthwiseConvolution(nn.Module):
    """A 5x5 convolution of each channel on the grid, without bias; in training it may drop whole channels."""

    def __init__(self, channels: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, _KERNEL, padding=_KERNEL // 2, groups=channels, bias=False)
        self.dropout = dropout

    def forward(self, tokens: Tensor, grid: Grid, channels: slice = slice(None)) -> Tensor:
        """Return tokens (B, N, c) convolved with the kernels of the c `channels`."""
        # A slice of the kernels, for halves that are convolved apart from each other.
        kernels = self.conv.weight[channels]
        convolved = conv2d(to_map(tokens, grid), kernels, padding=_KERNEL // 2, groups=len(kernels))
        return to_tokens(dropout2d(convolved, self.dropout, self.training))


class DropPath(nn.Module):
    """Drop a whole residual branch of a sample in training, and scale the others up accordingly."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """Return the branch (B, N, C), some samples zeroed in training mode."""
        if not self.training or self.rate == 0:
            return branch
        # One draw a sample: (B, 1, 1)
        kept = torch.rand(branch.shape[0], 1, 1, device=branch.device) >= self.rate
        return branch * (kept / (1 - self.rate)).to(branch.dtype)
