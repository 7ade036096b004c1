"""Learning rates and loss weights as functions of the training's progress."""

from __future__ import annotations

import math

from rvos_fusion.training.config import ScheduleSettings


def rate_factor(schedule: ScheduleSettings, progress: float, *, length: float) -> float:
    """Return where the rate lies between the minimum (0) and its own full value (1), after `progress` of 0 to 1.

    `length`: of the training, in the milestones' unit. Source: aot.md, section 12 (linear warm-up, polynomial decay).
    """
    if progress < schedule.warm_up:
        return progress / schedule.warm_up
    if schedule.kind == "step":
        # A hair of slack: progress is a quotient of whole numbers, so k / n * n can fall below k.
        position = progress * length + 1e-9 * length
        return float(schedule.factor ** sum(position >= milestone for milestone in schedule.milestones))
    remaining = 1 - (progress - schedule.warm_up) / max(1 - schedule.warm_up, 1e-9)
    remaining = min(max(remaining, 0.0), 1.0)
    if schedule.kind == "polynomial":
        return float(remaining**schedule.power)
    if schedule.kind == "cosine":
        return (1 - math.cos(math.pi * remaining)) / 2
    return 1.0


def falling(progress: float, *, start: float, end: float, until: float) -> float:
    """Return a value that falls linearly from `start` to `end` over the first part `until`, then stays."""
    return end if progress >= until else start + (end - start) * progress / until
