"""The graph of a recipe: checked before anything runs, then put in an order in which it can run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rvos.errors import ConfigError
from rvos.settings import Problems, nearest
from rvos_fusion.kinds.artefacts import MASKS
from rvos_fusion.kinds.base import Node, NodeFile, NodeGraph, capability
from rvos_fusion.recipe.recipe import Recipe


@runtime_checkable
class SoftMaps(Protocol):
    """A node whose masks come from probabilities."""

    def soft_maps(self) -> str | None:
        """Return how to keep the probabilities; empty where they are kept, None where it has none after all."""


@runtime_checkable
class Doubtful(Protocol):
    """A node that may look like a mistake."""

    def warn(self, nodes: NodeGraph) -> Iterable[str]:
        """Yield what is allowed but looks like a mistake."""


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
    check_graph(recipe, problems)
    problems.check()
    ordered = recipe.graph.order()
    wanted = [node for node in recipe.nodes if node.stage is not None and stage in (None, node.stage)]
    models = {name for node in wanted for name in node.inputs() if recipe.graph[name].stage is None}
    needed = models.union(node.name for node in wanted)
    nodes = tuple(node for node in ordered if node.name in needed)
    read = dict.fromkeys(name for node in nodes for name in node.inputs())
    assumed = tuple(name for name in read if name not in needed)
    doubtful = ((node, own) for node in recipe.nodes if (own := capability(node, Doubtful)) is not None)
    warnings = [f"{recipe.path}:{node.line}: {text}" for node, own in doubtful for text in own.warn(recipe.graph)]
    return Graph(nodes, assumed, tuple(warnings))


def check_graph(recipe: Recipe, problems: Problems, *, unread: Collection[str] = (), whole: bool = True) -> None:
    """Note all that is wrong with how the nodes of a recipe stand on each other.

    Args:
        unread: names of nodes that could not be read; what is wrong with them is noted already.
        whole: what nodes are given, such as groups, could be read; else a node's own doubts may be unfounded.
    """
    _check_references(recipe, problems, unread)
    sound = _check_cycles(recipe, problems)
    _check_stages(recipe, problems)
    if whole:
        _check_nodes(recipe, problems, sound)


def restrict_graph(graph: Graph, recipe: Recipe, node: str) -> Graph:
    """Return the graph of one node and of everything that it stands on.

    Raises:
        ConfigError: the recipe has no such node.
    """
    known = [one.name for one in recipe.nodes]
    if node not in known:
        raise ConfigError(f"{recipe.path}: no node {node!r}; {nearest(node, known)}")
    # Of the whole recipe: a model that no stage reads can be asked for too.
    return Graph(recipe.graph.order(node), (), graph.warnings)


def choose_stage(recipe: Recipe, number: str | None) -> str | None:
    """Return the stage of a number counted from 1, or of a name, None for all; ConfigError where there is none."""
    if number is None or number in recipe.stages:
        return number
    if number.isdecimal() and 1 <= int(number) <= len(recipe.stages):
        return recipe.stages[int(number) - 1]
    known = ", ".join(f"{place} ({stage})" for place, stage in enumerate(recipe.stages, start=1))
    raise ConfigError(f"{recipe.path}: no stage {number}; it has {known}")


def check_files(nodes: Iterable[Node], recipe: Recipe) -> None:
    """Refuse, by one ConfigError with all of them, nodes that read files or folders which are missing."""
    problems = Problems(recipe.path)
    for node, file in find_missing_files(nodes):
        problems.add_at(node.line, f"{node.name}: {file.path}: {file.advice}")
    problems.check()


def find_missing_files(nodes: Iterable[Node]) -> list[tuple[Node, NodeFile]]:
    """Return everything that is missing, with the node that needs it."""
    return [(node, file) for node in nodes for file in node.files() if not file.path.exists()]


def _check_references(recipe: Recipe, problems: Problems, unread: Collection[str]) -> None:
    known = [*(node.name for node in recipe.nodes), *unread]
    for node in recipe.nodes:
        for name in node.inputs():
            if name not in known:
                problems.add_at(node.line, f"{node.name}: no node {name!r}; {nearest(name, known)}")
    for row in recipe.rows:
        if row.node not in known:
            problems.add_at(row.line, f"rows: no node {row.node!r}; {nearest(row.node, known)}")
    if recipe.submission is not None and recipe.submission not in known:
        problems.add_at(
            recipe.submission_line, f"submission: no node {recipe.submission!r}; {nearest(recipe.submission, known)}"
        )


def _check_cycles(recipe: Recipe, problems: Problems) -> Collection[str]:
    """Return the nodes that stand on no cycle, nor on anything that is not there."""
    graph = recipe.graph
    sound: dict[str, bool] = {}

    def visit(name: str, path: tuple[str, ...]) -> bool:
        if name in path:
            cycle = " -> ".join((*path[path.index(name) :], name))
            problems.add_at(graph[name].line, f"cycle {cycle}; a node cannot need its own result")
            return False
        if name in graph and name not in sound:
            below = [visit(source, (*path, name)) for source in graph[name].inputs()]  # all: each may hold a cycle
            sound[name] = all(below)
        return sound.get(name, False)

    return [name for name in graph if visit(name, ())]


def _check_stages(recipe: Recipe, problems: Problems) -> None:
    graph, place = recipe.graph, {stage: index for index, stage in enumerate(recipe.stages)}
    for node in recipe.nodes:
        for name in node.inputs():
            stage = graph[name].stage if name in graph else None
            if node.stage is not None and stage is not None and place[stage] > place[node.stage]:
                problems.add_at(node.line, f"{node.name} of {node.stage} reads {name!r} of {stage}; move one of them")


def _check_nodes(recipe: Recipe, problems: Problems, sound: Collection[str]) -> None:
    graph = recipe.graph
    for name in sound:
        for problem in (*_check_inputs(graph[name], graph), *graph[name].check(graph)):
            problems.add_at(graph[name].line, f"{name}: {problem}")
    for row in recipe.rows:
        if row.node in graph and graph[row.node].artefact is not MASKS:
            stored = graph[row.node].artefact.codec.name
            problems.add_at(row.line, f"rows: {row.node} stores {stored}; name a node with masks")
    submitted = graph.get(recipe.submission or "")
    if submitted is not None and submitted.artefact is not MASKS:
        stored = submitted.artefact.codec.name
        problems.add_at(
            recipe.submission_line, f"submission: {recipe.submission} stores {stored}; name a node with masks"
        )


def _check_inputs(node: Node, graph: NodeGraph) -> Iterable[str]:
    """Yield what a node reads of others that these do not store."""
    for one in node.reads():
        source = graph[one.node]
        fitting = (one.artefact, *one.also)
        if not any(source.artefact is artefact for artefact in fitting):
            stored, wanted = source.artefact.codec.name, " or ".join(artefact.codec.name for artefact in fitting)
            yield f"{one.key}: {one.node} stores {stored}, expected {wanted}; name another node"
        elif one.soft:
            giver = capability(source, SoftMaps)
            advice = None if giver is None else giver.soft_maps()
            if advice or (advice is None and not one.hard_will_do):
                advice = advice or "it has none; name a node that has some"
                yield f"{one.soft} needs the probabilities of {one.node!r}; {advice}"
