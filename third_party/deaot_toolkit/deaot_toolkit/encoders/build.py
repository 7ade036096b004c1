"""The encoder that a configuration asks for."""

from __future__ import annotations

from torch import nn

from deaot_toolkit.configs import EncoderConfig


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
