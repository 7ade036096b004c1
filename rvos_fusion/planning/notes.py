"""What recipes made in a workspace: a note of each, so that nothing is removed that another recipe points at.

A note is a file `made_by/RECIPE-KEY.csv` of the form of `current.csv`, beside `made_by/RECIPE-KEY.json`, which says
where the recipe lies, seen from the workspace, and with which `--set` it was run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rvos.errors import InputError, StoreError
from rvos.files.atomic import write_atomically
from rvos.files.json_files import read_json
from rvos.masks.stored.index import ResultIndex
from rvos_fusion.kinds.checksums import hash_json
from rvos_fusion.planning.plan import Plan
from rvos_fusion.recipe.recipe import Recipe

_KEY_LENGTH = 8


@dataclass(frozen=True, slots=True)
class RecipeNote:
    """The results of a recipe in a workspace.

    Args:
        recipe: its file, seen from the workspace: both may be moved together.
        overrides: of `--set`: with others it makes other results.
    """

    workspace: Path
    recipe: str
    overrides: tuple[str, ...]

    @property
    def index(self) -> ResultIndex:
        """The names of its results."""
        return ResultIndex(self._place(".csv"))

    @property
    def is_alive(self) -> bool:
        """Whether the recipe is still there."""
        return (self.workspace / self.recipe).is_file()

    def keep(self) -> None:
        """Write down which recipe it is; StoreError where that cannot be written."""
        path = self._place(".json")
        if not path.is_file():
            content = {"recipe": self.recipe, "set": self.overrides}
            write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())

    def remove(self) -> None:
        """Forget the recipe; StoreError where that cannot be done."""
        for suffix in (".csv", ".json"):
            path = self._place(suffix)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise StoreError(f"{path}: cannot be deleted ({error.strerror})") from None

    def _place(self, suffix: str) -> Path:
        key = hash_json([self.recipe, self.overrides])[:_KEY_LENGTH]
        return self.workspace / "made_by" / f"{Path(self.recipe).stem[:80]}-{key}{suffix}"


def find_note(recipe: Recipe) -> RecipeNote:
    """Return the note of a recipe, written or not."""
    place = os.path.relpath(recipe.path.absolute(), recipe.workspace.absolute())
    return RecipeNote(recipe.workspace, Path(place).as_posix(), recipe.overrides)


def read_notes(workspace: Path) -> Iterator[RecipeNote]:
    """Yield the notes of a workspace. Raises StoreError for a damaged one: nobody knows what it keeps."""
    for path in sorted((workspace / "made_by").glob("[!.]*.json")):
        try:
            content = read_json(path)
            yield RecipeNote(workspace, str(content["recipe"]), tuple(map(str, content["set"])))
        except (InputError, KeyError, TypeError):
            raise StoreError(
                f"{path}: cannot be read; delete it if no recipe of it is left, or run the recipe again"
            ) from None


def note_plan(plan: Plan) -> None:
    """Write down what a recipe makes, before it is made: a killed run's results are not nobody's; StoreError."""
    note = find_note(plan.recipe)
    note.keep()
    note.index.add(plan.name_results())
