"""The table from the family of a network to the file that builds its engine."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from propagate.engines.own import find_engine
from propagate.engines.settings import EngineSettings, Family
from rvos.plugins import load_plugin
from rvos.versions import Listed

if TYPE_CHECKING:
    import torch

    from propagate.engines.protocol import Engine

ENGINES: Mapping[Family, Listed] = {
    "aot": Listed("propagate.engines.aot.engine", version=1),
    "sam2": Listed("propagate.engines.sam2.engine", version=1),
    "own": Listed("propagate.engines.own", version=1),
}
"""Each has `load_engine(settings, device=...)`."""


def check_engine(settings: EngineSettings) -> None:
    """Check that an engine can be built; no weights are read. Raises as `build_engine` does."""
    if settings.is_own:
        # Whether a user's engine knows the device `meta` is not known: its code is imported, and no more.
        load_plugin(find_engine(settings))
        return
    import torch

    build_engine(settings, device=torch.device("meta"))


def build_engine(settings: EngineSettings, *, device: torch.device) -> Engine:
    """Return the engine that a recipe describes, with its checkpoint loaded.

    Args:
        device: on `meta` no weights are read: what is wrong with settings and files shows as it would on any other.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another network.
        ConfigError: no network of that name.
    """
    # Recipes are checked without torch, so the networks are imported only when one is wanted.
    engine: Engine = import_module(ENGINES[settings.family].module).load_engine(settings, device=device)
    return engine
