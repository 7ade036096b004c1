"""Recipes that a command writes: another recipe with a node more, which submits that node."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from rvos.errors import ConfigError
from rvos.files.atomic import replacing
from rvos.settings import read_document
from rvos.settings.nodes import Listing, Node, Section, Text
from rvos.settings.problems import Place
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.recipe.recipe import Recipe

_BLOCKS = {"models": 1, "engines": 1, "detectors": 1, "judges": 1, "stages": 2}
"""How deep sections have a line for every entry; all else stands on one line."""
_WIDTH = 120


def check_place(recipe: Recipe, out: Path) -> None:
    """Refuse, by a ConfigError, a file in another folder, where paths would mean other files, or the recipe itself."""
    folder = recipe.path.absolute().parent
    if out.absolute().parent.resolve() != folder.resolve():
        raise ConfigError(f"{out}: paths of {recipe.path} are relative to its folder; name a file in {folder}")
    if out.exists() and out.samefile(recipe.path):
        raise ConfigError(f"{out}: is the recipe itself; name another file")


def write_extended(
    recipe: Recipe,
    out: Path,
    submission: str,
    *,
    comment: str,
    stage: str = "",
    nodes: Mapping[str, Mapping[str, object]] | None = None,
) -> None:
    """Write a recipe, with `--set` put in, that submits another node.

    Args:
        submission: one of the recipe's nodes, or of `nodes`.
        comment: lines above it.
        stage: a new one, for `nodes`.
        nodes: further ones as a recipe has them.

    Raises:
        ConfigError: as `check_place`, or a path that `--set` gave means another file there.
        StoreError: it cannot be written.
    """
    check_place(recipe, out)
    folder = recipe.path.absolute().parent
    root = read_document(recipe.path, recipe.overrides, what="recipe")
    assert isinstance(root, Section)
    entries = {key.text: value for key, value in root.entries if isinstance(key, Text)}
    place = Place(str(out), folder=folder)
    entries["submission"] = _section(place, {"node": Text(place, submission)})
    entries["workspace"] = Text(place, os.path.relpath(recipe.workspace, folder))
    dataset, stages = entries["dataset"], entries["stages"]
    assert isinstance(dataset, Section)
    assert isinstance(stages, Section)
    data_root = Text(place, os.path.relpath(recipe.dataset.root, folder))
    entries["dataset"] = _section(place, {**_entries(dataset), "root": data_root})
    if nodes:
        entries["stages"] = _section(place, {**_entries(stages), stage: _plain(place, nodes)})
    text = yaml.serialize(_convert(_section(place, entries), _BLOCKS), width=_WIDTH, allow_unicode=True)
    with replacing(out) as temporary:
        temporary.write_text("".join(f"# {line}\n" for line in comment.splitlines()) + f"\n{text}", encoding="utf-8")
        _check_same(recipe, read_recipe(temporary), out)


def _check_same(recipe: Recipe, written: Recipe, out: Path) -> None:
    """Refuse a recipe that reads other files than the one that it was made of: `--set` may have named them."""
    for node in recipe.nodes:
        same = written.node(node.name)
        if (node.settings(), node.files()) != (same.settings(), same.files()):
            raise ConfigError(
                f"{out}: {node.name} would read other files than with --set; give its paths there as absolute ones"
            )


def _entries(section: Section) -> dict[str, Node]:
    return {key.text: value for key, value in section.entries if isinstance(key, Text)}


def _section(place: Place, entries: Mapping[str, Node]) -> Section:
    return Section(place, tuple((Text(place, key), value) for key, value in entries.items()))


def _plain(place: Place, value: object) -> Node:
    """Return a value of mappings, lists and texts as a tree."""
    if isinstance(value, Mapping):
        return _section(place, {str(key): _plain(place, own) for key, own in value.items()})
    if isinstance(value, Sequence) and not isinstance(value, str):
        return Listing(place, tuple(_plain(place, own) for own in value))
    return Text(place, str(value))


def _convert(node: Node, blocks: Mapping[str, int], depth: int = 1) -> yaml.Node:
    """Return a tree as YAML has it; `depth`: of the levels below that have a line for every entry."""
    if isinstance(node, Section):
        pairs = [
            (_convert(key, {}), _convert(value, {}, blocks.get(key.text, 0) if blocks else max(depth - 1, 0)))
            for key, value in node.entries
            if isinstance(key, Text)
        ]
        return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=not depth)
    if isinstance(node, Listing):
        items = [_convert(own, {}, 0) for own in node.items]
        return yaml.SequenceNode("tag:yaml.org,2002:seq", items, flow_style=True)
    word = node.text if isinstance(node, Text) else str(node.value)
    is_plain = not isinstance(node, Text) or node.plain
    tag = _RESOLVER.resolve(yaml.ScalarNode, word, (is_plain, not is_plain))  # type: ignore[no-untyped-call]
    return yaml.ScalarNode(tag, word, style=None if is_plain else '"')


_RESOLVER = yaml.resolver.Resolver()
