"""Stored results that are removed: those that no recipe points at any more, and those of `rvos run --force`."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rvos.errors import ConfigError, StoreError
from rvos.masks.stored.index import name_result
from rvos.masks.stored.store import Store, StoredFile
from rvos.settings import nearest
from rvos_fusion.kinds.base import Node
from rvos_fusion.planning.notes import RecipeNote, find_note, read_notes
from rvos_fusion.planning.plan import Plan
from rvos_fusion.recipe.recipe import Recipe

_AGE = re.compile("([0-9]{1,6})([mhdw])")
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A stored result that a run of the recipe would not take, and why not.

    Args:
        name: of its settings' result; None where a damaged file does not tell.
        used: when it was made or last became current, in seconds since 1970.
        needed_by: the other recipe that points at it; None: nobody does.
    """

    node: str
    video: str
    path: Path
    name: str | None
    n_bytes: int
    reason: str
    used: float
    needed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Sparing:
    """Which of the results that nobody points at stay all the same.

    Args:
        keep: of every node and video so many, the last used.
        older_than: seconds; what was used since stays.

    Raises:
        ConfigError: less than none.
    """

    keep: int = 0
    older_than: float = 0.0

    def __post_init__(self) -> None:
        if self.keep < 0:
            raise ConfigError(f"--keep {self.keep}: give 0 or more")

    def choose(self, found: Sequence[Unnamed]) -> list[Unnamed]:
        """Return what may go."""
        beside = defaultdict[tuple[str, str], list[Unnamed]](list)
        for one in sorted(found, key=lambda one: one.used, reverse=True):
            if one.needed_by is None:
                beside[one.node, one.video].append(one)
        old = {one.path for own in beside.values() for one in own[self.keep :]}
        latest = time.time() - self.older_than
        return [one for one in found if one.path in old and one.used <= latest]


def parse_age(text: str) -> float:
    """Return the seconds of `30m`, `12h`, `7d` or `2w`; ConfigError where it has another form."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise ConfigError(f"--older-than {text}: expected minutes, hours, days or weeks, such as 30m, 12h, 7d or 2w")
    return float(int(found[1]) * _SECONDS[found[2]])


def find_unnamed(plan: Plan) -> list[Unnamed]:
    """Return what is stored beside the results of a recipe's whole plan: of other recipes, nodes, videos or settings.

    Raises a StoreError for a link that leads out of the workspace.
    """
    recipe, store = plan.recipe, Store(plan.recipe.workspace)
    others = [(note.recipe, note.index.read()) for note in _find_others(recipe)]
    found, places = [], plan.places
    for file in store.files():
        reason = _judge(plan, file, places.get(file.video))
        if reason:
            key, state = (file.node, file.video), file.path.lstat()
            needed_by = next((other for other, own in others if own.get(key) == file.name), None)
            found.append(Unnamed(*key, file.path, file.name, state.st_size, reason, state.st_mtime, needed_by))
    return found


def _judge(plan: Plan, file: StoredFile, place: int | None) -> str:
    """Return why a run of the plan would not take a file of its video at a place; nothing where it would."""
    tasks = plan.tasks.get(file.node)
    if tasks is None:
        # A node that no stage needs is in the recipe and not in the plan; what it stored is still named.
        return "" if any(node.name == file.node for node in plan.recipe.nodes) else "no such node"
    if place is None:
        return "no such video"
    fingerprint = tasks[place].fingerprint
    if file.name is not None and file.name != name_result(fingerprint):
        return "other settings"
    return "" if Store(plan.recipe.workspace).has(file.node, file.video, fingerprint) else "damaged"


def remove_results(plan: Plan, found: Sequence[Unnamed]) -> None:
    """Delete results and what lies beside them, and forget former settings of the recipe, and recipes that are gone.

    Raises a StoreError where a file cannot be deleted.
    """
    store, note = Store(plan.recipe.workspace), find_note(plan.recipe)
    removed = {((one.node, one.video), one.name) for one in found}
    for one in found:
        for path in (one.path, *store.folder(one.node, one.video).glob(f"{one.name or one.path.stem}.*")):
            _delete(path)
    folders = [store.folder(*key) for key, _ in removed]
    for folder in dict.fromkeys([*folders, *(folder.parent for folder in folders)]):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    alive = {other.index.path for other in _find_others(plan.recipe)}
    names = {key: name for key, name in note.index.read().items() if key[0] not in plan.tasks}
    for other in read_notes(plan.recipe.workspace):
        if other.index.path not in alive:
            other.remove()
    note.keep()
    note.index.replace(names | dict(plan.name_results()))
    store.index.replace({key: name for key, name in store.index.read().items() if (key, name) not in removed})


def find_dependents(nodes: Sequence[Node], names: Sequence[str], recipe: Recipe) -> tuple[str, ...]:
    """Return the named nodes of a run, and all that stand on them, in the run's order; ConfigError for other names."""
    known = [node.name for node in nodes]
    for name in names:
        if name not in known:
            raise ConfigError(f"{recipe.path}: --force {name}: no such node in this run; {nearest(name, known)}")
    found = {node.name for node in recipe.graph.above(*names)}
    return tuple(name for name in known if name in found)


def forget_results(plan: Plan, names: Sequence[str], forced: Sequence[str]) -> None:
    """Delete results for the videos of a plan: of forced nodes its own, of `names`, which stand on them, all settings'.

    Raises a StoreError where one cannot be deleted.
    """
    store = Store(plan.recipe.workspace)
    # What stands on others goes first: a run that is killed here must not take it for the result of the new inputs.
    for name in reversed(names):
        for task in plan.tasks[name]:
            own = store.path(name, task.video.id, task.fingerprint)
            # Nothing tells which other settings' results stand on what is made again.
            beside = [] if name in forced else [file.path for file in store.settings(name, task.video.id)]
            for path in (*beside, own):
                _delete(path)


def _find_others(recipe: Recipe) -> Iterator[RecipeNote]:
    """Yield the notes of other recipes that are still there."""
    own = find_note(recipe)
    yield from (note for note in read_notes(recipe.workspace) if note.recipe != own.recipe and note.is_alive)


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be deleted ({error.strerror})") from None
