"""The graph of a recipe: checked before anything runs, then put in an order in which it can run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fusion.groups import Group
from pipeline.recipe import FuseNode, ImportNode, MemberNode, Node, PropagateNode, Recipe
from pipeline.recipe_text import Problems, nearest
from rvos.errors import ConfigError


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
    _check_thresholds(recipe, problems)
    problems.check()
    wanted = {node.name for node in recipe.nodes if node.stage is not None and stage in (None, node.stage)}
    needed = _add_models(recipe, wanted)
    nodes = tuple(node for node in ordered if node.name in needed)
    read = dict.fromkeys(name for node in nodes for name in node.inputs)
    assumed = tuple(name for name in read if name not in needed)
    return Graph(nodes, assumed, tuple(_find_repeated_engines(recipe)))


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
    for node, path, message in find_missing_files(nodes):
        problems.add_at(node.line, f"{node.name}: {path}: {message}")
    problems.check()


def find_missing_files(nodes: Iterable[Node]) -> list[tuple[Node, Path, str]]:
    """Return the node, path and advice of everything that is missing."""
    missing: list[tuple[Node, Path, str]] = []
    for node in nodes:
        if isinstance(node, MemberNode) and not node.settings.checkpoint.exists():
            missing.append((node, node.settings.checkpoint, "no such checkpoint; put it there or correct the path"))
        elif isinstance(node, MemberNode) and node.settings.tokenizer and not node.settings.tokenizer.exists():
            missing.append((node, node.settings.tokenizer, "no such tokeniser folder; correct the path"))
        elif isinstance(node, ImportNode) and not node.path.exists():
            missing.append((node, node.path, "nothing to import there; correct the path"))
        elif isinstance(node, PropagateNode) and not node.uses_folder():
            missing += _find_missing_engine(node)
        elif isinstance(node, FuseNode) and node.groups.file is not None and not node.groups.file.exists():
            missing.append((node, node.groups.file, "no such group file; correct groups.file"))
    return missing


def check_reach(node: FuseNode, groups: Sequence[Group], recipe: Recipe, video: str) -> None:
    """Check a threshold against the groups that a video really has.

    Raises:
        ConfigError: no vote of a group can reach it.
    """
    for group in groups:
        if not node.rule.can_pass(len(group.expressions)):
            raise ConfigError(_describe_reach(recipe, node, len(group.expressions), f"as in video {video}"))


def _check_references(recipe: Recipe, problems: Problems) -> None:
    known = [node.name for node in recipe.nodes]
    for node in recipe.nodes:
        for name in node.inputs:
            if name not in known:
                problems.add_at(node.line, f"{node.name}: no node {name!r}; {nearest(name, known)}")
        if isinstance(node, FuseNode):
            for name in sorted({name for name in node.members if node.members.count(name) > 1}):
                problems.add_at(node.line, f"{node.name}: member {name!r} is named twice; use weights instead")
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
        for name in node.inputs:
            visit(recipe.node(name), (*path, node.name))
        ordered[node.name] = node

    for node in recipe.nodes:
        visit(node, ())
    return list(ordered.values())


def _check_stages(recipe: Recipe, problems: Problems) -> None:
    place = {stage: index for index, stage in enumerate(recipe.stages)}
    for node in recipe.nodes:
        for name in node.inputs:
            stage = recipe.node(name).stage
            if node.stage is not None and stage is not None and place[stage] > place[node.stage]:
                problems.add_at(node.line, f"{node.name} of {node.stage} reads {name!r} of {stage}; move one of them")


def _check_thresholds(recipe: Recipe, problems: Problems) -> None:
    largest = {"neighbours": 2, "none": 1}
    for node in recipe.nodes:
        size = largest.get(node.groups.by) if isinstance(node, FuseNode) else None
        if isinstance(node, FuseNode) and size is not None and not node.rule.can_pass(size):
            problems.add_at(node.line, _explain_reach(node, size, f"with groups by {node.groups.by}"))
        if isinstance(node, FuseNode) and node.rule.singles is not None and not node.rule.can_pass(1):
            problems.add_at(node.line, _explain_reach(node, 1, "by the rule for singles"))


def _describe_reach(recipe: Recipe, node: FuseNode, group_size: int, where: str) -> str:
    return f"{recipe.path}:{node.line}: {_explain_reach(node, group_size, where)}"


def _explain_reach(node: FuseNode, group_size: int, where: str) -> str:
    total, needed = node.rule.count_votes(group_size)
    what = "a group of one expression" if group_size == 1 else f"a group of {group_size} expressions"
    advice = "lower the threshold or add a rule for singles" if group_size == 1 else "lower the threshold"
    return (
        f"{node.name}: {what}, {where}, has {_in_votes(total, node)} votes but needs "
        f"{_in_votes(needed, node)}; {advice}"
    )


def _in_votes(scaled: int, node: FuseNode) -> str:
    total = sum(node.rule.weights)
    scaled_total = node.rule.count_votes(1)[0]
    return str(float(scaled * total / scaled_total)).removesuffix(".0")


def _add_models(recipe: Recipe, names: set[str]) -> set[str]:
    """Return the nodes together with the models that they read; models belong to no stage."""
    read = {name for node in recipe.nodes if node.name in names for name in node.inputs}
    return names | {name for name in read if recipe.node(name).stage is None}


def _find_repeated_engines(recipe: Recipe) -> Iterable[str]:
    """Yield a warning for each node whose engine already worked on its input: the paper mixes engines on purpose."""
    for node in recipe.nodes:
        if not isinstance(node, PropagateNode) or node.engine is None:
            continue
        earlier = _find_engine(recipe, node.source, node.engine.name)
        if earlier:
            yield (
                f"{recipe.path}:{node.line}: {node.name} propagates with {node.engine.name!r}, as {earlier} did "
                "before it; another engine usually adds more"
            )


def _find_engine(recipe: Recipe, name: str, engine: str) -> str | None:
    node = recipe.node(name)
    if isinstance(node, PropagateNode) and node.engine is not None and node.engine.name == engine:
        return node.name
    return next((found for source in node.inputs if (found := _find_engine(recipe, source, engine))), None)


def _find_missing_engine(node: PropagateNode) -> list[tuple[Node, Path, str]]:
    if node.engine is None:
        assert node.folder is not None
        return [(node, node.folder, "no such folder; correct it or name an engine")]
    if node.engine.checkpoint.exists():
        return []
    also = f" (and no folder {node.folder})" if node.folder is not None else ""
    return [(node, node.engine.checkpoint, f"no such checkpoint{also}; put it there or correct the path")]


def _enumerate(stages: Sequence[str]) -> str:
    return ", ".join(f"{number} ({stage})" for number, stage in enumerate(stages, start=1))
