"""What of a plan is in its workspace, by what the files say of themselves; whether they are whole shows in use."""

from __future__ import annotations

from collections.abc import Iterable

from rvos.errors import StoreError
from rvos.masks.stored.container import Description
from rvos.masks.stored.store import Store
from rvos.settings import count
from rvos_fusion.kinds.base import Node, Task
from rvos_fusion.kinds.versions import explain_change
from rvos_fusion.planning.plan import Plan


def take_stock(plan: Plan) -> tuple[list[Node], str]:
    """Return the nodes that have results missing, and a line on stored results of other versions; empty: none are."""
    store = Store(plan.recipe.workspace)
    waiting, changes, n_outdated = [], dict[str, None](), 0
    for node in plan.nodes:
        stale = list(_find_stale(store, plan.tasks[node.name]))
        waiting += [node] if stale else []
        for task, found in stale:
            reasons = explain_change(found.versions, task.versions) if found is not None else []
            n_outdated += bool(reasons)
            changes.update(dict.fromkeys(reasons))
    if not n_outdated:
        return waiting, ""
    one = "stored result was made by another version and is"
    several = "stored results were made by other versions and are"
    what = f"{count(n_outdated, one, several)} computed again"
    return waiting, f"{what}: {'; '.join(changes)}"


def _find_stale(store: Store, tasks: Iterable[Task]) -> Iterable[tuple[Task, Description | None]]:
    """Yield the tasks whose result is not there, with what is current in its place."""
    for task in tasks:
        name, video = task.node.name, task.video.id
        try:
            store.header(name, video, task.fingerprint)
        except StoreError:
            yield task, _find_current(store, name, video)


def _find_current(store: Store, node: str, video: str) -> Description | None:
    try:
        return store.header(node, video)
    except StoreError:
        return None
