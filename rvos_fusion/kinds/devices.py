"""Where networks run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rvos.errors import ConfigError

if TYPE_CHECKING:
    import torch


def choose_device(name: str) -> torch.device:
    """Return the device of `--device`; `auto` is CUDA where there is one.

    Raises:
        ConfigError: no such device on this machine.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise ConfigError(f"device {name!r} cannot be used on this machine; give auto, cpu, or cuda:N") from None
    return device
