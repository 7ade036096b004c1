"""What `rvos run --force` makes again: results of nodes, and of everything that stands on them."""

from __future__ import annotations

from collections.abc import Sequence

from rvos.errors import ConfigError, StoreError
from rvos.masks.stored.store import Store
from rvos.settings import nearest
from rvos_fusion.kinds.base import Node
from rvos_fusion.planning.plan import Plan
from rvos_fusion.recipe.recipe import Recipe


def find_dependents(nodes: Sequence[Node], names: Sequence[str], recipe: Recipe) -> tuple[str, ...]:
    """Return the named nodes of a run and all that stand on them, in the order of the run.

    Args:
        nodes: of the run, in an order in which every node comes after its inputs.

    Raises:
        ConfigError: a name that this run does not make.
    """
    known = [node.name for node in nodes]
    for name in names:
        if name not in known:
            raise ConfigError(f"{recipe.path}: --force {name}: no such node in this run; {nearest(name, known)}")
    found = {node.name for node in recipe.graph.above(*names)}
    return tuple(name for name in known if name in found)


def forget_results(plan: Plan, names: Sequence[str]) -> None:
    """Delete the results of nodes for the videos of a plan.

    Raises:
        StoreError: one cannot be deleted.
    """
    store = Store(plan.recipe.workspace)
    # What stands on others goes first: a run that is killed here must not take it for the result of the new inputs.
    for path in (store.path(name, task.video.id) for name in reversed(names) for task in plan.tasks[name]):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{path}: cannot be deleted ({error.strerror})") from None
