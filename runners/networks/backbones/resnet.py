"""ResNet with bottlenecks: frozen batch norm as released, or group norm. Source: backbones.md, section 3."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NormKind = Literal["frozen", "group"]
EXPANSION = 4
_EPSILON = 1e-5
_GROUPS = 8


class FrozenBatchNorm(nn.Module):
    """Batch norm whose four vectors are constants; `num_batches_tracked` of a checkpoint is dropped."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return x `(N, C, h, w)`, normalised with the stored moments."""
        # In one call with the moments as constants: a norm in training mode would change them.
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, _EPSILON)


def build_norm(kind: NormKind, channels: int) -> nn.Module:
    """Return the norm of one convolution."""
    if kind == "frozen":
        return FrozenBatchNorm(channels)
    return nn.GroupNorm(math.gcd(_GROUPS, channels), channels)


class Bottleneck(nn.Module):
    """1x1, 3x3 (which carries the stride) and 1x1 convolution beside a shortcut."""

    def __init__(self, inputs: int, width: int, *, stride: int, norm: NormKind) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = build_norm(norm, width)
        # The stride sits on the 3x3 convolution ("v1.5"), not on the first one as in the paper.
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = build_norm(norm, width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = build_norm(norm, outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, build_norm(norm, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return `(N, 4 * width, h / stride, w / stride)`."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out)) + self.downsample(x)
        return F.relu(out, inplace=True)


class ResNet(nn.Module):
    """The four levels of a residual network, at strides 4, 8, 16 and 32; level l has `4 * width * 2**l` channels.

    Args:
        blocks: bottlenecks of each stage; (3, 4, 6, 3) is ResNet-50, (3, 4, 23, 3) ResNet-101.
        norm: "frozen" as released, or "group" where no pre-trained moments exist.
    """

    def __init__(self, blocks: Sequence[int] = (3, 4, 6, 3), width: int = 64, *, norm: NormKind = "frozen") -> None:
        super().__init__()
        self.channels = tuple(EXPANSION * width * 2**level for level in range(len(blocks)))
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = build_norm(norm, width)
        inputs = width
        for level, n_blocks in enumerate(blocks):
            stage = []
            for index in range(n_blocks):
                # The pooling has brought stride 4 already, so the first stage has none.
                stride = 2 if index == 0 and level > 0 else 1
                stage.append(Bottleneck(inputs, width * 2**level, stride=stride, norm=norm))
                inputs = self.channels[level]
            self.add_module(f"layer{level + 1}", nn.Sequential(*stage))
        self.apply(_start)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the levels `(N, C_l, h_l, w_l)` of images `(N, 3, H, W)`; each stride-2 step rounds sizes up."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        x = F.max_pool2d(x, 3, 2, 1)
        levels = []
        for level in range(len(self.channels)):
            x = self.get_submodule(f"layer{level + 1}")(x)
            levels.append(x)
        return levels


def _start(module: nn.Module) -> None:
    """Kaiming start of the convolutions, for training without pre-trained weights."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
