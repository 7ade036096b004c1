"""Code of users that takes part by name: `module:function`, or an entry point of an installed package.

Nothing is executed before `load_plugin`: where the code lies, what of it counts for fingerprints, and whether it can be
called is found without importing it, so that commands that only look need none of its libraries, and do nothing that a
recipe from elsewhere wants done.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module, invalidate_caches, metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any, ClassVar

from rvos.errors import ConfigError, InputError
from rvos.files.atomic import read_whole
from rvos.outside_code import contained, describe
from rvos.settings import Names

# fmt: off
_PUBLIC = frozenset((
    "Augmentation", "Detector", "DetectorSettings", "Engine", "EngineSettings", "Expression", "FeatureCache", "Forking",
    "Frame", "FrameBoxes", "FrameInstances", "LoggedTraining", "Logger", "MaskSequence", "OwnModel", "Runner",
    "Session", "SoftMaps", "Step", "Video", "check_sequences", "decode", "encode",
))
# fmt: on
"""What a model imports from `rvos_fusion` alone; the modules behind it move, and were public once."""
_HAD_THEM = ("rvos", "runners", "propagate", "training", "rvos_fusion")
_CALLED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_STAMP = "__rvos_checksum__"
"""Attribute of a module that says which content was imported: a long-lived worker imports edited code anew."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A function of a user's module.

    Args:
        name: as the recipe has it.
        module, attribute: what to import.
        source: the module's file.
        sources: it alone, or all modules of its package.
        folder: that the module lies in, where that is the recipe's and not on the path.
        checksum: of the names and contents of the sources.
    """

    name: str
    module: str
    attribute: str
    source: Path
    sources: tuple[Path, ...]
    folder: Path | None
    checksum: str


def is_plugin_name(name: str) -> bool:
    """Tell whether a name is of the form `module:function`."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))


@dataclass(frozen=True)
class PluginNames(Names):
    """Marks a text that names code of a user's: `module:function`, or an entry point of `group`."""

    advice: ClassVar[str] = "Your own is named module:function"

    group: str

    def known(self) -> Sequence[str]:
        """Return the entry points."""
        return list_entry_points(self.group)

    def holds(self, name: str) -> bool:
        """Tell whether a text is of either form."""
        return is_plugin_name(name) or name in self.known()


def list_entry_points(group: str) -> list[str]:
    """Return the names that installed packages give in a group, such as `rvos.runners`."""
    return sorted(_find_entry_points(group, tuple(sys.path)))


@lru_cache(maxsize=8)
def _find_entry_points(group: str, path: tuple[str, ...]) -> dict[str, str]:
    """Return name -> `module:function` in a group; all packages on `path` are looked through, which takes a while."""
    return {point.name: point.value for point in metadata.entry_points(group=group)}


def find_plugin(name: str, *, group: str, folder: Path | None = None) -> Plugin | None:
    """Return the code of a name, which is not imported; None where it is neither a plugin nor of that form.

    Args:
        group: of entry points.
        folder: of the recipe; modules there come before those on the path.

    Raises:
        ConfigError: no such module, or no such function in it.
    """
    target = name
    if not is_plugin_name(name):
        value = _find_entry_points(group, tuple(sys.path)).get(name)
        if value is None:
            return None
        target, folder = value.partition("[")[0].replace(" ", ""), None
    module, _, attribute = target.partition(":")
    found = _locate(module, folder)
    if found is None:
        places = "on the path" if folder is None else f"in {folder} nor on the path"
        raise ConfigError(f"{name}: no module {module} {places}; correct the name, or put the file beside the recipe")
    sources, own, is_beside = found
    definitions = _list_definitions(own, name)
    if attribute not in definitions and not definitions.keys() & {"*", "__getattr__"}:
        raise ConfigError(f"{name}: {own} has no function {attribute}; add it or correct the name")
    return Plugin(name, module, attribute, own, sources, folder if is_beside else None, _hash(sources))


def require_plugin(what: str, name: str, *, group: str, folder: Path | None = None) -> Plugin:
    """Return the code of a name that stands for `what`, which is not imported; `group` and `folder` as there.

    Raises:
        ConfigError: no such module, no entry point of that name, or no such function of (settings, device=...) in it.
    """
    plugin = find_plugin(name, group=group, folder=folder)
    if plugin is None:
        raise ConfigError(f"{what} {name!r}: no installed package names it under {group}; install it")
    definitions = _list_definitions(plugin.source, name).get(plugin.attribute, ())
    unfit = [definition for definition in definitions if definition is not None and _is_unfit(definition)]
    if unfit and len(unfit) == len(definitions):
        raise ConfigError(
            f"{name}: {plugin.source}:{unfit[-1].lineno}: {plugin.attribute} is not called as "
            f"{plugin.attribute}(settings, device=...); write def {plugin.attribute}(settings, *, device):"
        )
    return plugin


