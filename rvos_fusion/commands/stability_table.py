"""The columns of `rvos table --stability`."""

from __future__ import annotations

from collections.abc import Sequence

from rvos_fusion.commands.table_forms import Cell
from rvos_fusion.scores.steadiness import TRUTH, Steadiness


def list_stability(rows: Sequence[Steadiness]) -> tuple[list[str], list[list[Cell]]]:
    """Return headings and cells: variances in hundredths, consistency, then J&F and consistency by duration."""
    headings = ["node", "var J x 100", "var J&F x 100", "consistency"]
    for part in rows[0].durations:
        frames = str(part.shortest) if part.shortest == part.longest else f"{part.shortest}-{part.longest}"
        headings += [f"J&F, {frames} frames ({part.n_videos})", f"consistency, {frames}"]
    cells: list[list[Cell]] = []
    for row in rows:
        is_truth = row.node == TRUTH
        own: list[Cell] = [
            row.node,
            *(None if is_truth else 100 * value for value in (row.variance_j, row.variance_j_and_f)),
        ]
        own.append(row.consistency)
        for part in row.durations:
            own += [None if is_truth else part.j_and_f, part.consistency]
        cells.append(own)
    return headings, cells


def print_stability(rows: Sequence[Steadiness]) -> None:
    """Print how steady the nodes are, under their scores."""
    headings, cells = list_stability(rows)
    width = max(len(row.node) for row in rows)
    print(f"\n{'over the frames':{max(width, 15)}}  " + "  ".join(headings[1:]))
    for row in cells:
        values = (
            f"{'' if cell is None else f'{cell:.2f}':>{len(head)}}"
            for cell, head in zip(row[1:], headings[1:], strict=True)
        )
        print(f"{row[0]!s:{max(width, 15)}}  " + "  ".join(values).rstrip())
    print("consistency: IoU of the masks of neighbouring frames; in brackets the number of videos of such a length")
