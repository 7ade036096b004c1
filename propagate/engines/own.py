"""Engines of users: of an installed package that names an entry point, or of a module on the path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from propagate.engines.settings import GROUP, EngineSettings
from rvos.plugins import Plugin, load_plugin, require_plugin

if TYPE_CHECKING:
    import torch

    from propagate.engines.protocol import Engine


def find_engine(settings: EngineSettings) -> Plugin:
    """Return the code of an engine, which is not imported.

    Raises:
        ConfigError: no such module, or no such function in it.
    """
    return require_plugin("engine", settings.network, group=GROUP, folder=settings.beside)


def load_engine(settings: EngineSettings, *, device: torch.device) -> Engine:
    """Return what the user's `load_engine(settings, device=...)` makes.

    Raises:
        ConfigError: the module cannot be imported.
    """
    engine: Engine = load_plugin(find_engine(settings))(settings, device=device)
    return engine