def load_plugin(plugin: Plugin) -> Callable[..., Any]:
    """Return the function, its module imported; code that changed since it was imported last is imported anew.

    Raises:
        ConfigError: the module cannot be imported, another one of its name is loaded, or it has no such function.
    """
    top = plugin.module.partition(".")[0]
    loaded = sys.modules.get(top)
    stamp = f"{plugin.checksum} {plugin.sources[0]}"
    if loaded is not None and getattr(loaded, _STAMP, stamp) != stamp:
        for name in [one for one in sys.modules if one == top or one.startswith(f"{top}.")]:
            del sys.modules[name]
    try:
        with _prepared(plugin), contained():
            module = import_module(plugin.module)
    except Exception as error:  # whatever a user's file may raise
        frame = _find_frame(error, plugin)
        where = f"{frame.filename}:{frame.lineno}" if frame else str(plugin.source)
        line = _find_moved(frame) if frame and isinstance(error, ImportError) else None
        what = describe(error)
        advice = f"write: {line}" if line else "correct the module"
        raise ConfigError(f"{plugin.name}: {where}: {what}; {advice}") from None
    path = getattr(module, "__file__", None)
    if path is None or Path(path).resolve() != plugin.source.resolve():
        raise ConfigError(
            f"{plugin.name}: a module {plugin.module} of {path or 'Python itself'} is loaded already; rename "
            f"{plugin.source}"
        )
    setattr(sys.modules[top], _STAMP, stamp)
    function = getattr(module, plugin.attribute, None)
    if not callable(function):
        raise ConfigError(
            f"{plugin.name}: {plugin.source} has no function {plugin.attribute}; add it or correct the name"
        )
    return function


def _locate(module: str, folder: Path | None) -> tuple[tuple[Path, ...], Path, bool] | None:
    """Return the sources of a module, its own file, and whether it lies in `folder`; None where there is none."""
    top, *rest = module.split(".")
    spec = None if folder is None else PathFinder.find_spec(top, [str(folder)])
    is_beside = spec is not None
    try:
        spec = spec or importlib.util.find_spec(top)
    except ValueError:  # loaded by other means, without a file
        return None
    for depth in range(len(rest)):
        if spec is None or spec.submodule_search_locations is None:
            return None
        if depth == 0:
            package = spec
        spec = PathFinder.find_spec(".".join((top, *rest[: depth + 1])), list(spec.submodule_search_locations))
    own = None if spec is None else _file_of(spec)
    if own is None:
        return None
    assert spec is not None
    outer = package if rest else spec
    locations = [Path(place) for place in outer.submodule_search_locations or ()]
    sources = sorted({path for place in locations for path in place.rglob("*.py")}) if locations else [own]
    return tuple(sources), own, is_beside


def _file_of(spec: ModuleSpec) -> Path | None:
    return Path(spec.origin) if spec.has_location and spec.origin is not None and spec.origin.endswith(".py") else None


def _list_definitions(source: Path, name: str) -> Mapping[str, Sequence[ast.stmt | None]]:
    """Return what a file defines at its outermost level, by name, as far as that shows without executing it.

    A definition is None where it tells nothing of how it is called, such as an import. Raises ConfigError: no Python.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # the user's own affair
            tree = ast.parse(read_whole(source), filename=str(source))
    except InputError as error:
        raise ConfigError(f"{name}: {error}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        reason = error.args[0] if error.args else "too deep"
        raise ConfigError(f"{name}: {source}{line}: no Python ({reason}); correct it") from None
    found: dict[str, list[ast.stmt | None]] = {}
    waiting: list[ast.AST] = [tree]
    for statement in waiting:
        for word in _names_of(statement):
            found.setdefault(word, []).append(statement if isinstance(statement, _CALLED) else None)
        if not isinstance(statement, (*_CALLED, ast.Lambda)):
            waiting += ast.iter_child_nodes(statement)
    return found


def _is_unfit(definition: ast.stmt) -> bool:
    """Tell whether a definition cannot be called as f(settings, device=...), where it shows."""
    if isinstance(definition, ast.ClassDef):
        made = [one for one in definition.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
        return bool(made) and _is_unfit(made[-1])
    if not isinstance(definition, ast.FunctionDef) or definition.decorator_list:
        return False
    arguments = definition.args
    by_place = [one.arg for one in (*arguments.posonlyargs, *arguments.args)][definition.name == "__init__" :]
    needed = by_place[: len(by_place) - len(arguments.defaults)]
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    needed = [*needed[1:], *(one.arg for one, default in pairs if default is None)]
    named = [one.arg for one in (*arguments.args, *arguments.kwonlyargs) if one.arg not in by_place[:1]]
    takes_settings = bool(by_place) or arguments.vararg is not None
    takes_device = "device" in named or arguments.kwarg is not None
    return not takes_settings or not takes_device or any(word != "device" for word in needed)


def _names_of(statement: ast.AST) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in statement.names)
    elif isinstance(statement, ast.Name) and isinstance(statement.ctx, ast.Store):
        yield statement.id


def _hash(sources: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in sources:
        digest.update(f"{path.name} {path.stat().st_size}\n".encode("utf-8", "surrogatepass"))
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _prepared(plugin: Plugin) -> Iterator[None]:
    """Put the recipe's folder on the path, where it stays for what the code imports later."""
    invalidate_caches()
    folder = None if plugin.folder is None else str(plugin.folder)
    if folder is not None:
        sys.path.insert(0, folder)
    # Compiled files are told apart by whole seconds and sizes: an edit of one digit would find the old one.
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = kept
        if folder is not None:
            sys.path.remove(folder)
            # From now on last: a file there must not hide a module that others import.
            if folder not in sys.path:
                sys.path.append(folder)


def _find_frame(error: Exception, plugin: Plugin) -> traceback.FrameSummary | None:
    """Return the innermost place in the user's own files that an error came from."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) in plugin.sources]
    return own[-1] if own else None


def _find_moved(frame: traceback.FrameSummary) -> str | None:
    """Return what to write instead of an import that failed; None where it asks for other than public names."""
    for statement in ast.walk(ast.parse(read_whole(Path(frame.filename)))):
        if isinstance(statement, ast.ImportFrom) and statement.lineno == frame.lineno:
            is_ours = str(statement.module).partition(".")[0] in _HAD_THEM
            if is_ours and {alias.name for alias in statement.names} <= _PUBLIC:
                return ast.unparse(ast.ImportFrom("rvos_fusion", statement.names, 0))
    return None
