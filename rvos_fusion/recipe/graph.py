"""The graph of a recipe: checked before anything runs, then put in an order in which it can run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rvos.errors import ConfigError
from rvos.settings import Problems, nearest
from rvos_fusion.kinds.artefacts import MASKS
from rvos_fusion.kinds.base import Node, NodeFile
from rvos_fusion.recipe.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Graph:
    """The nodes that one run needs.

    Args:
        nodes: in an order in which every node comes after its inputs.
        assumed: results of earlier stages that this run reads and does not make.
        warnings: what is allowed but looks like a mistake.
    """

    nodes: tuple[Node, ...]
    assumed: tuple[str, ...]
    warnings: tuple[str, ...]


def build_graph(recipe: Recipe, *, stage: str | None = None) -> Graph:
    """Return the nodes of all stages, or of one with the models that it reads.

    Raises:
        ConfigError: unknown names, cycles, thresholds out of reach, a stage that reads a later one: all in one message.
    """
    problems = Problems(recipe.path)
    _check_references(recipe, problems)
    problems.check()
    ordered = _sort(recipe)
    _check_stages(recipe, problems)
    _check_nodes(recipe, problems)
    problems.check()
    wanted = {node.name for node in recipe.nodes if node.stage is not None and stage in (None, node.stage)}
    needed = _add_models(recipe, wanted)
    nodes = tuple(node for node in ordered if node.name in needed)
    read = dict.fromkeys(name for node in nodes for name in node.inputs())
    assumed = tuple(name for name in read if name not in needed)
    return Graph(nodes, assumed, tuple(_find_warnings(recipe)))


def restrict_graph(graph: Graph, recipe: Recipe, node: str) -> Graph:
    """Return the graph of one node and of everything that it stands on."""
    needed: set[str] = set()

    def visit(name: str) -> None:
        if name not in needed:
            needed.add(name)
            for source in recipe.node(name).inputs():
                visit(source)

    visit(node)
    # Of the whole recipe: a model that no stage reads can be asked for too.
    return Graph(tuple(own for own in _sort(recipe) if own.name in needed), (), graph.warnings)


def choose_stage(recipe: Recipe, number: str | None) -> str | None:
    """Return the stage of a number counted from 1, or of a name; None for all.

    Raises:
        ConfigError: the recipe has no such stage.
    """
    if number is None or number in recipe.stages:
        return number
    if number.isdecimal() and 1 <= int(number) <= len(recipe.stages):
        return recipe.stages[int(number) - 1]
    raise ConfigError(f"{recipe.path}: no stage {number}; it has {_enumerate(recipe.stages)}")


def check_files(nodes: Iterable[Node], recipe: Recipe) -> None:
    """Check that everything that these nodes read is there.

    Raises:
        ConfigError: files or folders that are missing, all in one message.
    """
    problems = Problems(recipe.path)
    for node, file in find_missing_files(nodes):
        problems.add_at(node.line, f"{node.name}: {file.path}: {file.advice}")
    problems.check()


def find_missing_files(nodes: Iterable[Node]) -> list[tuple[Node, NodeFile]]:
    """Return everything that is missing, with the node that needs it."""
    return [(node, file) for node in nodes for file in node.files() if not file.path.exists()]


def _check_references(recipe: Recipe, problems: Problems) -> None:
    known = [node.name for node in recipe.nodes]
    for node in recipe.nodes:
        for name in node.inputs():
            if name not in known:
                problems.add_at(node.line, f"{node.name}: no node {name!r}; {nearest(name, known)}")
    if recipe.submission is not None and recipe.submission not in known:
        problems.add(None, f"submission: no node {recipe.submission!r}; {nearest(recipe.submission, known)}")


def _sort(recipe: Recipe) -> list[Node]:
    """Return the nodes in an order that keeps the file's where it can.

    Raises:
        ConfigError: a cycle, named node by node.
    """
    ordered: dict[str, Node] = {}

    def visit(node: Node, path: tuple[str, ...]) -> None:
        if node.name in ordered:
            return
        if node.name in path:
            cycle = " -> ".join((*path[path.index(node.name) :], node.name))
            raise ConfigError(f"{recipe.path}:{node.line}: cycle {cycle}; a node cannot need its own result")
        for name in node.inputs():
            visit(recipe.node(name), (*path, node.name))
        ordered[node.name] = node

    for node in recipe.nodes:
        visit(node, ())
    return list(ordered.values())


def _check_stages(recipe: Recipe, problems: Problems) -> None:
    place = {stage: index for index, stage in enumerate(recipe.stages)}
    for node in recipe.nodes:
        for name in node.inputs():
            stage = recipe.node(name).stage
            if node.stage is not None and stage is not None and place[stage] > place[node.stage]:
                problems.add_at(node.line, f"{node.name} of {node.stage} reads {name!r} of {stage}; move one of them")


def _check_nodes(recipe: Recipe, problems: Problems) -> None:
    nodes = {node.name: node for node in recipe.nodes}
    for node in recipe.nodes:
        for problem in node.check(nodes):
            problems.add_at(node.line, f"{node.name}: {problem}")
    if recipe.submission is not None and nodes[recipe.submission].artefact is not MASKS:
        stored = nodes[recipe.submission].artefact.codec.name
        problems.add(None, f"submission: {recipe.submission} stores {stored}; name a node with masks")


def _add_models(recipe: Recipe, names: set[str]) -> set[str]:
    """Return the nodes together with the models that they read; models belong to no stage."""
    read = {name for node in recipe.nodes if node.name in names for name in node.inputs()}
    return names | {name for name in read if recipe.node(name).stage is None}


def _find_warnings(recipe: Recipe) -> Iterable[str]:
    nodes = {node.name: node for node in recipe.nodes}
    for node in recipe.nodes:
        yield from (f"{recipe.path}:{node.line}: {warning}" for warning in node.warn(nodes))


def _enumerate(stages: Sequence[str]) -> str:
    return ", ".join(f"{number} ({stage})" for number, stage in enumerate(stages, start=1))
