"""The table from the name of a network to the file that builds its engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from propagate.engines.settings import EngineSettings

if TYPE_CHECKING:
    import torch

    from propagate.engines.protocol import Engine


def build_engine(settings: EngineSettings, *, device: torch.device) -> Engine:
    """Return the engine that a recipe describes, with its checkpoint loaded.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another network.
        ConfigError: no network of that name.
    """
    # Recipes are checked without torch, so the networks are imported only when one is wanted.
    from propagate.engines.aot import load_engine

    return load_engine(settings, device=device)
