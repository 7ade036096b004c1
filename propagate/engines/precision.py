"""The arithmetic of a network."""

from __future__ import annotations

import torch


def use_precision(name: str, device: torch.device) -> torch.autocast:
    """Return the arithmetic that a recipe asks for, to compute in: `float32`, `float16` or `bfloat16`."""
    half = torch.float16 if name == "float16" else torch.bfloat16
    return torch.autocast(device.type, dtype=half, enabled=name != "float32")
