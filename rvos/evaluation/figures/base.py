"""What a column of a table is: a number that is measured from scores, and what is known of its gains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.evaluation.results import ExpressionScore

Scores = Sequence[ExpressionScore]
Draws = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A number by which results are compared.

    Args:
        name: in JSON and in the text of `rvos evaluate`.
        heading: of its column in tables.
        measure: at least one score -> the number, in [0, 1]; None where these scores have none.
        resample: rows of scores of the same units -> the number under redrawn units, `(rows, draws)`, the same draws
            for all rows, so that differences belong together; None: gains get no interval.
        note: what tables say of it below them.
        group: key in the JSON of tables, where several of one key make a list; default: the heading in small letters.
    """

    name: str
    heading: str
    measure: Callable[[Scores], float | None]
    resample: Callable[[Sequence[Scores]], Draws] | None = None
    note: str = ""
    group: str = ""

    @property
    def key(self) -> str:
        """Its key in the JSON of tables."""
        return self.group or self.heading.lower().replace("&", "_and_")
