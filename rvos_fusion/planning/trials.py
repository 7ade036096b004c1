"""A node with other settings, each as the recipe that says so would have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rvos.errors import ConfigError
from rvos.settings import Problems, read_document
from rvos.settings.nodes import Section, Text
from rvos_fusion.kinds.artefacts import MASKS
from rvos_fusion.kinds.base import Node, capability
from rvos_fusion.kinds.trials import Choice
from rvos_fusion.planning.results import Results
from rvos_fusion.planning.sentence_order import Ordered
from rvos_fusion.recipe.reader import read_recipe


def vary_node(own: Results, node: Node, choices: Iterable[Choice]) -> list[Node]:
    """Return a node with each of some settings; ConfigError for what a recipe refuses, or videos do not allow."""
    recipe, found = own.plan.recipe, []
    refuted = {finding.members for finding in own.plan.order if finding.is_refuted}
    for choice in choices:
        overrides = [".".join((*_place(node), key)) + f"={value}" for key, value in choice.items()]
        varied = read_recipe(recipe.path, [*recipe.overrides, *overrides], workspace=recipe.workspace).node(node.name)
        ordered = capability(varied, Ordered)
        if ordered is not None and ordered.order_members() in refuted:
            varied = ordered.without_order()
        problems = Problems(recipe.path)
        for problem in varied.check_videos(own.plan.videos):
            problems.add_at(node.line, f"{node.name}: {', '.join(choice.values())}: {problem}")
        problems.check()
        found.append(varied)
    return found


def find_written(own: Results, node: Node) -> Mapping[str, str]:
    """Return the single values that the recipe gives for a node, as they are written."""
    recipe = own.plan.recipe
    found = read_document(recipe.path, recipe.overrides, what="recipe")
    for word in _place(node):
        inner = found.find(word) if isinstance(found, Section) else None
        if inner is None:
            return {}
        found = inner
    entries = found.entries if isinstance(found, Section) else ()
    return {key.text: own.text for key, own in entries if isinstance(key, Text) and isinstance(own, Text)}


def find_scored(own: Results, node: Node) -> tuple[Node, ...]:
    """Return the nodes that make masks of what a node stores, none where it stores masks; ConfigError without any."""
    if node.artefact is MASKS:
        return ()
    reader = next((one for one in own.plan.nodes if one.artefact is MASKS and node.name in one.inputs()), None)
    if reader is None:
        raise ConfigError(f"{own.plan.recipe.path}: no node makes masks of {node.name}, so that nothing can be scored")
    return (reader,)


def _place(node: Node) -> tuple[str, ...]:
    return ("models", node.name) if node.stage is None else ("stages", node.stage, node.name)
