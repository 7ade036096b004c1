"""Variants of a recipe: a grid of settings, each variant a recipe of its own that no file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from rvos.errors import ConfigError
from rvos.settings import count, nearest, read_document
from rvos.settings.grids import split_values
from rvos.settings.nodes import Node, Section
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.recipe.recipe import Recipe

_MOST = 10_000
_NAMED = {"models": 1, "engines": 1, "detectors": 1, "stages": 2}
"""Sections whose entries have names of the recipe's own, and how deep: no other names mean anything."""
_SHARED = ("dataset", "workspace")

Grid = Mapping[str, Sequence[str]]
"""Values, as they are written, by the key that they are given."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A recipe that differs in some settings from that of its file.

    Args:
        settings: that differ, by the shortest key that tells them apart.
    """

    settings: Mapping[str, str]
    recipe: Recipe

    @property
    def name(self) -> str:
        """What differs, in words."""
        return ", ".join(f"{key}={value}" for key, value in self.settings.items())


def parse_grid(texts: Sequence[str]) -> Grid:
    """Return the grid of texts of the form `KEY=VALUES`; ConfigError where one has another form or repeats a key."""
    grid: dict[str, Sequence[str]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        if not equals or not all(key.strip().split(".")):
            raise ConfigError(f"--vary {text}: expected key=values, such as stages.stage1.smr.threshold=2,3,4")
        if key.strip() in grid:
            raise ConfigError(f"--vary {text}: {key.strip()} is varied already; give all its values at once")
        grid[key.strip()] = split_values(values, where=f"--vary {text}")
    return grid


def read_variants(recipe: Recipe, grid: Grid) -> list[Variant]:
    """Return every combination of the values of a grid, the last key's values fastest.

    Raises:
        ConfigError: a key that leads nowhere, or into what all variants share, or a value that a recipe refuses.
    """
    if (n_variants := prod(map(len, grid.values()))) > _MOST:
        raise ConfigError(f"--vary: {count(n_variants, 'variant')}, at most {_MOST}; give fewer values")
    root = read_document(recipe.path, recipe.overrides, what="recipe")
    for key in grid:
        _check_key(root, key)
    names = _shorten(list(grid))
    found = []
    for values in product(*grid.values()):
        overrides = [f"{key}={value}" for key, value in zip(grid, values, strict=True)]
        varied = read_recipe(recipe.path, [*recipe.overrides, *overrides], workspace=recipe.workspace)
        found.append(Variant(dict(zip(names, values, strict=True)), varied))
    return found


def _check_key(root: Node, key: str) -> None:
    """Refuse a key below a name that the recipe does not have: it would make something new that nobody reads."""
    words = key.split(".")
    if words[0] in _SHARED:
        raise ConfigError(f"--vary {key}: all variants share {words[0]}; compare recipes instead")
    node: Node | None = root
    for word in words[: _NAMED.get(words[0], -1) + 1]:
        known = node.words() if isinstance(node, Section) else ()
        if word not in known:
            raise ConfigError(f"--vary {key}: the recipe has no {word!r} there; {nearest(word, known)}")
        node = node.find(word) if isinstance(node, Section) else None


def _shorten(keys: Sequence[str]) -> list[str]:
    """Return the last words of each key that no other key ends with."""
    split = [key.split(".") for key in keys]

    def shorten(words: list[str]) -> str:
        others = [own for own in split if own is not words]
        lengths = range(1, len(words) + 1)
        return ".".join(words[-next((n for n in lengths if all(o[-n:] != words[-n:] for o in others)), len(words)) :])

    return [shorten(words) for words in split]
