"""AdamW or Adam over parameter groups chosen by name."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

from rvos.errors import ConfigError
from rvos_fusion.training.config import GroupRule, OptimiserSettings, ScheduleSettings
from rvos_fusion.training.running.schedules import rate_factor

_DEFAULT = GroupRule(match="")


def build_optimiser(network: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """Return the optimiser; parameters of frozen rules no longer require gradients.

    Every group keeps its full rate under `full_rate` for `set_rates`. Tied parameters count once,
    under their first name.

    Raises:
        ConfigError: a rule that no parameter matches, or nothing left to train.
    """
    grouped: dict[GroupRule, list[Tensor]] = {rule: [] for rule in (*settings.rules, _DEFAULT)}
    for name, parameter in network.named_parameters():
        rule = next((rule for rule in settings.rules if re.search(rule.match, name)), _DEFAULT)
        if rule.frozen:
            parameter.requires_grad_(False)
        grouped[rule].append(parameter)
    unused = [rule.match for rule in settings.rules if not grouped[rule]]
    if unused:
        raise ConfigError(f"optimiser.rules: no parameter matches {', '.join(map(repr, unused))}; mend the expression")
    groups: list[dict[str, Any]] = []
    for rule, parameters in grouped.items():
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        if trained:
            rate = settings.rate * rule.scale if rule.rate is None else rule.rate
            decay = settings.weight_decay if rule.weight_decay is None else rule.weight_decay
            group = {"params": trained, "lr": rate, "full_rate": rate, "scale": rule.scale, "weight_decay": decay}
            groups.append(group)
    if not groups:
        raise ConfigError("optimiser.rules: every parameter is frozen; leave some to train")
    kind = torch.optim.AdamW if settings.kind == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.rate, betas=settings.betas, weight_decay=settings.weight_decay)


def set_rates(optimiser: torch.optim.Optimizer, schedule: ScheduleSettings, progress: float, *, length: float) -> float:
    """Set every group's rate for `progress`; return that of the last group (the unmatched names).

    A scaled group keeps the minimum: `minimum + (full - minimum) * factor`, `full = minimum + (base - minimum) *
    scale`. Source: aot.md, section 12 (encoder: `(rate - min) * 0.1 + min`).
    """
    factor = rate_factor(schedule, progress, length=length)
    for group in optimiser.param_groups:
        base = group["full_rate"] / group["scale"]
        full = schedule.minimum + (base - schedule.minimum) * group["scale"]
        group["lr"] = schedule.minimum + (full - schedule.minimum) * factor
    return float(optimiser.param_groups[-1]["lr"])


def clip_gradients(network: nn.Module, limit: float | None) -> Tensor:
    """Scale all gradients so that their total norm is at most `limit`; return the norm before."""
    parameters = [parameter for parameter in network.parameters() if parameter.grad is not None]
    return nn.utils.clip_grad_norm_(parameters, float("inf") if limit is None else limit)
