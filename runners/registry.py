"""The runners by name, imported only when built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from rvos.errors import ConfigError
from rvos.versions import Listed

if TYPE_CHECKING:
    import torch

    from runners.base import ModelSettings, Runner

RUNNERS: Mapping[str, Listed] = {
    "soc": Listed("runners.soc", version=1),
    "mutr": Listed("runners.mutr", version=1),
    "referformer": Listed("runners.referformer", version=1),
    "uninext": Listed("runners.uninext", version=1),
}


def check_runner(settings: ModelSettings) -> None:
    """Check that `settings` name a runner that can be built; no weights are read. Raises as `build_runner` does."""
    import torch

    build_runner(settings, device=torch.device("meta"))


def build_runner(settings: ModelSettings, *, device: torch.device) -> Runner:
    """Return the loaded runner that `settings` names; each runner module has `build(settings, device=...)`.

    Args:
        device: on `meta` no weights are read: what is wrong with settings and files shows as it would on any other.

    Raises:
        ConfigError: no runner of that name, or settings that the network does not have.
        CheckpointError: the checkpoint cannot be read safely, or does not fit.
    """
    if settings.runner not in RUNNERS:
        raise ConfigError(f"runner {settings.runner!r} is unknown; choose one of {', '.join(RUNNERS)}")
    build: Callable[..., Runner] = import_module(RUNNERS[settings.runner].module).build
    return build(settings, device=device)
