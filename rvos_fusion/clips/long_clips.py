"""What bounds the memory of a long clip: members that see it in windows, engines that remember so many frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from propagate.engines.aot.settings import AotSettings
from propagate.engines.settings import EngineSettings
from runners.base import ModelSettings
from runners.registry import RUNNERS
from rvos.settings import count
from rvos_fusion.kinds.base import Node
from rvos_fusion.recipe.recipe import Recipe

LONG_CLIP = 300
"""Frames; up to here the official protocol is kept: a member sees the whole clip, an engine remembers all it writes."""
WINDOW, OVERLAP = 36, 4
"""Frames of a member's window, and of these shared with the next: about what videos of the field hold."""
REMEMBERED = 20
"""Frames of an engine's long-term memory: what it writes of a clip of 100."""
CACHE = 128
"""Megabytes of features that an engine keeps: it turns once, and spares no more than what it keeps there."""


def bound_memory(recipe: Recipe, n_frames: int) -> tuple[str, ...]:
    """Return settings as of `--set` that keep the memory of a clip of `n_frames` flat; none for one that is not long.

    What the recipe sets itself stays.
    """
    if n_frames <= LONG_CLIP:
        return ()
    return tuple(dict.fromkeys(setting for node in recipe.nodes for setting in _bound(node)))


def explain_bounds(n_frames: int) -> str:
    """Return what a person is told of it."""
    return (
        f"a long clip of {count(n_frames, 'frame')}: members see windows of {WINDOW}, engines remember {REMEMBERED} "
        "frames, so that the memory that is needed does not grow; --set models.NAME.window=N and "
        "--set engines.NAME.max_memory_frames=N change it"
    )


def _bound(node: Node) -> Iterator[str]:
    for value in (getattr(node, field.name) for field in fields(node)):
        if isinstance(value, ModelSettings) and value.window is None and RUNNERS[value.runner].sees_clips:
            yield f"models.{node.name}.window={WINDOW}"
            yield f"models.{node.name}.overlap={OVERLAP}"
        if isinstance(value, EngineSettings) and value.name:
            yield f"engines.{value.name}.cache_megabytes={min(CACHE, value.cache_megabytes)}"
        if isinstance(value, AotSettings) and value.max_memory_frames is None:
            yield f"engines.{value.name}.max_memory_frames={REMEMBERED}"
