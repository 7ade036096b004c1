"""Batches that go to a device as a whole."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import torch


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Tensors, and values that hold tensors; whatever else there is stays as it is."""

    def to(self, device: torch.device) -> Self:
        """Return the same batch on `device`."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return replace(self, **{name: value.to(device) for name, value in values.items() if hasattr(value, "to")})
