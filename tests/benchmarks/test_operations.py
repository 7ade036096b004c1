"""The table that plans go by holds what is counted."""

from __future__ import annotations

import pytest
import torch

from benchmarks.operations import COUNTS
from rvos_fusion.kinds.networks.operations import TABLE


def test_every_network_that_is_counted_has_its_row() -> None:
    assert list(TABLE) == list(COUNTS)


@pytest.mark.parametrize("name", ["aott", "deaott"])
def test_small_networks_are_counted_anew(name: str) -> None:
    torch.manual_seed(0)
    with torch.inference_mode():
        found = COUNTS[name]()
    row = TABLE[name]
    counted, listed = ((one.frame, one.answer, one.remembered, one.memory) for one in (found, row))
    assert counted == pytest.approx(listed, rel=0.02)
    assert found.parameters == row.parameters
