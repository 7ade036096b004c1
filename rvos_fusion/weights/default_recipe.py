"""The recipe of a clip where none is named: without training where its weights are there, the demo otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rvos_fusion.recipe.graph import find_missing_files
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.synthetic.bundled import find_bundled
from rvos_fusion.weights.known_weights import HUB

ZERO_SHOT = Path("recipes/zero_shot.yaml")
DEMO = Path("pipeline.yaml")


@dataclass(frozen=True, slots=True)
class FoundRecipe:
    """A recipe's file, and what is set for it before anything else."""

    path: Path
    overrides: tuple[str, ...] = ()


def find_recipe(path: Path) -> FoundRecipe:
    """Return a recipe of the current folder, else the bundled one of this path, whose weights lie in `weights` here."""
    bundled = find_bundled() / path
    if path.is_file() or path.is_absolute() or not bundled.is_file():
        return FoundRecipe(path)
    return FoundRecipe(bundled, (f"paths.weights={Path.cwd() / 'weights'}",))


def choose_default() -> tuple[FoundRecipe, str]:
    """Return the recipe that is taken where none is named, and a line that says which and why.

    Raises:
        ConfigError: something is wrong with the one without training.
    """
    # The bundled one may also find its weights where its own paths say, as in a checkout.
    for place in (first := find_recipe(ZERO_SHOT), FoundRecipe(find_bundled() / ZERO_SHOT)):
        if not list_missing(place):
            return place, f"recipe {place.path}, which needs no training; another one: --recipe"
    demo = find_recipe(DEMO).path
    why = f"as there is no {list_missing(first)[0]}; rvos fetch-weights {ZERO_SHOT} brings it"
    return FoundRecipe(demo), f"recipe {demo}, {why}"


def list_missing(found: FoundRecipe) -> list[Path]:
    """Return what a recipe reads and is not there; of folders of the hub each file."""
    nodes = read_recipe(found.path, found.overrides).nodes
    lacking = [file.path for _, file in find_missing_files(nodes)]
    return [*dict.fromkeys([*lacking, *_list_parts([file.path for node in nodes for file in node.files()])])]


def _list_parts(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that folders called as on the hub lack: a fetch may have broken off."""
    for path in dict.fromkeys(paths):
        if path.is_dir() and path.name in HUB:
            yield from (path / name for name in HUB[path.name].files if not (path / name).is_file())
