"""Learning rates, loss weights and parameter groups, against the schedules' definitions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rvos_fusion.training.config import GroupRule, OptimiserSettings, ScheduleSettings
from rvos_fusion.training.engines.losses import kept_fraction
from rvos_fusion.training.running.averaging import AveragedWeights, decay_for
from rvos_fusion.training.running.optimiser import build_optimiser, clip_gradients, set_rates
from rvos_fusion.training.running.schedules import falling, rate_factor

ADAM = OptimiserSettings(rate=2e-4)


@pytest.mark.parametrize(("epoch", "expected"), [(0, 1.0), (7.99, 1.0), (8, 0.1), (9.99, 0.1), (10, 0.01), (12, 0.01)])
def test_step_schedule_drops_at_its_milestones(epoch: float, expected: float) -> None:
    schedule = ScheduleSettings("step", milestones=(8, 10))
    assert rate_factor(schedule, epoch / 12, length=12) == pytest.approx(expected)


def test_milestones_are_met_at_the_exact_step() -> None:
    schedule = ScheduleSettings("step", milestones=(3, 7, 11))
    for length in (12, 49, 90_001):
        for step in (3, 7, 11):
            before = rate_factor(schedule, (step - 1) / length, length=length)
            assert rate_factor(schedule, step / length, length=length) == pytest.approx(before * 0.1)


def test_polynomial_schedule_warms_up_from_the_minimum_and_returns_to_it() -> None:
    schedule = ScheduleSettings("polynomial", minimum=1e-5, warm_up=0.05, power=0.9)
    optimiser = build_optimiser(nn.Linear(2, 2), ADAM)
    assert set_rates(optimiser, schedule, 0.0, length=1) == pytest.approx(1e-5)
    assert set_rates(optimiser, schedule, 0.025, length=1) == pytest.approx((1e-5 + 2e-4) / 2)
    assert set_rates(optimiser, schedule, 0.05, length=1) == pytest.approx(2e-4)
    assert set_rates(optimiser, schedule, 0.525, length=1) == pytest.approx(1e-5 + 1.9e-4 * 0.5**0.9)
    assert set_rates(optimiser, schedule, 1.0, length=1) == pytest.approx(1e-5)


def test_cosine_schedule_is_half_way_in_the_middle() -> None:
    assert rate_factor(ScheduleSettings("cosine"), 0.5, length=1) == pytest.approx(0.5)
    assert rate_factor(ScheduleSettings("constant"), 0.7, length=1) == 1.0


def test_scaled_groups_keep_the_minimum() -> None:
    network = nn.ModuleDict({"encoder": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    settings = OptimiserSettings(rate=2e-4, weight_decay=0.07, rules=(GroupRule("^encoder", 0.1, weight_decay=0.0),))
    optimiser = build_optimiser(network, settings)
    schedule = ScheduleSettings("polynomial", minimum=1e-5)
    set_rates(optimiser, schedule, 0.0, length=1)
    encoder, rest = optimiser.param_groups
    assert encoder["lr"] == pytest.approx((2e-4 - 1e-5) * 0.1 + 1e-5)
    assert rest["lr"] == pytest.approx(2e-4)
    assert (encoder["weight_decay"], rest["weight_decay"]) == (0.0, 0.07)
    set_rates(optimiser, schedule, 1.0, length=1)
    assert {group["lr"] for group in optimiser.param_groups} == {1e-5}


def test_explicit_rates_follow_the_steps() -> None:
    network = nn.ModuleDict({"backbone": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    optimiser = build_optimiser(network, OptimiserSettings(rate=1e-4, rules=(GroupRule("backbone", rate=5e-5),)))
    set_rates(optimiser, ScheduleSettings("step", milestones=(6,)), 0.5, length=12)
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([5e-6, 1e-5])


def test_gradients_are_clipped_by_their_total_norm() -> None:
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.grad = torch.tensor([[3.0, 4.0]])
    assert float(clip_gradients(layer, 0.1)) == pytest.approx(5.0)
    torch.testing.assert_close(layer.weight.grad, torch.tensor([[0.06, 0.08]]), rtol=1e-4, atol=1e-6)
    assert float(clip_gradients(layer, None)) == pytest.approx(0.1, rel=1e-4)


def test_loss_weights_fall_linearly() -> None:
    assert falling(0.05, start=1.0, end=0.0, until=0.1) == pytest.approx(0.5)
    assert falling(0.3, start=1.0, end=0.0, until=0.1) == 0.0
    assert [kept_fraction(x) for x in (0.0, 0.25, 0.5, 0.9)] == pytest.approx([1.0, 0.575, 0.15, 0.15])


def test_averages_look_back_and_warm_up() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 0.0)
    average = AveragedWeights(layer, decay=decay_for(0.1, 100))
    assert average.decay == pytest.approx(0.9)
    nn.init.constant_(layer.weight, 1.0)
    expected = 0.0
    for update in range(200):
        decay = min(0.9, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay)
        average.update(layer)
    assert float(average.state["weight"]) == pytest.approx(expected, rel=1e-5)
    with average.applied_to(layer):
        assert layer.weight.item() == pytest.approx(expected, rel=1e-5)
    assert layer.weight.item() == 1.0
