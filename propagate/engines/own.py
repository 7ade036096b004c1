"""Engines of users: of an installed package that names an entry point, or of a module on the path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from propagate.engines.settings import ScaledSettings
from rvos.plugins import Plugin, load_plugin, require_plugin
from rvos.settings import Size

if TYPE_CHECKING:
    import torch

GROUP = "rvos.engines"
"""Of entry points: an installed package names its `load_engine` there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSettings(ScaledSettings):
    """An engine of a user's, which makes of the settings what it likes.

    Args:
        protocol: how the memory is used between the directions; `fresh` resets it.
        max_memory_frames: long-term memory, the reference included; None: as the engine says.
        long_term_gap: frames between long-term writes; None: as the engine says.
        image_size: side of a square network input; None: as the engine says.
    """

    family: ClassVar[str] = "own"
    is_own: ClassVar[bool] = True

    protocol: Literal["fresh"] = "fresh"
    max_memory_frames: Size | None = None
    long_term_gap: Size | None = None
    image_size: Size | None = None

    def __post_init__(self) -> None:
        ScaledSettings.__post_init__(self)
        if self.beside is not None:
            self.find_code()  # so that the recipe's line is told where there is none

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files of the user's code, not imported. Raises ConfigError: no such module or function."""
        return self.find_code().sources

    @property
    def checksum(self) -> str:
        """Of these files."""
        return self.find_code().checksum

    def find_code(self) -> Plugin:
        """Return the user's code, which is not imported; raises as `sources` does."""
        return require_plugin("engine", self.network, group=GROUP, folder=self.beside)


def load_engine(settings: OwnSettings, *, device: torch.device) -> Any:
    """Return what the user's `load_engine(settings, device=...)` makes.

    Args:
        device: on `meta` nothing is done: whether the code knows that device is not known.

    Raises:
        ConfigError: the module cannot be imported.
    """
    return None if device.type == "meta" else load_plugin(settings.find_code())(settings, device=device)
