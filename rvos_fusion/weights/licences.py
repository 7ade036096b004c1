"""Licence and attribution of every weight, data set and import that a result stands on; unknown ones are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rvos.errors import InputError
from rvos.files.atomic import open_regular
from rvos.files.json_files import parse_json
from rvos.formats import find_format
from rvos.settings import INVALID, Loader, Problems, read_document
from rvos_fusion.kinds.base import Node, NodeFile
from rvos_fusion.recipe.recipe import Recipe
from rvos_fusion.weights.known_weights import FAMILIES

STATEMENTS = "licences.yaml"
_UNKNOWN = "unknown"
_ANY = "*"
_WEIGHTS = ("checkpoint", "tokeniser")
# Of safetensors that this project wrote; whoever trained them says under which licence they are.
_OWN_ENTRIES = ("rvos_network", "deaot_config")
_LARGEST_HEADER = 1 << 24


@dataclass(frozen=True, slots=True)
class Source:
    """What a result stands on: checkpoint, tokeniser, masks, source, or data set, and the nodes that read it."""

    what: str
    path: str
    licence: str
    attribution: str
    nodes: tuple[str, ...]

    @property
    def is_known(self) -> bool:
        """Whether its licence is stated."""
        return self.licence != _UNKNOWN


@dataclass(frozen=True, slots=True)
class _Statement:
    """What a `licences.yaml` says of a file beside it."""

    licence: str
    attribution: str = ""


def list_sources(recipe: Recipe, nodes: Sequence[Node]) -> list[Source]:
    """Return everything that nodes stand on, the data set last; ConfigError: an unusable `licences.yaml`."""
    readers: dict[Path, tuple[NodeFile, list[str]]] = {}
    for node in nodes:
        files = node.files()
        # The weights and imports of a node; of its own code the first file stands for all.
        kept = [file for file in files if file.what in (*_WEIGHTS, "masks", "detections")]
        for file in kept + [file for file in files if file.what == "source"][:1]:
            readers.setdefault(file.path, (file, []))[1].append(node.name)
    found = []
    for path, (file, names) in readers.items():
        family = FAMILIES.get(file.family)
        known = (_UNKNOWN, "") if family is None or _is_own(path) else (family.licence, family.attribution)
        licence, attribution = _state(path) or known
        found.append(Source(file.what, str(path), licence, attribution, tuple(dict.fromkeys(names))))
    root, form = recipe.dataset.root, recipe.dataset.format
    published = find_format(form).licence
    licence, attribution = _state(root) or ((published.terms, published.attribution) if published else (_UNKNOWN, form))
    return [*found, Source("data set", str(root), licence, attribution, ())]


def list_ancestors(recipe: Recipe, name: str) -> list[Node]:
    """Return a node and everything that it stands on, in the recipe's order."""
    wanted = {node.name for node in recipe.graph.below(name)}
    return [node for node in recipe.nodes if node.name in wanted]


def _state(path: Path) -> tuple[str, str] | None:
    """Return what the `licences.yaml` beside a file or folder says of it."""
    place = path.parent / STATEMENTS
    if not place.is_file():
        return None
    problems = Problems(place)
    found = Loader(problems).read(Mapping[str, _Statement], read_document(place, what="licences"), "licences")
    problems.check()
    assert found is not INVALID
    stated = found.get(path.name) or found.get(_ANY)
    return None if stated is None else (stated.licence, stated.attribution)


def _is_own(path: Path) -> bool:
    """Tell whether a file was written by this project; only its header is read, without torch."""
    try:
        with open_regular(path) as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = parse_json(stream.read(size), where=str(path)) if 0 < size <= _LARGEST_HEADER else {}
    except (OSError, InputError):
        return False
    entries = header.get("__metadata__") if isinstance(header, dict) else None
    return isinstance(entries, dict) and any(name in entries for name in _OWN_ENTRIES)


def name_statements(source: Source) -> Path:
    """Return the file in which the licence of a source can be stated."""
    return Path(source.path).parent / STATEMENTS
