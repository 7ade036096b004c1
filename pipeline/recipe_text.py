"""YAML with line numbers: every value stays text until its reader says what it should be.

YAML itself would turn the video `6031809500` into a number, `on` into a boolean and leave `1e-3` as text.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import yaml

from rvos.errors import ConfigError, PipelineError

Value = TypeVar("Value")
_OVERRIDE = "--set "
_REFERENCE = re.compile(r"\$\{([^}]*)\}")


class Problems:
    """Everything that is wrong with a recipe, told in one message."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: list[tuple[int, str]] = []

    def add(self, node: yaml.Node | None, message: str) -> None:
        """Note a problem at the line of `node`; None: the file as a whole."""
        line = node.start_mark.line + 1 if node is not None else 0
        self._found.append((line, f"{self.where(node)}: {message}"))

    def add_at(self, line: int, message: str) -> None:
        """Note a problem at a line of the file, counted from 1; 0: a value given on the command line."""
        self._found.append((line, f"{self._path}:{line}: {message}" if line else f"{self._path}: {message}"))

    def where(self, node: yaml.Node | None) -> str:
        """Return `file:line` of a node, or the `--set` that it comes from."""
        if node is None:
            return str(self._path)
        if is_override(node):
            return str(node.start_mark.name)
        return f"{self._path}:{node.start_mark.line + 1}"

    def check(self) -> None:
        """Raise what was found, in the order of the lines.

        Raises:
            ConfigError: there is any problem.
        """
        messages = list(dict.fromkeys(message for _, message in sorted(self._found, key=lambda found: found[0])))
        if len(messages) == 1:
            raise ConfigError(messages[0])
        if messages:
            raise ConfigError(f"{self._path}: {len(messages)} problems\n" + "\n".join(f"  {m}" for m in messages))


class RecipeText:
    """The tree of a recipe, and readers that note what is wrong instead of stopping at the first problem."""

    def __init__(self, root: yaml.Node, problems: Problems, *, folder: Path, paths: Mapping[str, Path]) -> None:
        self.root = root
        self.problems = problems
        self._folder = folder
        self._paths = paths

    def with_paths(self, paths: Mapping[str, Path]) -> RecipeText:
        """Return the same tree that knows what `${paths.NAME}` stands for."""
        return RecipeText(self.root, self.problems, folder=self._folder, paths=paths)

    def entries(self, node: yaml.Node, what: str) -> dict[str, yaml.Node]:
        """Return the values of a mapping by key; repeated keys and other forms are problems."""
        if not isinstance(node, yaml.MappingNode):
            self.problems.add(node, f"{what} must be a mapping (key: value); found {_describe(node)}")
            return {}
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.problems.add(key, f"{what}: a key must be a single word")
            elif key.value in found:
                self.problems.add(key, f"{what}: {key.value!r} is given twice; keep one")
            else:
                found[key.value] = value
        return found

    def section(
        self, node: yaml.Node, what: str, *, known: Sequence[str], needed: Sequence[str] = ()
    ) -> dict[str, yaml.Node]:
        """Return the entries of a mapping with a fixed set of keys."""
        found = self.entries(node, what)
        for key in [key for key in found if key not in known]:
            self.problems.add(found.pop(key), f"{what}: unknown key {key!r}; {nearest(key, known)}")
        if isinstance(node, yaml.MappingNode):
            for key in needed:
                if key not in found:
                    self.problems.add(node, f"{what}: {key!r} is missing; add it")
        return found

    def text(self, node: yaml.Node, what: str) -> str | None:
        """Return a scalar as it is written."""
        if isinstance(node, yaml.ScalarNode) and node.value != "":
            return str(node.value)
        self.problems.add(node, f"{what} must be a single value; found {_describe(node)}")
        return None

    def texts(self, node: yaml.Node, what: str) -> tuple[str, ...]:
        """Return a list of scalars as they are written."""
        if not isinstance(node, yaml.SequenceNode):
            self.problems.add(node, f"{what} must be a list [a, b]; found {_describe(node)}")
            return ()
        found = [self.text(item, f"an entry of {what}") for item in node.value]
        return tuple(item for item in found if item is not None)

    def choice(self, node: yaml.Node, what: str, choices: Sequence[str]) -> str | None:
        """Return one of the words in `choices`."""
        word = self.text(node, what)
        if word is None or word in choices:
            return word
        self.problems.add(node, f"{what} {word!r} is unknown; {nearest(word, choices)}")
        return None

    def convert(self, node: yaml.Node, what: str, read: Callable[[str], Value], expected: str) -> Value | None:
        """Return a scalar read by a function that raises ValueError, or PipelineError with its own words."""
        word = self.text(node, what)
        if word is None:
            return None
        try:
            return read(word)
        except PipelineError as error:
            self.problems.add(node, f"{what}: {error}")
        except (ValueError, ZeroDivisionError):
            self.problems.add(node, f"{what} {word!r} is not {expected}")
        return None

    def boolean(self, node: yaml.Node, what: str) -> bool | None:
        """Return true or false."""
        word = self.choice(node, what, ("true", "false"))
        return None if word is None else word == "true"

    def path(self, node: yaml.Node, what: str) -> Path | None:
        """Return a path: relative to the recipe, or for `--set` to the current folder; `${paths.NAME}` is filled in."""
        word = self.text(node, what)
        if word is None:
            return None
        base = Path.cwd() if is_override(node) else self._folder
        filled = Path(_REFERENCE.sub(lambda match: self._get_path(node, match[1]), word)).expanduser()
        return Path(os.path.normpath(base / filled))

    def _get_path(self, node: yaml.Node, reference: str) -> str:
        name = reference.removeprefix("paths.")
        if name != reference and name in self._paths:
            return str(self._paths[name])
        known = [f"paths.{key}" for key in self._paths]
        self.problems.add(node, f"${{{reference}}} is not defined; {nearest(reference, known)}")
        return "undefined"


