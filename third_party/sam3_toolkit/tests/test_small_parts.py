"""Small holes and islands go, large ones stay, and nothing else moves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sam3_toolkit.small_parts import clean

ROWS = ("########", "#..#####", "########", "........", ".#....##", "........", "........", "########")
"""Its parts have 22 cells with a hole of 2, 1, 2 and 8; the background between them has 29."""


def draw(rows: tuple[str, ...]) -> Tensor:
    return torch.tensor([[3.0 if cell == "#" else -3.0 for cell in row] for row in rows])


def show(logits: Tensor) -> tuple[str, ...]:
    return tuple("".join("#" if value > 0 else "." for value in row) for row in logits.tolist())


@pytest.mark.parametrize(
    ("most", "rows"),
    [
        (0, ROWS),
        (1, (*ROWS[:4], "......##", *ROWS[5:])),
        (2, ("########", "########", "########", "........", "........", "........", "........", "########")),
        (8, ("########", "########", "########", "........", "........", "........", "........", "........")),
    ],
)
def test_parts_of_at_most_so_many_cells_go(most: int, rows: tuple[str, ...]) -> None:
    assert show(clean(draw(ROWS), most)) == rows


def test_an_object_that_is_one_small_part_stays() -> None:
    rows = (".....", "..##.", ".....", ".....", "#....", ".....")
    assert show(clean(draw(rows), 16)) == (*rows[:4], ".....", ".....")


CELLS = st.lists(st.lists(st.sampled_from([-5.0, -0.5, 0.5, 5.0]), min_size=6, max_size=6), min_size=1, max_size=6)


@settings(deadline=None)
@given(cells=CELLS, most=st.integers(0, 40))
def test_values_stay_where_the_mask_does(cells: list[list[float]], most: int) -> None:
    logits = torch.tensor(cells)
    cleaned = clean(logits, most)
    same = (cleaned > 0) == (logits > 0)
    assert torch.equal(cleaned[same], logits[same])
    assert not (logits <= 0).all() or torch.equal(cleaned, logits)
    assert (logits <= 0).all() or bool((cleaned > 0).any())
