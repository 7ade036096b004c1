"""Stored results that are removed: those that no value of a recipe names any more, and those of `rvos run --force`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rvos.errors import ConfigError, StoreError
from rvos.files.atomic import check_inside
from rvos.ids import unescape_path
from rvos.masks.stored.store import SUFFIX, Store
from rvos.settings import nearest
from rvos_fusion.kinds.base import Node
from rvos_fusion.planning.plan import Plan
from rvos_fusion.recipe.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A stored result that a run of the recipe would not take, and why not."""

    node: str
    path: Path
    n_bytes: int
    reason: str


def find_unnamed(plan: Plan) -> list[Unnamed]:
    """Return what is stored beside the results of a recipe's whole plan: of other nodes, videos or settings.

    Raises a StoreError for a link that leads out of the workspace.
    """
    recipe, store = plan.recipe, Store(plan.recipe.workspace)
    # A node that no stage needs is in the recipe and not in the plan; what it stored is still named.
    kept = {node.name for node in recipe.nodes} - plan.tasks.keys()
    found = []
    for folder in sorted((recipe.workspace / "nodes").glob("*")):
        if folder.is_dir() and folder.name not in kept:
            check_inside(folder, recipe.workspace)
            tasks = plan.tasks.get(folder.name)
            named = None if tasks is None else {task.video.id: task.fingerprint for task in tasks}
            found += list(_look_into(folder, named, store))
    return found


def remove_results(found: Sequence[Unnamed]) -> None:
    """Delete results, and the folders of nodes that are empty then; StoreError where a file cannot be deleted."""
    for result in found:
        try:
            result.path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{result.path}: cannot be deleted ({error.strerror})") from None
    for folder in {result.path.parent for result in found}:
        if not any(folder.iterdir()):
            folder.rmdir()


def _look_into(folder: Path, named: Mapping[str, str] | None, store: Store) -> Iterator[Unnamed]:
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        video = unescape_path(path.name.removesuffix(SUFFIX))
        if named is None:
            reason = "no such node"
        elif video not in named:
            reason = "no such video"
        elif not store.has(folder.name, video, named[video]):
            reason = "other settings, or damaged"
        else:
            continue
        yield Unnamed(folder.name, path, path.lstat().st_size, reason)


def find_dependents(nodes: Sequence[Node], names: Sequence[str], recipe: Recipe) -> tuple[str, ...]:
    """Return the named nodes of a run, and all that stand on them, in the run's order; ConfigError for other names."""
    known = [node.name for node in nodes]
    for name in names:
        if name not in known:
            raise ConfigError(f"{recipe.path}: --force {name}: no such node in this run; {nearest(name, known)}")
    found = {node.name for node in recipe.graph.above(*names)}
    return tuple(name for name in known if name in found)


def forget_results(plan: Plan, names: Sequence[str]) -> None:
    """Delete the results of nodes for the videos of a plan; StoreError where one cannot be deleted."""
    store = Store(plan.recipe.workspace)
    # What stands on others goes first: a run that is killed here must not take it for the result of the new inputs.
    for path in (store.path(name, task.video.id) for name in reversed(names) for task in plan.tasks[name]):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{path}: cannot be deleted ({error.strerror})") from None
