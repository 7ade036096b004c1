"""The columns of `rvos table --stability`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rvos_fusion.scores.steadiness import TRUTH, Duration, Steadiness
from rvos_fusion.tables import PEOPLE, PROGRAMS, Column, Table

_NOTE = "consistency: IoU of the masks of neighbouring frames; in brackets the number of videos of such a length"
_FIGURES = (("variance J", "variance_j"), ("variance J&F", "variance_j_and_f"), ("consistency", "consistency"))


def tabulate_stability(rows: Sequence[Steadiness]) -> Table:
    """Return variances in hundredths, consistency, then J&F and consistency by duration."""
    columns = [Column("over the frames", "node", forms=PEOPLE), Column("node", "node", forms=PROGRAMS)]
    columns += [Column(heading, key, forms=PROGRAMS) for heading, key in _FIGURES]
    columns += [
        Column("var J x 100", lambda row: _of_node(row, 100 * row.variance_j), forms=PEOPLE),
        Column("var J&F x 100", lambda row: _of_node(row, 100 * row.variance_j_and_f), forms=PEOPLE),
        Column("consistency", "consistency", forms=PEOPLE),
        Column("durations", lambda row: [asdict(part) for part in row.durations], forms=("json",)),
    ]
    for place, part in enumerate(rows[0].durations):
        columns += _list_duration(place, part)
    return Table(tuple(columns), rows, notes=(_NOTE,), name="stability")


def _list_duration(place: int, part: Duration) -> list[Column]:
    frames = str(part.shortest) if part.shortest == part.longest else f"{part.shortest}-{part.longest}"
    heading = f"J&F, {frames} frames ({part.n_videos})"
    return [
        Column(heading, lambda row: _of_node(row, row.durations[place].j_and_f), forms=PEOPLE),
        Column(f"consistency, {frames}", lambda row: row.durations[place].consistency, forms=PEOPLE),
    ]


def _of_node(row: Steadiness, value: float) -> float | None:
    """Return a value; None of the ground truth, which is not scored."""
    return None if row.node == TRUTH else value


def list_csv_columns(rows: Sequence[Steadiness]) -> list[Column]:
    """Return what CSV, which holds one table, adds to the scores of the nodes."""
    known = {row.node: row for row in rows}

    def make(heading: str, key: str) -> Column:
        return Column(heading, lambda row: getattr(known[row.node], key), forms=("csv",))

    return [make(*figure) for figure in _FIGURES] if rows else []
