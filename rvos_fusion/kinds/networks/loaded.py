"""The one network that a worker holds: loaded once for each node, dropped before the next one is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rvos.errors import ConfigError, PipelineError

if TYPE_CHECKING:
    import torch


class Loaded:
    """Room for one network; two large ones rarely fit a device."""

    def __init__(self) -> None:
        self._key: object = None
        self._value: Any = None

    def get(self, key: object, build: Callable[[], Any]) -> Any:
        """Return what `build` made for `key`, building it where another key was asked for last."""
        if self._key != key:
            # Dropped before the next is built: two large networks rarely fit one device, even for a moment.
            self._key = self._value = None
            self._value = build()
            self._key = key
        return self._value


NETWORK = Loaded()
"""State of a worker process, by design: tasks come one by one and share nothing else."""


def explain(load: Callable[[], object]) -> Iterator[str]:
    """Yield why something cannot be loaded, where it cannot."""
    try:
        load()
    except PipelineError as error:
        yield str(error)


def choose_device(name: str) -> torch.device:
    """Return the device of `--device`, CUDA for `auto` where there is one; ConfigError where there is none such."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise ConfigError(f"device {name!r} cannot be used on this machine; give auto, cpu, or cuda:N") from None
    return device
