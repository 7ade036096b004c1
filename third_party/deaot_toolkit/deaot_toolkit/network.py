"""AOT and DeAOT networks: encoder, ID bank, transformer, decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from deaot_toolkit.configs import EncoderConfig, NetworkConfig, changed, find_config
from deaot_toolkit.decoder import Decoder
from deaot_toolkit.errors import EngineError
from deaot_toolkit.features import FrameFeatures, Looked
from deaot_toolkit.identities import IdBank
from deaot_toolkit.products import use_direct_products
from deaot_toolkit.transformer.aot import LongShortTermTransformer
from deaot_toolkit.transformer.deaot import GatedPropagationTransformer
from deaot_toolkit.transformer.memory import FrameEntry, LayerMemory
from deaot_toolkit.transformer.tokens import to_tokens

_STRIDE = 16


class VosNetwork(nn.Module):
    """One network; parameter names are those of the official checkpoints.

    Gradients flow in training mode only: in evaluation mode every method runs without a graph.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder)
        self.encoder_projector = nn.Conv2d(config.encoder.channels[3], config.embedding_dim, 1)
        is_aot = config.family == "aot"
        self.LSTT = LongShortTermTransformer(config) if is_aot else GatedPropagationTransformer(config)
        self.decoder = Decoder(config)
        self.patch_wise_id_bank = IdBank(config)
        self.id_norm = nn.Identity() if is_aot else nn.LayerNorm(config.embedding_dim)
        # All matrices alike, so that the relative value embeddings do not keep their zeros.
        for module in (self.LSTT, self.decoder, self.encoder_projector):
            for parameter in module.parameters():
                if parameter.ndim > 1:
                    nn.init.xavier_uniform_(parameter)
        bank = self.patch_wise_id_bank
        if not bank.weight.is_meta:
            # On the (C, channels * k * k) view, smaller by the area of the kernel: a cell sums over that many pixels.
            nn.init.orthogonal_(bank.weight.view(bank.out_channels, -1), gain=bank.kernel_size[0] ** -2)
        use_direct_products(self)

    def encode(self, images: Tensor) -> FrameFeatures:
        """Return everything of the frames that does not depend on masks.

        Args:
            images: float32 (n, 3, h, w), ImageNet-normalised RGB, at a size that `grid_size` allows.

        Raises:
            EngineError: another shape, or a size off the grid.
        """
        if images.ndim != 4 or images.shape[1] != 3 or not images.shape[0]:
            raise EngineError(f"images: shape {tuple(images.shape)}; give (n, 3, h, w)")
        # Corners are aligned on grids of 16 n + 1: the border pixels are cell centres there.
        rest = 1 if self.config.align_corners else 0
        height, width = images.shape[2:]
        if min(height, width) < _STRIDE + rest or height % _STRIDE != rest or width % _STRIDE != rest:
            raise EngineError(
                f"images: size {height}x{width}; {self.config.name} takes sides of 16 n + {rest}, see network_size"
            )
        size = height, width
        with self.gradients():
            images = images.contiguous(memory_format=torch.channels_last)
            *maps, last = self.encoder(images)
            # (n, channels, h/16, w/16) -> (n, C, h/16, w/16); the encoder's last stage keeps stride 16
            projected = self.encoder_projector(last)
            grid = (projected.shape[2], projected.shape[3])
            first = self.LSTT.look_first(to_tokens(projected), grid)
            return FrameFeatures(size, grid, self.decoder.adapt(maps), self.decoder.image_part(projected), first)

    def identify(self, labels: Tensor) -> Tensor:
        """Return the id embedding (B, N, C) of label maps (B, h, w), or of shares (B, 1 + identities, h, w)."""
        with self.gradients():
            return self.id_norm(self.patch_wise_id_bank(labels))

    def read(
        self,
        features: FrameFeatures,
        *,
        memory: Sequence[LayerMemory] | None,
        identity: Tensor | None,
        finish: bool = True,
    ) -> tuple[Tensor | None, list[Looked]]:
        """Return the decoder's tokens and what each layer saw; without memory the frame reads itself.

        Args:
            finish: false: no tokens, for a frame that is remembered and not decoded.
        """
        with self.gradients():
            tokens, seen = self.LSTT(features.first, features.grid, memory=memory, identity=identity, finish=finish)
            return tokens, seen

    def remember(self, seen: Sequence[Looked], identity: Tensor) -> FrameEntry:
        """Return the memory entry of a frame that was read, given its id embedding."""
        with self.gradients():
            return self.LSTT.remember(seen, identity)  # type: ignore[arg-type]

    def decode(self, features: FrameFeatures, tokens: Tensor) -> Tensor:
        """Return logits (B, 1 + identities, h/4, w/4)."""
        with self.gradients():
            return self.decoder(tokens, features.grid, features.adapted, features.image_part)

    def gradients(self) -> torch.set_grad_enabled:
        """Return the context of every method: a graph in training mode only."""
        return torch.set_grad_enabled(self.training and torch.is_grad_enabled())


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


def build(name: str, config: NetworkConfig | Mapping[str, Any] | None = None) -> VosNetwork:
    """Return a network with initial weights, in evaluation mode. Raises NetworkConfigError: unknown name or field.

    Args:
        name: see `CONFIGS`; case, `-` and `_` do not matter.
        config: a whole configuration, or fields to change in the named one.
    """
    if isinstance(config, NetworkConfig):
        return VosNetwork(config).eval()
    return VosNetwork(changed(find_config(name), config or {})).eval()
