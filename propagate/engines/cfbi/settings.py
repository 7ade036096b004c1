"""Settings of CFBI and CFBI+; free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from propagate.engines.settings import ScaledSettings
from rvos.settings import Range, Size

_LONG_EDGE = 1040
_LONG_EDGE_OF_SEVERAL = 800


@dataclass(frozen=True, slots=True, kw_only=True)
class CfbiSettings(ScaledSettings):
    """A CFBI or CFBI+ network.

    Args:
        long_edge: frames with a longer edge are made smaller first; None: 1040 where the one scale is 1, else 800.
        global_rate: reference cells whose row and column are multiples of it are matched; 2 is the authors' setting of
            CFBI+, and the fast one of CFBI.
        min_matching_pixels: with a rate of 2, rows of at most four times as many cells keep all of them; 100 is the
            authors' setting of CFBI+ on DAVIS.

    Source: cfbi.md, sections 1, 3 and 8.
    """

    family: ClassVar[str] = "cfbi"
    version: ClassVar[int] = 2
    lets_compete: ClassVar[bool] = True

    long_edge: Size | None = None
    global_rate: Literal[1, 2] = 1
    min_matching_pixels: Annotated[int, Range(least=0)] = 0

    @property
    def longest_edge(self) -> int:
        """The limit that counts, in pixels."""
        if self.long_edge is not None:
            return self.long_edge
        return _LONG_EDGE if self.scales == (1.0,) else _LONG_EDGE_OF_SEVERAL
