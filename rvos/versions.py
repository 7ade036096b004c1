"""A row of a table of engines, runners or detectors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listed:
    """Where the code is, imported only when it is wanted, and its version.

    Args:
        version: raised when the same settings and files give another result: results of before are made again.
    """

    module: str
    version: int
