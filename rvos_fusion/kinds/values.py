"""The values that the nodes of a recipe share: data set, engines, detectors, groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from fusion.groups import SAME_OBJECT, GroupingRule
from fusion.runs import LENGTHS, RunRule
from runners.detectors.base import DetectorSettings
from rvos.errors import ConfigError
from rvos.formats import Dataset, open_dataset
from rvos.settings import Line, Range, Size

_NEEDED = {"file": "file", "agreement": "members", "runs": "members"}


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """`dataset:` of a recipe.

    Args:
        window: frames around the annotated one, for A2D-Sentences and JHMDB-Sentences; None: 5.
    """

    format: str
    root: Path
    split: str
    window: Size | None = None

    def open(self) -> Dataset:
        """Return the split.

        Raises:
            ConfigError: unknown format, or a window for a format without one.
            InputError: missing folders or files that cannot be used.
        """
        return open_dataset(self.format, self.root, self.split, window=self.window)


@dataclass(frozen=True, slots=True)
class GroupsEntry:
    """`groups:` of a recipe.

    Args:
        file: JSON file, for `by: file`.
        members: nodes whose masks decide, for `by: runs` and `by: agreement`.
        threshold: smallest tracklet IoU inside a group, for `by: agreement`.
        lengths: probability of runs of 1, 2, ... sentences, for `by: runs`.
        fitted: file of `rvos fit` that says what hits are worth, for `by: runs`; None: the built-in numbers.
    """

    by: GroupingRule
    file: Path | None = None
    members: tuple[str, ...] = ()
    threshold: Annotated[float, Range(above=0, below=1)] = SAME_OBJECT
    lengths: tuple[float, ...] = LENGTHS
    fitted: Path | None = None
    line: Annotated[int, Line()] = 0

    def __post_init__(self) -> None:
        needed = _NEEDED.get(self.by)
        if needed is not None and not getattr(self, needed):
            raise ConfigError(f"by {self.by} needs {needed!r}; add it")
        RunRule(self.lengths)  # refuses what are no probabilities


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """One entry of `engines:`; the values are those of `propagate.engines.settings.EngineSettings`.

    Args:
        options: the further fields of EngineSettings that the recipe gives.
        beside: folder of the recipe.
    """

    name: str
    line: int
    network: str
    checkpoint: Path
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    options: Mapping[str, str | int | float | None] = field(default_factory=dict)
    beside: Path | None = None


@dataclass(frozen=True, slots=True)
class DetectorEntry:
    """One entry of `detectors:` in a recipe."""

    name: str
    line: int
    settings: DetectorSettings
