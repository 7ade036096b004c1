"""Batches that go to a device as a whole."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Tensors, values that hold tensors, and tuples of them; whatever else there is stays as it is."""

    def to(self, device: torch.device) -> Self:
        """Return the same batch on `device`."""
        return replace(self, **{one.name: _move(getattr(self, one.name), device) for one in fields(self)})


def _move(value: Any, device: torch.device) -> Any:
    if isinstance(value, tuple):
        return tuple(_move(part, device) for part in value)
    return value.to(device) if hasattr(value, "to") else value
