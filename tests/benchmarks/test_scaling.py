"""The simulated cluster knows what every node of the default recipe costs."""

from __future__ import annotations

from benchmarks.scaling import count_cost, make_plan
from rvos_fusion.executors.simulation import simulate


def test_the_whole_default_recipe_can_be_simulated() -> None:
    found = simulate(make_plan(3), 2, cost=count_cost, load=30.0)
    assert found.busy > 0
    assert 0 < found.efficiency <= 1
