"""A row of a table of engines, runners or detectors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listed:
    """Where code is, imported when wanted, and its version, raised when results change so that they are remade."""

    module: str
    version: int
