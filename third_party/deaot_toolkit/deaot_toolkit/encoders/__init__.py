"""Encoders: an image in, maps at strides 4, 8 and 16 and a last map at stride 16 out."""

from __future__ import annotations

from torch import Tensor, nn

from deaot_toolkit.configs import EncoderConfig

EncoderMaps = tuple[Tensor, Tensor, Tensor, Tensor]


def build_encoder(config: EncoderConfig) -> nn.Module:
    """Return the encoder of `config`; only its own module is imported."""
    if config.kind == "mobilenet_v2":
        from deaot_toolkit.encoders.mobilenet_v2 import MobileNetV2

        return MobileNetV2()
    if config.kind == "resnet":
        from deaot_toolkit.encoders.resnet import ResNet

        return ResNet(config)
    if config.kind == "swin":
        from deaot_toolkit.encoders.swin import Swin

        return Swin(config)
    from deaot_toolkit.encoders.compact import CompactEncoder

    return CompactEncoder(config)
