"""Encoders: an image in, maps at strides 4, 8 and 16 and a last map at stride 16 out."""

from __future__ import annotations

from torch import Tensor

EncoderMaps = tuple[Tensor, Tensor, Tensor, Tensor]
