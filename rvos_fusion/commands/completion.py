"""What a shell offers after Tab: commands, options, files, and the nodes and stages of the recipe that is typed.

The shell starts `rvos` with the line so far in its environment (argcomplete); no network and no kind of node is loaded.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import argcomplete

from rvos.errors import ConfigError
from rvos.settings import Section, read_document
from rvos_fusion.weights.known_weights import DRIVES, HUB

Completer = Callable[..., list[str]]


def find_command(line: str, commands: Mapping[str, str]) -> str | None:
    """Return the command of a line, once a blank follows it."""
    words = line.split(maxsplit=2)
    is_whole = len(words) > 2 or (len(words) == 2 and line[-1].isspace())
    return words[1] if is_whole and words[1] in commands else None


def answer(parser: argparse.ArgumentParser, command: argparse.ArgumentParser | None) -> None:
    """Print what could follow the whole line to the shell, and end the program; `command` is the part that is typed."""
    for action in () if command is None else command._actions:
        completer = _COMPLETERS.get(action.dest)
        if completer is not None:
            action.completer = completer  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def list_nodes(recipe: Path) -> Iterator[str]:
    """Yield the names of all nodes of a recipe, whatever may be wrong with them; none where it cannot be read."""
    for section in (_find_section(recipe, "models"), *_list_stages(recipe).values()):
        yield from section.words() if section is not None else ()


def _list_stages(recipe: Path) -> dict[str, Section | None]:
    stages = _find_section(recipe, "stages")
    found = {} if stages is None else {word: stages.find(word) for word in stages.words()}
    return {word: node if isinstance(node, Section) else None for word, node in found.items()}


def _find_section(recipe: Path, name: str) -> Section | None:
    try:
        root = read_document(recipe, what="recipe")
    except ConfigError:
        return None
    found = root.find(name) if isinstance(root, Section) else None
    return found if isinstance(found, Section) else None


def _of_recipe(list_names: Callable[[Path], Iterable[str]]) -> Completer:
    """Return what offers names of the recipe that is typed already."""

    def complete(parsed_args: argparse.Namespace, **_: object) -> list[str]:
        recipe = getattr(parsed_args, "recipe", None)
        return [] if recipe is None else list(list_names(recipe))

    return complete


# By the name that an argument has in every command.
_COMPLETERS: Mapping[str, Completer] = {
    **dict.fromkeys(("node", "nodes", "force", "ladder"), _of_recipe(list_nodes)),
    "stage": _of_recipe(_list_stages),
    "names": lambda **_: [*HUB, *DRIVES],
}
