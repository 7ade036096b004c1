"""Reads a recipe: all problems in one message, each with its line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from pipeline.kinds.base import Node
from pipeline.kinds.reading import PRECISIONS, count, natural, positive
from pipeline.kinds.table import list_kinds
from pipeline.recipe.entry import NodeEntry, line_of
from pipeline.recipe.groups import read_groups
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.values import DatasetEntry, EngineEntry, GroupsEntry
from pipeline.recipe_text import RecipeText, read_recipe_text
from rvos.errors import PipelineError
from rvos.ids import check_id

_SECTIONS = ("dataset", "workspace", "paths", "groups", "models", "engines", "stages", "submission")
_ENGINE_KEYS = (
    "network", "checkpoint", "scales", "flip", "protocol", "long_edge", "max_memory_frames", "long_term_gap",
    "precision", "cache_megabytes", "skip_empty", "keep_soft",
)  # fmt: skip


def read_recipe(path: Path, overrides: Iterable[str] = (), *, workspace: Path | None = None) -> Recipe:
    """Return the recipe of a file.

    Args:
        overrides: `key=value` texts of `--set`, which win over the file.
        workspace: wins over the file's.

    Raises:
        ConfigError: everything that is wrong, in one message.
    """
    text = read_recipe_text(path, overrides)
    top = text.section(text.root, "recipe", known=_SECTIONS, needed=("dataset", "stages"))
    reader = _Reader(text.with_paths(_read_paths(text, top)))
    recipe = reader.recipe(path, top, workspace)
    text.problems.check()
    assert recipe is not None
    return recipe


def _read_paths(text: RecipeText, top: Mapping[str, yaml.Node]) -> dict[str, Path]:
    if "paths" not in top:
        return {}
    found = {name: text.path(node, f"paths.{name}") for name, node in text.entries(top["paths"], "paths").items()}
    return {name: path for name, path in found.items() if path is not None}


class _Reader:
    """Turns the sections of one recipe into values; None stands for what was noted as a problem."""

    def __init__(self, text: RecipeText) -> None:
        self._text = text
        self._engines: dict[str, EngineEntry | None] = {}
        self._format = ""

    def recipe(self, path: Path, top: Mapping[str, yaml.Node], workspace: Path | None) -> Recipe | None:
        dataset = self._dataset(top["dataset"]) if "dataset" in top else None
        self._format = "" if dataset is None else dataset.format
        groups = read_groups(self._text, top["groups"], "groups") if "groups" in top else GroupsEntry()
        if "engines" in top:
            entries = self._text.entries(top["engines"], "engines")
            self._engines = {name: self._engine(name, node) for name, node in entries.items()}
        models = self._models(top["models"], groups) if "models" in top else []
        stages, nodes = self._stages(top["stages"], groups) if "stages" in top else ((), [])
        self._check_names([*models, *nodes])
        if workspace is None:
            workspace = self._workspace(top)
        submission = self._text.text(top["submission"], "submission") if _is_word(top) else self._submission(top)
        if dataset is None or workspace is None:
            return None
        return Recipe(path, dataset, workspace, groups, (*models, *nodes), stages, submission)

    def _workspace(self, top: Mapping[str, yaml.Node]) -> Path | None:
        if "workspace" in top:
            return self._text.path(top["workspace"], "workspace")
        self._text.problems.add(None, "'workspace' is missing; add it or give --workspace")
        return None

    def _submission(self, top: Mapping[str, yaml.Node]) -> str | None:
        if "submission" not in top:
            return None
        entry = self._text.section(top["submission"], "submission", known=("node",), needed=("node",))
        return self._text.text(entry["node"], "submission.node") if "node" in entry else None

    def _dataset(self, node: yaml.Node) -> DatasetEntry | None:
        keys = ("format", "root", "split")
        entry = self._text.section(node, "dataset", known=keys, needed=keys)
        if len(entry) < len(keys):
            return None
        name = self._text.text(entry["format"], "dataset.format")
        root = self._text.path(entry["root"], "dataset.root")
        split = self._text.text(entry["split"], "dataset.split")
        return DatasetEntry(name, root, split) if name and root and split else None

    def _engine(self, name: str, node: yaml.Node) -> EngineEntry | None:
        what = f"engines.{name}"
        entry = self._text.section(node, what, known=_ENGINE_KEYS, needed=("network", "checkpoint"))
        if "network" not in entry or "checkpoint" not in entry:
            return None
        network = self._text.text(entry["network"], f"{what}.network")
        checkpoint = self._text.path(entry["checkpoint"], f"{what}.checkpoint")
        scales: tuple[float | None, ...] = (1.0,)
        if "scales" in entry and isinstance(entry["scales"], yaml.SequenceNode):
            scales = tuple(
                self._text.convert(item, f"{what}.scales", positive, "a number above 0")
                for item in entry["scales"].value
            )
        elif "scales" in entry:
            self._text.texts(entry["scales"], f"{what}.scales")
        flip = self._text.boolean(entry["flip"], f"{what}.flip") if "flip" in entry else False
        options = self._engine_options(what, entry)
        if network is None or checkpoint is None:
            return None
        given = tuple(scale for scale in scales if scale is not None)
        return EngineEntry(name, line_of(node), network, checkpoint, given, bool(flip), options)

    def _engine_options(self, what: str, entry: Mapping[str, yaml.Node]) -> dict[str, str | int | float]:
        options: dict[str, str | int | float | None] = {}
        for key in ("long_edge", "max_memory_frames", "long_term_gap"):
            if key in entry:
                options[key] = self._text.convert(entry[key], f"{what}.{key}", count, "a whole number above 0")
        if "cache_megabytes" in entry:
            where = f"{what}.cache_megabytes"
            options["cache_megabytes"] = self._text.convert(entry["cache_megabytes"], where, natural, "0 or more")
        if "protocol" in entry:
            options["protocol"] = self._text.choice(entry["protocol"], f"{what}.protocol", ("fresh", "legacy"))
        if "precision" in entry:
            options["precision"] = self._text.choice(entry["precision"], f"{what}.precision", PRECISIONS)
        for key in ("skip_empty", "keep_soft"):
            if key in entry:
                options[key] = self._text.boolean(entry[key], f"{what}.{key}")
        return {key: value for key, value in options.items() if value is not None}

    def _models(self, node: yaml.Node, groups: GroupsEntry) -> list[Node]:
        found = [
            self._node("models", None, name, entry, groups)
            for name, entry in self._text.entries(node, "models").items()
        ]
        return [model for model in found if model is not None]

    def _stages(self, node: yaml.Node, groups: GroupsEntry) -> tuple[tuple[str, ...], list[Node]]:
        nodes: list[Node | None] = []
        stages = self._text.entries(node, "stages")
        if not stages and isinstance(node, yaml.MappingNode):
            self._text.problems.add(node, "stages has no stage; add stage1 with at least one node")
        for stage, content in stages.items():
            for name, entry in self._text.entries(content, f"stages.{stage}").items():
                nodes.append(self._node("stages", stage, name, entry, groups))
        return tuple(stages), [found for found in nodes if found is not None]

    def _node(self, section: str, stage: str | None, name: str, node: yaml.Node, groups: GroupsEntry) -> Node | None:
        place = section if stage is None else f"{section}.{stage}"
        where = f"{place}.{name}"
        self._check_id(name, node, place)
        words = {key.value for key, _ in node.value} if isinstance(node, yaml.MappingNode) else set()
        kinds = list_kinds(section)
        kind = next((kind for keyword, kind in kinds.items() if keyword in words), None)
        if kind is None:
            choices = " nor ".join(repr(keyword) for keyword in kinds)
            self._text.problems.add(node, f"{where}: neither {choices}; say what the node does")
            return None
        return kind.read(NodeEntry(name, stage, where, node, self._text, self._engines, groups, self._format))

    def _check_id(self, name: str, node: yaml.Node, what: str) -> None:
        try:
            check_id(name, where=what, what="node")
        except PipelineError as error:
            self._text.problems.add(node, str(error))

    def _check_names(self, nodes: list[Node]) -> None:
        seen: dict[str, Node] = {}
        for node in nodes:
            if node.name in seen:
                self._text.problems.add_at(
                    node.line, f"node {node.name!r} is already defined at line {seen[node.name].line}; rename one"
                )
            seen[node.name] = node


def _is_word(top: Mapping[str, yaml.Node]) -> bool:
    return isinstance(top.get("submission"), yaml.ScalarNode)
