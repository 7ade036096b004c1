"""Reads a recipe: all problems in one message, each with its line.

What a node may say, its kind's annotations say: a new kind needs no edit here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from propagate.engines.settings import EngineSettings
from runners.detectors.base import DetectorSettings
from rvos.errors import PipelineError
from rvos.ids import check_id
from rvos.language.nouns import NounSettings
from rvos.settings import INVALID, Loader, Problems, Section, read_document
from rvos.settings import Node as SettingsNode
from rvos_fusion.kinds.base import Node
from rvos_fusion.kinds.entry import NodeEntry
from rvos_fusion.kinds.table import list_kinds
from rvos_fusion.kinds.values import DatasetEntry, DetectorEntry, EngineEntry, GroupsEntry
from rvos_fusion.recipe.recipe import Recipe

_WHAT = "recipe"
NEEDED = ("dataset", "stages")
_ENGINE_FIELDS = ("network", "checkpoint", "scales", "flip")
BESIDE = "beside"
"""The field of engines and detectors that is no key: where the recipe lies."""


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
    stages: SettingsNode | None = None
    submission: SettingsNode | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """`submission:` of a recipe."""

    node: str


@dataclass(slots=True)
class _Nodes:
    """The nodes of a recipe, and what they may refer to."""

    loader: Loader
    engines: Mapping[str, EngineEntry | None]
    groups: GroupsEntry
    dataset: str
    detectors: Mapping[str, DetectorEntry | None]
    nouns: NounSettings
    found: dict[str, Node] = field(default_factory=dict)

    def read(self, section: str, stage: str | None, entries: SettingsNode) -> None:
        """Read all nodes of `models` or of a stage."""
        place = section if stage is None else f"{section}.{stage}"
        for name, mapping in self.loader.entries(entries, place).items():
            entry = NodeEntry(
                name,
                stage,
                f"{place}.{name}",
                mapping,
                self.loader,
                self.engines,
                self.groups,
                self.dataset,
                self.detectors,
                self.nouns,
            )
            node = _read_node(section, entry)
            if node is not None and name in self.found:
                line = self.found[name].line
                message = f"node {name!r} is already defined at line {line}; rename one"
                self.loader.problems.add(mapping.place, message)
            elif node is not None:
                self.found[name] = node


def read_recipe(path: Path, overrides: Sequence[str] = (), *, workspace: Path | None = None) -> Recipe:
    """Return the recipe of a file.

    Args:
        overrides: `key=value` texts of `--set`, which win over the file.
        workspace: wins over the file's.

    Raises:
        ConfigError: everything that is wrong, in one message.
    """
    problems = Problems(path)
    root = read_document(path, overrides, what=_WHAT)
    sections = Loader(problems).read(Sections, root, _WHAT, is_top=True)
    if not isinstance(sections, Sections):
        problems.check()
    for key in NEEDED:
        if getattr(sections, key) is None:
            problems.add(root.place, f"{_WHAT}: {key!r} is missing; add it")
    loader = Loader(problems, paths=_read_paths(problems, sections.paths))
    dataset = None if sections.dataset is None else loader.read(DatasetEntry, sections.dataset, "dataset")
    if workspace is None:
        workspace = _read_workspace(loader, sections.workspace)
    groups = INVALID if sections.groups is None else loader.read(GroupsEntry, sections.groups, "groups")
    if groups is INVALID:
        groups = GroupsEntry("none")
    data_format = dataset.format if isinstance(dataset, DatasetEntry) else ""
    nouns = INVALID if sections.nouns is None else loader.read(NounSettings, sections.nouns, "nouns")
    if nouns is INVALID:
        nouns = NounSettings()
    engines, detectors = _read_engines(loader, sections.engines), _read_detectors(loader, sections.detectors)
    nodes = _Nodes(loader, engines, groups, data_format, detectors, nouns)
    if sections.models is not None:
        nodes.read("models", None, sections.models)
    stages = _read_stages(nodes, sections.stages)
    submission = _read_submission(loader, sections.submission)
    problems.check()
    assert dataset is not None
    return Recipe(path, dataset, workspace, groups, tuple(nodes.found.values()), stages, submission, nouns)


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


def _read_engines(loader: Loader, node: SettingsNode | None) -> dict[str, EngineEntry | None]:
    if node is None:
        return {}
    return {name: _read_engine(loader, name, entry) for name, entry in loader.entries(node, "engines").items()}


def _read_engine(loader: Loader, name: str, node: SettingsNode) -> EngineEntry | None:
    beside = node.place.folder
    settings = loader.read(EngineSettings, node, f"engines.{name}", given={BESIDE: beside})
    if settings is INVALID or not isinstance(node, Section):
        return None
    keys = [key for key in node.words() if hasattr(settings, key) and key not in _ENGINE_FIELDS]
    options = {key: getattr(settings, key) for key in keys}
    own = (settings.network, settings.checkpoint, settings.scales, settings.flip)
    return EngineEntry(name, node.place.line, *own, options, beside)


def _read_detectors(loader: Loader, node: SettingsNode | None) -> dict[str, DetectorEntry | None]:
    if node is None:
        return {}
    found: dict[str, DetectorEntry | None] = {}
    for name, entry in loader.entries(node, "detectors").items():
        settings = loader.read(DetectorSettings, entry, f"detectors.{name}", given={BESIDE: entry.place.folder})
        found[name] = None if settings is INVALID else DetectorEntry(name, entry.place.line, settings)
    return found


def _read_stages(nodes: _Nodes, node: SettingsNode | None) -> tuple[str, ...]:
    if node is None:
        return ()
    stages = nodes.loader.entries(node, "stages")
    if not stages and isinstance(node, Section):
        nodes.loader.problems.add(node.place, "stages has no stage; add stage1 with at least one node")
    for stage, entries in stages.items():
        nodes.read("stages", stage, entries)
    return tuple(stages)


def _read_submission(loader: Loader, node: SettingsNode | None) -> str | None:
    if node is None:
        return None
    submission: Submission | str = loader.read(Submission | str, node, "submission")
    return submission.node if isinstance(submission, Submission) else submission


def _read_node(section: str, entry: NodeEntry) -> Node | None:
    try:
        check_id(entry.name, where=entry.where.removesuffix(f".{entry.name}"), what="node")
    except PipelineError as error:
        entry.loader.problems.add(entry.mapping.place, str(error))
        return None
    words = entry.mapping.words() if isinstance(entry.mapping, Section) else ()
    kinds = list_kinds(section)
    kind = next((kind for keyword, kind in kinds.items() if keyword in words), None)
    if kind is None:
        entry.note(f"neither {' nor '.join(repr(keyword) for keyword in kinds)}; say what the node does")
        return None
    return kind.read(entry)