def read_recipe_text(path: Path, overrides: Iterable[str] = ()) -> RecipeText:
    """Return the tree of a recipe file with the values of `--set` put in.

    Args:
        overrides: texts of the form `key.key=value`.

    Raises:
        ConfigError: no such file, no YAML (with its line), or an override of another form.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: recipe cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: recipe is not UTF-8 text; save it as UTF-8") from None
    problems = Problems(path)
    root = _compose(text, str(path)) or _compose("{}", str(path))
    assert root is not None
    for override in overrides:
        _set_value(root, override)
    return RecipeText(root, problems, folder=path.resolve().parent, paths={})


def is_override(node: yaml.Node) -> bool:
    """Tell whether a value comes from the command line."""
    return node.start_mark is not None and str(node.start_mark.name).startswith(_OVERRIDE)


def nearest(word: str, known: Sequence[str]) -> str:
    """Return advice: the known word that looks most alike, or all of them."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"choose one of {', '.join(known)}" if known else "there is none to choose from"


def _compose(text: str, name: str) -> yaml.Node | None:
    try:
        loader = yaml.SafeLoader(text)
        loader.name = name
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{name}{line}: not YAML ({error.problem or error.context}); correct this line") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{name}: not YAML ({' '.join(str(error).split())[:200]}); correct the file") from None


def _set_value(root: yaml.Node, override: str) -> None:
    """Put the value of one `--set` into the tree; missing mappings on the way are made."""
    key, equals, text = override.partition("=")
    keys = key.strip().split(".")
    name = f"{_OVERRIDE}{override}"
    value = _compose(text, name) if equals else None
    if value is None or not all(keys):
        raise ConfigError(f"{name}: expected key=value, such as stages.stage1.smr.threshold=4")
    node = root
    for position, word in enumerate(keys):
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{name}: {'.'.join(keys[:position])} is no mapping; nothing can be set in it")
        last = position == len(keys) - 1
        child = next((v for k, v in node.value if isinstance(k, yaml.ScalarNode) and k.value == word), None)
        if child is None or last:
            child = value if last else yaml.MappingNode("tag:yaml.org,2002:map", [], value.start_mark, value.end_mark)
            _put(node, word, child)
        node = child


def _put(mapping: yaml.MappingNode, word: str, child: yaml.Node) -> None:
    others = [(k, v) for k, v in mapping.value if not (isinstance(k, yaml.ScalarNode) and k.value == word)]
    places = [i for i, (k, _) in enumerate(mapping.value) if isinstance(k, yaml.ScalarNode) and k.value == word]
    key = yaml.ScalarNode("tag:yaml.org,2002:str", word, child.start_mark, child.end_mark)
    others.insert(places[0] if places else len(others), (key, child))
    mapping.value = others


def _describe(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return repr(node.value) if node.value else "nothing"
