"""Which versions of kinds, engines, runners, detectors and judges make a result, and which code of users."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from propagate.engines.own import OwnSettings
from propagate.engines.settings import EngineSettings
from runners.base import ModelSettings
from runners.detectors.base import DetectorSettings
from runners.detectors.settings import OwnDetectorSettings
from runners.judges.base import JudgeSettings
from runners.registry import RUNNERS
from rvos.plugins import Plugin
from rvos_fusion.kinds.base import Node

Part = EngineSettings | DetectorSettings | JudgeSettings | ModelSettings | Plugin
Versions = Mapping[str, int]
"""By sort and name, such as `engine aot`. A user's own models have none: their sources count."""


def list_versions(node: Node) -> Versions:
    """Return the versions of a node's kind and of all that its settings name."""
    found = (version for part in _find_parts(node) for version in _find_version(part))
    return {f"kind {node.keyword}": node.version, **dict(found)}


def list_own_code(node: Node) -> list[Plugin]:
    """Return the code of users that a node's settings name, which is not imported."""
    return [code for part in _find_parts(node) for code in _find_code(part)]


def explain_change(made_by: Versions, now: Versions) -> list[str]:
    """Return in words what was of another version when a result was made; none where all is of today's."""
    if not made_by:
        return ["from before results kept their versions"]
    return [f"{name} {old}, now {now[name]}" for name, old in made_by.items() if now.get(name, old) != old]


def _find_parts(value: object) -> Iterator[Part]:
    """Yield the settings of all networks that a value holds, and the code that stands for some."""
    if isinstance(value, Part):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _find_parts(getattr(value, field.name))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for content in value:
            yield from _find_parts(content)


def _find_code(part: Part) -> Iterator[Plugin]:
    if isinstance(part, Plugin):
        yield part
    elif isinstance(part, OwnSettings | OwnDetectorSettings):
        yield part.find_code()


def _find_version(part: Part) -> Iterator[tuple[str, int]]:
    if isinstance(part, EngineSettings):
        yield f"engine {part.family}", part.version
    elif isinstance(part, DetectorSettings) and not part.is_own:
        yield f"detector {part.detector}", part.version
    elif isinstance(part, JudgeSettings):
        yield f"judge {part.judge}", part.version
    elif isinstance(part, ModelSettings):
        yield f"runner {part.runner}", RUNNERS[part.runner].version
