"""Plans of the variants of a recipe: what they share with the recipe is looked at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rvos_fusion.kinds.base import Task
from rvos_fusion.planning.plan import make_plan
from rvos_fusion.planning.results import Results
from rvos_fusion.recipe.graph import build_graph, check_files, restrict_graph
from rvos_fusion.recipe.variants import Variant


@dataclass(frozen=True, slots=True)
class PlannedVariant:
    """A variant and the results of one of its nodes, with those below it that differ; None: the recipe's own."""

    variant: Variant
    results: Results | None

    @property
    def name(self) -> str:
        """What differs from the recipe, in words."""
        return self.variant.name if self.results is not None else f"{self.variant.name} (the recipe's own)"

    def find_missing(self, node: str) -> list[str]:
        """Return the videos that the node has no result for."""
        return [] if self.results is None else self.results.find_missing(node)


def plan_variant(variant: Variant, node: str, own: Results, *, device: str = "auto") -> PlannedVariant:
    """Return what a node of a variant takes; `own` are the results of the whole recipe, for the same videos.

    Raises what `make_plan` does, and a ConfigError for files that are missing.
    """
    recipe = variant.recipe
    whole = restrict_graph(build_graph(recipe), recipe, node)
    check_files(whole.nodes, recipe)
    plan = make_plan(recipe, whole, own.plan.videos, device=device, like=own.plan)
    changed = [name for name, tasks in plan.tasks.items() if _differs(tasks, own.plan.tasks.get(name, ()))]
    if node not in changed:
        return PlannedVariant(variant, None)
    nodes = tuple(one for one in plan.nodes if one.name in changed)
    plan = replace(plan, nodes=nodes, tasks={name: plan.tasks[name] for name in changed})
    return PlannedVariant(variant, Results(plan, own.options))


def find_idle(variants: Sequence[PlannedVariant], node: str) -> list[str]:
    """Return the varied keys of which no two values make a difference to a node."""
    idle = []
    for key in variants[0].variant.settings:
        made: dict[tuple[tuple[str, str], ...], set[object]] = {}
        for one in variants:
            rest = tuple((name, value) for name, value in one.variant.settings.items() if name != key)
            results = one.results
            name = None if results is None else tuple(task.fingerprint for task in results.plan.tasks[node])
            made.setdefault(rest, set()).add(name)
        if len(made) < len(variants) and all(len(names) == 1 for names in made.values()):
            idle.append(key)
    return idle


def _differs(tasks: Sequence[Task], own: Sequence[Task]) -> bool:
    return [task.fingerprint for task in tasks] != [task.fingerprint for task in own]
