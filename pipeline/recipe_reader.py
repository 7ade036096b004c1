"""Reads a recipe: all problems in one message, each with its line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from fusion.groups import GROUPING_RULES
from fusion.rules import FUSION_METHODS, FusionRule, SinglesRule
from fusion.scores import SCORE_RULES
from fusion.thresholds import Threshold
from pipeline.recipe import (
    DUMP_VALUES,
    IMPORT_FORMATS,
    DatasetEntry,
    EngineEntry,
    FuseNode,
    GroupsEntry,
    ImportNode,
    MemberNode,
    Node,
    PropagateNode,
    Recipe,
)
from pipeline.recipe_text import RecipeText, is_override, read_recipe_text
from runners.base import ModelSettings
from rvos.errors import PipelineError
from rvos.ids import check_id

_SECTIONS = ("dataset", "workspace", "paths", "groups", "models", "engines", "stages", "submission")
_MODEL_KEYS = (
    "runner", "checkpoint", "backbone", "tokenizer", "window", "overlap", "precision", "compile", "keep_soft",
    "options",
)  # fmt: skip
_IMPORT_KEYS = ("import", "path", "values", "keep_soft")
_ENGINE_KEYS = (
    "network", "checkpoint", "scales", "flip", "protocol", "long_edge", "max_memory_frames", "long_term_gap",
    "precision", "cache_megabytes", "skip_empty", "keep_soft",
)  # fmt: skip
_PROPAGATE_KEYS = ("propagate", "engine", "folder", "key_frames", "references", "key_rule")
_KEY_RULES = ("scores", "steady")
_FUSE_KEYS = ("fuse", "method", "threshold", "weights", "singles", "scores", "groups")
_GROUP_KEYS = ("by", "file", "members", "threshold")
_PRECISIONS = ("float32", "float16", "bfloat16")


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

    def recipe(self, path: Path, top: Mapping[str, yaml.Node], workspace: Path | None) -> Recipe | None:
        dataset = self._dataset(top["dataset"]) if "dataset" in top else None
        groups = self._groups(top["groups"], "groups") if "groups" in top else GroupsEntry()
        if "engines" in top:
            entries = self._text.entries(top["engines"], "engines")
            self._engines = {name: self._engine(name, node) for name, node in entries.items()}
        models = self._models(top["models"]) if "models" in top else []
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

    def _groups(self, node: yaml.Node, what: str) -> GroupsEntry:
        entry = self._text.section(node, what, known=_GROUP_KEYS, needed=("by",))
        fields: dict[str, Any] = {"line": _line(node)}
        if "by" in entry:
            fields["by"] = self._text.choice(entry["by"], f"{what}.by", GROUPING_RULES) or "none"
        if "file" in entry:
            fields["file"] = self._text.path(entry["file"], f"{what}.file")
        if "members" in entry:
            fields["members"] = self._text.texts(entry["members"], f"{what}.members")
        if "threshold" in entry:
            fields["threshold"] = self._text.convert(entry["threshold"], f"{what}.threshold", _part, "between 0 and 1")
        needed = {"file": "file", "agreement": "members"}.get(fields.get("by", ""))
        if needed and not fields.get(needed):
            self._text.problems.add(node, f"{what}: by {fields['by']} needs {needed!r}; add it")
        return GroupsEntry(**{key: value for key, value in fields.items() if value is not None})

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
                self._text.convert(item, f"{what}.scales", _positive, "a number above 0")
                for item in entry["scales"].value
            )
        elif "scales" in entry:
            self._text.texts(entry["scales"], f"{what}.scales")
        flip = self._text.boolean(entry["flip"], f"{what}.flip") if "flip" in entry else False
        options = self._engine_options(what, entry)
        if network is None or checkpoint is None:
            return None
        given = tuple(scale for scale in scales if scale is not None)
        return EngineEntry(name, _line(node), network, checkpoint, given, bool(flip), options)

    def _engine_options(self, what: str, entry: Mapping[str, yaml.Node]) -> dict[str, str | int | float]:
        options: dict[str, str | int | float | None] = {}
        for key in ("long_edge", "max_memory_frames", "long_term_gap"):
            if key in entry:
                options[key] = self._text.convert(entry[key], f"{what}.{key}", _count, "a whole number above 0")
        if "cache_megabytes" in entry:
            where = f"{what}.cache_megabytes"
            options["cache_megabytes"] = self._text.convert(entry["cache_megabytes"], where, _natural, "0 or more")
        if "protocol" in entry:
            options["protocol"] = self._text.choice(entry["protocol"], f"{what}.protocol", ("fresh", "legacy"))
        if "precision" in entry:
            options["precision"] = self._text.choice(entry["precision"], f"{what}.precision", _PRECISIONS)
        for key in ("skip_empty", "keep_soft"):
            if key in entry:
                options[key] = self._text.boolean(entry[key], f"{what}.{key}")
        return {key: value for key, value in options.items() if value is not None}

    def _models(self, node: yaml.Node) -> list[Node]:
        found = [self._model(name, entry) for name, entry in self._text.entries(node, "models").items()]
        return [model for model in found if model is not None]

    def _model(self, name: str, node: yaml.Node) -> Node | None:
        what = f"models.{name}"
        self._check_id(name, node, "models")
        if isinstance(node, yaml.MappingNode) and any(key.value == "import" for key, _ in node.value):
            return self._import(name, node)
        entry = self._text.section(node, what, known=_MODEL_KEYS, needed=("runner", "checkpoint"))
        fields: dict[str, Any] = {}
        for key in ("runner", "backbone"):
            if key in entry:
                fields[key] = self._text.text(entry[key], f"{what}.{key}")
        for key in ("checkpoint", "tokenizer"):
            if key in entry:
                fields[key] = self._text.path(entry[key], f"{what}.{key}")
        for key, read in (("window", _count), ("overlap", _natural)):
            if key in entry:
                fields[key] = self._text.convert(entry[key], f"{what}.{key}", read, "a whole number")
        for key in ("compile", "keep_soft"):
            if key in entry:
                fields[key] = self._text.boolean(entry[key], f"{what}.{key}")
        if "precision" in entry:
            fields["precision"] = self._text.choice(entry["precision"], f"{what}.precision", _PRECISIONS)
        if "options" in entry:
            options = self._text.entries(entry["options"], f"{what}.options")
            fields["options"] = {key: self._option(value, f"{what}.options.{key}") for key, value in options.items()}
        if fields.get("runner") is None or fields.get("checkpoint") is None:
            return None
        given = {key: value for key, value in fields.items() if value is not None}
        return MemberNode(name, _line(node), ModelSettings(**given))

    def _option(self, node: yaml.Node, what: str) -> str | int | float | bool:
        word = self._text.text(node, what) or ""
        if word in ("true", "false"):
            return word == "true"
        for kind in (int, float):
            try:
                return kind(word)
            except ValueError:
                continue
        return word

    def _import(self, name: str, node: yaml.Node) -> ImportNode | None:
        what = f"models.{name}"
        entry = self._text.section(node, what, known=_IMPORT_KEYS, needed=("import", "path"))
        if "import" not in entry or "path" not in entry:
            return None
        kind: Any = self._text.choice(entry["import"], f"{what}.import", IMPORT_FORMATS)
        path = self._text.path(entry["path"], f"{what}.path")
        values: Any = "logits"
        if "values" in entry:
            values = self._text.choice(entry["values"], f"{what}.values", DUMP_VALUES)
        keep_soft = self._text.boolean(entry["keep_soft"], f"{what}.keep_soft") if "keep_soft" in entry else False
        if kind is None or path is None or values is None:
            return None
        return ImportNode(name, _line(node), kind, path, values, bool(keep_soft))

    def _stages(self, node: yaml.Node, groups: GroupsEntry) -> tuple[tuple[str, ...], list[Node]]:
        nodes: list[Node | None] = []
        stages = self._text.entries(node, "stages")
        if not stages and isinstance(node, yaml.MappingNode):
            self._text.problems.add(node, "stages has no stage; add stage1 with at least one node")
        for stage, content in stages.items():
            for name, entry in self._text.entries(content, f"stages.{stage}").items():
                self._check_id(name, entry, f"stages.{stage}")
                nodes.append(self._node(stage, name, entry, groups))
        return tuple(stages), [found for found in nodes if found is not None]

    def _node(self, stage: str, name: str, node: yaml.Node, groups: GroupsEntry) -> Node | None:
        kinds = {key.value for key, _ in node.value} if isinstance(node, yaml.MappingNode) else set()
        if "propagate" in kinds:
            return self._propagate(stage, name, node)
        if "fuse" in kinds:
            return self._fuse(stage, name, node, groups)
        self._text.problems.add(node, f"stages.{stage}.{name}: neither 'propagate' nor 'fuse'; say what the node does")
        return None

    def _propagate(self, stage: str, name: str, node: yaml.Node) -> PropagateNode | None:
        what = f"stages.{stage}.{name}"
        entry = self._text.section(node, what, known=_PROPAGATE_KEYS, needed=("propagate",))
        source = self._text.text(entry["propagate"], f"{what}.propagate")
        folder = self._text.path(entry["folder"], f"{what}.folder") if "folder" in entry else None
        key_frames = self._text.text(entry["key_frames"], f"{what}.key_frames") if "key_frames" in entry else None
        engine = None
        if "engine" in entry:
            name_of_engine = self._text.choice(entry["engine"], f"{what}.engine", tuple(self._engines))
            engine = self._engines[name_of_engine] if name_of_engine else None
        elif folder is None:
            self._text.problems.add(node, f"{what}: neither 'engine' nor 'folder'; say what propagates")
        references: int | None = 1
        if "references" in entry:
            references = self._text.convert(entry["references"], f"{what}.references", _count, "a whole number above 0")
        rule: str | None = _KEY_RULES[0]
        if "key_rule" in entry:
            rule = self._text.choice(entry["key_rule"], f"{what}.key_rule", _KEY_RULES)
        if source is None or references is None or rule is None:
            return None
        return PropagateNode(name, _line(node), stage, source, engine, folder, key_frames, references, rule)

    def _fuse(self, stage: str, name: str, node: yaml.Node, groups: GroupsEntry) -> FuseNode | None:
        what = f"stages.{stage}.{name}"
        entry = self._text.section(node, what, known=_FUSE_KEYS, needed=("fuse",))
        members = self._text.texts(entry["fuse"], f"{what}.fuse")
        if "groups" in entry:
            groups = self._groups(entry["groups"], f"{what}.groups")
        fields: dict[str, Any] = {"weights": self._weights(what, entry.get("weights"), members)}
        for key, choices in (("method", FUSION_METHODS), ("scores", SCORE_RULES)):
            if key in entry:
                fields[key] = self._text.choice(entry[key], f"{what}.{key}", choices)
        if "threshold" in entry:
            fields["threshold"] = self._threshold(entry["threshold"], f"{what}.threshold")
        if "singles" in entry:
            fields["singles"] = self._singles(entry["singles"], f"{what}.singles", members)
        if any(value is None for value in fields.values()):
            return None
        try:
            return FuseNode(name, _line(node), stage, members, FusionRule(**fields), groups)
        except PipelineError as error:
            self._text.problems.add(node, f"{what}: {error}")
            return None

    def _threshold(self, node: yaml.Node, what: str) -> Threshold | None:
        return self._text.convert(node, what, Threshold.parse, "a threshold")

    def _singles(self, node: yaml.Node, what: str, members: tuple[str, ...]) -> SinglesRule | None:
        entry = self._text.section(node, what, known=("threshold", "only"))
        threshold = self._threshold(entry["threshold"], f"{what}.threshold") if "threshold" in entry else None
        only = self._text.choice(entry["only"], f"{what}.only", members) if "only" in entry else None
        if (threshold is None and "threshold" in entry) or (only is None and "only" in entry):
            return None
        try:
            return SinglesRule(threshold, None if only is None else members.index(only))
        except PipelineError as error:
            self._text.problems.add(node, f"{what}: {error}")
            return None

    def _weights(self, what: str, node: yaml.Node | None, members: tuple[str, ...]) -> tuple[Fraction, ...] | None:
        if node is None:
            return (Fraction(1),) * len(members)
        entry = self._text.section(node, f"{what}.weights", known=members)
        read = {
            key: self._text.convert(value, f"{what}.weights.{key}", Fraction, "a number")
            for key, value in entry.items()
        }
        given = {key: value for key, value in read.items() if value is not None}
        return tuple(given.get(member, Fraction(1)) for member in members) if len(given) == len(read) else None

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


def _line(node: yaml.Node) -> int:
    return 0 if node.start_mark is None or is_override(node) else int(node.start_mark.line) + 1


def _count(word: str) -> int:
    if int(word) < 1:
        raise ValueError(word)
    return int(word)


def _natural(word: str) -> int:
    if int(word) < 0:
        raise ValueError(word)
    return int(word)


def _positive(word: str) -> float:
    if not 0 < float(word) < float("inf"):
        raise ValueError(word)
    return float(word)


def _part(word: str) -> float:
    if not 0 < float(word) < 1:
        raise ValueError(word)
    return float(word)
