"""The runners by name; none of them imports its network before it is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from runners import mutr, referformer, soc, uninext
from runners.base import ModelSettings, Runner, RunnerKind
from rvos.errors import ConfigError

if TYPE_CHECKING:
    import torch

RUNNERS: Mapping[str, RunnerKind] = {
    one.name: one for one in (soc.RUNNER, mutr.RUNNER, referformer.RUNNER, uninext.RUNNER)
}


def check_runner(settings: ModelSettings) -> None:
    """Check that `settings` name a runner that can be built; no weights are read. Raises as `build_runner` does."""
    import torch

    build_runner(settings, device=torch.device("meta"))


def build_runner(settings: ModelSettings, *, device: torch.device) -> Runner:
    """Return the loaded runner that `settings` name; see `BuildRunner`.

    Raises:
        ConfigError: no runner of that name, or settings that the network does not have.
        CheckpointError: the checkpoint cannot be read safely, or does not fit.
    """
    if settings.runner not in RUNNERS:
        raise ConfigError(f"runner {settings.runner!r} is unknown; choose one of {', '.join(RUNNERS)}")
    kind = RUNNERS[settings.runner]
    kind.check(settings)
    return kind.build(settings, device=device)
