"""Reads a recipe: all problems in one message, each with its line.

What a node may say, its kind's annotations say: a new kind needs no edit here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from propagate.engines.settings import EngineSettings
from propagate.engines.table import ChosenEngine
from runners.detectors.base import DetectorSettings
from runners.detectors.table import CHOSEN_DETECTOR
from runners.judges.base import JudgeSettings
from runners.judges.table import CHOSEN_JUDGE
from rvos.errors import ConfigError, PipelineError
from rvos.formats import FORMATS, find_format
from rvos.ids import check_id
from rvos.language.nouns import NounSettings
from rvos.settings import INVALID, Loader, Problems, Section, read_document
from rvos.settings import Node as SettingsNode
from rvos_fusion.kinds.base import Node
from rvos_fusion.kinds.groups.grouping import GroupSettings
from rvos_fusion.kinds.table import choose_variant, list_kinds
from rvos_fusion.recipe.graph import check_graph
from rvos_fusion.recipe.published import RowName
from rvos_fusion.recipe.recipe import DatasetEntry, NamedRow, Recipe

_WHAT = "recipe"
NEEDED = ("dataset", "stages")
ROW = Annotated[str, RowName()]
ENGINE = Annotated[EngineSettings, ChosenEngine()]
DETECTOR = Annotated[DetectorSettings, CHOSEN_DETECTOR]
JUDGE = Annotated[JudgeSettings, CHOSEN_JUDGE]


@dataclass(frozen=True, slots=True)
class Sections:
    """The keys of a recipe; each is read after those that it may refer to."""

    dataset: SettingsNode | None = None
    workspace: SettingsNode | None = None
    paths: SettingsNode | None = None
    groups: SettingsNode | None = None
    nouns: SettingsNode | None = None
    models: SettingsNode | None = None
    engines: SettingsNode | None = None
    detectors: SettingsNode | None = None
    judges: SettingsNode | None = None
    stages: SettingsNode | None = None
    submission: SettingsNode | None = None
    rows: SettingsNode | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """`submission:` of a recipe."""

    node: str


def read_recipe(path: Path, overrides: Sequence[str] = (), *, workspace: Path | None = None) -> Recipe:
    """Return the recipe of a file.

    Args:
        overrides: `key=value` texts of `--set`, which win over the file.
        workspace: wins over the file's.

    Raises:
        ConfigError: everything that is wrong, in one message.
    """
    problems = Problems(path)
    root = read_document(path, overrides, what=_WHAT, problems=problems)
    sections = Loader(problems).read(Sections, root, _WHAT, is_top=True)
    if not isinstance(sections, Sections):
        problems.check()
    for key in NEEDED:
        if getattr(sections, key) is None:
            problems.add(root.place, f"{_WHAT}: {key!r} is missing; add it")
    loader = Loader(problems, paths=_read_paths(problems, sections.paths))
    read = len(problems)
    dataset = _read_section(loader, DatasetEntry, sections.dataset, "dataset", otherwise=None)
    if workspace is None:
        workspace = _read_workspace(loader, sections.workspace)
    groups = _read_section(loader, GroupSettings, sections.groups, "groups", otherwise=GroupSettings("none"))
    nouns = _read_section(loader, NounSettings, sections.nouns, "nouns", otherwise=NounSettings())
    are_given = len(problems) == read
    overlapping = dataset is not None and dataset.format in FORMATS and find_format(dataset.format).overlapping
    engines = _read_named(loader, ENGINE, sections.engines, "engines")
    given = {"groups": groups, "nouns": nouns, "overlapping": overlapping, "engines": engines, "dataset": dataset}
    named = {
        "engine": engines,
        "detector": _read_named(loader, DETECTOR, sections.detectors, "detectors"),
        "judge": _read_named(loader, JUDGE, sections.judges, "judges"),
    }
    nodes = _Nodes(Loader(problems, paths=loader.paths, given=given, named=named))
    if sections.models is not None:
        nodes.read("models", None, sections.models)
    stages = _read_stages(nodes, sections.stages)
    submission = _read_section(loader, Submission | str, sections.submission, "submission", otherwise=None)
    rows = _read_rows(loader, sections.rows)
    submission = submission.node if isinstance(submission, Submission) else submission
    line = 0 if sections.submission is None else sections.submission.place.line
    found = tuple(nodes.found.values())
    recipe = Recipe(
        path, dataset, workspace, groups, found, stages, submission, nouns, line, rows, engines, tuple(overrides)
    )
    if nodes.is_whole and len(problems):  # what the graph would be refused for belongs into the same message
        check_graph(recipe, problems, unread=nodes.unread, whole=are_given)
    problems.check()
    return recipe


def _read_section(loader: Loader, hint: Any, node: SettingsNode | None, what: str, *, otherwise: Any) -> Any:
    """Return what a key of the recipe says; `otherwise` where it is not there or has problems."""
    found = INVALID if node is None else loader.read(hint, node, what)
    return otherwise if found is INVALID else found


def _read_paths(problems: Problems, node: SettingsNode | None) -> Mapping[str, Path]:
    if node is None:
        return {}
    loader = Loader(problems, paths={})
    found = {key: loader.read(Path, value, f"paths.{key}") for key, value in loader.entries(node, "paths").items()}
    # One problem is noted already; what refers to it would only repeat it.
    return {key: Path() if path is INVALID else path for key, path in found.items()}


def _read_workspace(loader: Loader, node: SettingsNode | None) -> Path:
    if node is None:
        loader.problems.add(None, "'workspace' is missing; add it or give --workspace")
        return Path()
    workspace: Path = loader.read(Path, node, "workspace")
    if workspace is not INVALID and workspace == workspace.parent:
        loader.problems.add(node.place, f"workspace {workspace} is the root of all files; name a folder of its own")
    return workspace


def _read_rows(loader: Loader, node: SettingsNode | None) -> tuple[NamedRow, ...]:
    entries = {} if node is None else loader.entries(node, "rows")
    read = [(name, loader.read(ROW, entry, f"rows.{name}"), entry.place.line) for name, entry in entries.items()]
    return tuple(NamedRow(name, row, line) for name, row, line in read if row is not INVALID)


def _read_named(loader: Loader, settings: Any, node: SettingsNode | None, what: str) -> Mapping[str, Any]:
    """Return what nodes may name, such as engines; `INVALID` for what has problems."""
    entries = {} if node is None else loader.entries(node, what)
    return {name: loader.giving(name=name).read(settings, entry, f"{what}.{name}") for name, entry in entries.items()}


def _read_stages(nodes: _Nodes, node: SettingsNode | None) -> tuple[str, ...]:
    if node is None:
        return ()
    nodes.is_whole &= isinstance(node, Section)
    stages = nodes.loader.entries(node, "stages")
    if not stages and isinstance(node, Section):
        nodes.loader.problems.add(node.place, "stages has no stage; add stage1 with at least one node")
    for stage, entries in stages.items():
        nodes.read("stages", stage, entries)
    return tuple(stages)


class _Nodes:
    """The nodes of a recipe, read one by one.

    Args:
        loader: knows what they may refer to.

    Attributes:
        unread: names of nodes with problems.
        is_whole: whether the names of all nodes are known.
    """

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self.found: dict[str, Node] = {}
        self.unread: list[str] = []
        self.is_whole = True

    def read(self, section: str, stage: str | None, entries: SettingsNode) -> None:
        """Read all nodes of `models` or of a stage."""
        place = section if stage is None else f"{section}.{stage}"
        self.is_whole &= isinstance(entries, Section)
        for name, mapping in self.loader.entries(entries, place).items():
            try:
                check_id(name, where=place, what="node")
                kind = _choose_kind(section, mapping, f"{place}.{name}")
            except PipelineError as error:
                self.loader.problems.add(mapping.place, str(error))
                self.unread.append(name)
                continue
            node = self.loader.giving(name=name, stage=stage).read(kind, mapping, f"{place}.{name}")
            if node is not INVALID and name in self.found:
                line = self.found[name].line
                self.loader.problems.add(mapping.place, f"node {name!r} is already defined at line {line}; rename one")
            elif node is INVALID:
                self.unread.append(name)
            else:
                self.found[name] = node


def _choose_kind(section: str, mapping: SettingsNode, where: str) -> type[Node]:
    """Return the kind that an entry is of.

    Raises:
        ConfigError: no key or value says so.
    """
    words = mapping.words() if isinstance(mapping, Section) else ()
    keywords = list_kinds(section)
    keyword = next((keyword for keyword in keywords if keyword in words), None)
    if keyword is None or not isinstance(mapping, Section):
        raise ConfigError(f"{where}: neither {' nor '.join(map(repr, keywords))}; say what the node does")
    try:
        return choose_variant(keyword, mapping.read_word(keyword))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
