"""What would stop a run at its first task, found without weights and pixels: the same for doctor, plan and run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from rvos.errors import InputError
from rvos.plugins import load_plugin
from rvos.settings import Problems, count
from rvos.videos import Video
from rvos_fusion.kinds.base import Node, WorkerKey, capability
from rvos_fusion.kinds.networks.loaded import choose_device, explain
from rvos_fusion.kinds.versions import list_own_code

_SHOWN = 3


@runtime_checkable
class Supplied(Protocol):
    """A node that takes masks from elsewhere."""

    def find_lacking(self, videos: Sequence[Video], *, deep: bool = False) -> Iterable[str]:
        """Yield what it has no masks for, or none that fit, one line a video, as far as names and a few masks tell.

        `deep`: as far as all masks tell. Raises an InputError where they cannot be opened at all.
        """


@runtime_checkable
class Loadable(Protocol):
    """A node whose networks can be tried without their weights."""

    def check_load(self) -> Iterable[str]:
        """Yield what would keep it from being loaded; its files are there."""


def find_load_problems(nodes: Iterable[Node], *, executes: bool = False) -> Iterator[tuple[Node, str]]:
    """Yield what would keep nodes from being loaded, whose files are there; what they share is tried once.

    `executes` imports the modules of users that they name, which may do anything.
    """
    tried: set[WorkerKey] = set()
    for node in nodes:
        key = node.worker_key()
        if key is not None and key not in tried:
            tried.add(key)
            loadable = capability(node, Loadable)
            yield from ((node, problem) for problem in (() if loadable is None else loadable.check_load()))
            for code in list_own_code(node) if executes else ():
                yield from ((node, problem) for problem in explain(partial(load_plugin, code)))


def find_data_problems(
    nodes: Iterable[Node], videos: Sequence[Video], *, deep: bool = False
) -> Iterator[tuple[Node, str]]:
    """Yield which videos nodes lack something for that they take from elsewhere; few lines a node; `deep` as above."""
    for node in nodes:
        try:
            supplied = capability(node, Supplied)
            problems = [] if supplied is None else list(supplied.find_lacking(videos, deep=deep))
        except InputError as error:
            problems = [str(error)]
        more = f" (and so {count(len(problems) - _SHOWN, 'more video')})" if len(problems) > _SHOWN else ""
        for place, problem in enumerate(problems[:_SHOWN], start=1):
            yield node, problem + (more if place == _SHOWN else "")


def check_loads(nodes: Iterable[Node], recipe: Path, *, device: str | None) -> None:
    """Refuse, by one ConfigError, what nodes of a recipe cannot load; modules of users are imported.

    `device` is where networks run, which must be there; None: others know.
    """
    waiting = [node for node in nodes if node.worker_key() is not None]
    problems = Problems(recipe)
    for node, problem in find_load_problems(waiting, executes=True):
        problems.add_at(node.line, f"{node.name}: {problem}")
    problems.check()
    if waiting and device is not None:
        choose_device(device)
