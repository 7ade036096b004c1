"""Which versions of kinds, engines, runners and detectors make a result."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from propagate.engines.settings import EngineSettings
from runners.base import ModelSettings
from runners.detectors.base import DetectorSettings
from runners.detectors.table import DETECTORS
from runners.registry import RUNNERS
from rvos_fusion.kinds.base import Node

Versions = Mapping[str, int]
"""By sort and name, such as `engine aot`. A user's own models have none: their sources count."""


def list_versions(node: Node) -> Versions:
    """Return the versions of a node's kind and of all that its settings name."""
    return {f"kind {node.keyword}": node.version, **dict(_find_parts(node))}


def explain_change(made_by: Versions, now: Versions) -> list[str]:
    """Return in words what was of another version when a result was made; none where all is of today's."""
    if not made_by:
        return ["from before results kept their versions"]
    return [f"{name} {old}, now {now[name]}" for name, old in made_by.items() if now.get(name, old) != old]


def _find_parts(value: object) -> Iterator[tuple[str, int]]:
    if isinstance(value, EngineSettings):
        yield f"engine {value.family}", value.version
    elif isinstance(value, DetectorSettings) and value.detector in DETECTORS:
        yield f"detector {value.detector}", DETECTORS[value.detector].version
    elif isinstance(value, ModelSettings):
        yield f"runner {value.runner}", RUNNERS[value.runner].version
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _find_parts(getattr(value, field.name))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for content in value:
            yield from _find_parts(content)
