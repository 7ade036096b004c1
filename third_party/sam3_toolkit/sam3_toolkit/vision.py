"""The map of the vision transformer that tracker and detector share, and the pyramids that each makes of it.

Source: docs/specs/sam3.md, section 2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import Sam3ViTModel

_USED_LEVELS = 3
"""Of a neck's four: the coarsest is dropped in all uses."""


def encode_image(trunk: Sam3ViTModel, image: Tensor) -> Tensor:
    """Return the trunk's maps `(B, C, f, f)` of images `(B, 3, 14 f, 14 f)`."""
    tokens = trunk(image).last_hidden_state
    cells = image.shape[-1] // trunk.config.patch_size
    spread: Tensor = tokens.transpose(1, 2).reshape(len(image), -1, cells, cells)
    return spread


def build_pyramid(neck: nn.Module, spread: Tensor) -> list[Tensor]:
    """Return a neck's maps of a trunk's map: `(1, 256, 4f, 4f)`, `(1, 256, 2f, 2f)`, `(1, 256, f, f)`."""
    layers = neck.fpn_layers
    assert isinstance(layers, nn.ModuleList)
    return [layer(spread) for layer in layers[:_USED_LEVELS]]


def encode_positions(module: nn.Module, channels: int, cells: int) -> Tensor:
    """Return the sine positions `(1, channels, cells, cells)` that a module of the library gives to a map."""
    encode = module.position_encoding
    assert isinstance(encode, nn.Module)
    positions: Tensor = encode(torch.Size((1, channels, cells, cells)), "cpu", torch.float32)
    return positions
