"""The ID bank: label maps become one embedding per cell of the stride-16 grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from deaot_toolkit.configs import NetworkConfig
from deaot_toolkit.transformer.tokens import to_tokens

_STRIDE = 16


def one_hot(labels: Tensor, channels: int) -> Tensor:
    """Return integers (B, h, w), 0 = background, as float32 (B, channels, h, w); larger ones set no channel."""
    identities = torch.arange(channels, device=labels.device)[:, None, None]
    # (B, 1, h, w) == (channels, 1, 1) -> (B, channels, h, w)
    return (labels[:, None] == identities).float()


class IdBank(nn.Conv2d):
    """A convolution over one-hot labels, background included; cells outside the image set no channel."""

    def __init__(self, config: NetworkConfig) -> None:
        # An input of 16 n + 1 has n + 1 cells, the outer ones centred on its border; one of 16 n is cut into n cells.
        kernel = _STRIDE + 1 if config.align_corners else _STRIDE
        padding = _STRIDE // 2 if config.align_corners else 0
        channels = config.max_objects + 1
        super().__init__(channels, config.embedding_dim, kernel, stride=_STRIDE, padding=padding)

    def forward(self, labels: Tensor) -> Tensor:
        """Return tokens (B, N, C) of integers (B, h, w), or of float shares (B, 1 + identities, h, w)."""
        if labels.is_floating_point():
            shares = labels
        else:
            # Channels that no pixel sets contribute nothing.
            used = min(int(labels.max()) + 1, self.in_channels) if labels.numel() else 1
            shares = one_hot(labels, used)
        weight = self.weight[:, : shares.shape[1]]
        # (B, channels, h, w) -> (B, C, h/16, w/16) -> (B, N, C); outside the image no channel is set, not even
        # background
        return to_tokens(conv2d(shares.to(weight.dtype), weight, self.bias, self.stride, self.padding))
