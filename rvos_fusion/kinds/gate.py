"""A gate as a node: it empties the answers to sentences that seem to have no target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from fusion.fitted_files import read_fitted
from fusion.gate import FEATURES, measure_features, select_features
from rvos.errors import ConfigError, InputError
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.runs import Runs
from rvos.settings import Form
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import MASKS, Artefact
from rvos_fusion.kinds.base import Node, NodeFile, Task, WorkerKey, plain
from rvos_fusion.kinds.capabilities import Gate, Values
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.entry import NodeEntry


@dataclass(frozen=True, slots=True)
class _GateEntry:
    """The keys of a gate."""

    gate: str
    members: tuple[str, ...]
    features: tuple[str, ...] = FEATURES
    fitted: Path | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.features if name not in FEATURES]
        if unknown or not self.features:
            raise ConfigError(f"features: {', '.join(unknown) or 'none'}; choose from {', '.join(FEATURES)}")
        if self.fitted is None and (self.threshold is None or len(self.features) != 1):
            raise ConfigError("a gate without 'fitted' needs one feature and a threshold for it")
        if len(set(self.members)) < 2:
            raise ConfigError("members: a gate compares members with each other; name at least two")


@dataclass(frozen=True, slots=True)
class GateNode(Node):
    """Answers, each as it is or empty.

    Args:
        source: node whose answers are kept or emptied.
        members: nodes whose agreement and scores tell.
        features: of `fusion.gate.FEATURES`.
        fitted: file of `rvos fit` that makes the features a chance of a target; None: the one feature counts.
        threshold: answers below are emptied; None: that of the file.
    """

    keyword: ClassVar[str] = "gate"
    kind: ClassVar[str] = "gate"
    section: ClassVar[Literal["models", "stages"]] = "stages"
    artefact: ClassVar[Artefact] = MASKS

    source: str
    members: tuple[str, ...]
    features: tuple[str, ...]
    fitted: Path | None
    threshold: float | None

    @classmethod
    def forms(cls) -> tuple[Form, ...]:
        """Its keys."""
        return (Form(_GateEntry),)

    @classmethod
    def read(cls, entry: NodeEntry) -> Node | None:
        """Read the entry."""
        values = entry.load(_GateEntry)
        if values is None:
            return None
        return cls(
            entry.name,
            entry.line,
            entry.stage,
            values.gate,
            values.members,
            values.features,
            values.fitted,
            values.threshold,
        )

    def inputs(self) -> tuple[str, ...]:
        """The answers, then the members."""
        return tuple(dict.fromkeys((self.source, *self.members)))

    def files(self) -> tuple[NodeFile, ...]:
        """What was fitted."""
        advice = "no such file; make it with rvos fit, or correct the path"
        return () if self.fitted is None else (NodeFile(self.fitted, "fitted file", advice, "settings"),)

    def settings(self) -> object:
        """All but the path."""
        return [self.source, list(self.members), list(self.features), plain(self.threshold)]

    def sources(self, video: Video, checksums: Checksums) -> object:
        """Nothing of the video itself."""
        return None

    def check_videos(self, videos: Sequence[Video]) -> Iterable[str]:
        """Check that the file is for these features and members."""
        if self.fitted is not None:
            self.working_threshold()
        return ()

    def describe(self) -> str:
        """Source and features."""
        return f"empties answers of {self.source} by {', '.join(self.features)}"

    def detail(self) -> str:
        """The threshold."""
        return "fitted" if self.threshold is None else f"threshold {self.threshold}"

    def score_scale(self, nodes: Mapping[str, Node]) -> str | None:
        """The source's: scores are passed on."""
        return nodes[self.source].score_scale(nodes)

    def worker_key(self) -> WorkerKey | None:
        """Nothing."""
        return None

    def compute(self, tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
        """Return the answers, emptied where the chance of a target is below the threshold."""
        return [self._open(task) for task in tasks]

    def gate(self) -> Gate | None:
        """Return itself."""
        return self

    def unfitted(self) -> Node:
        """The same gate without its file."""
        return replace(self, fitted=None)

    def chances(self, features: Values) -> Values:
        """Return the chance of a target from the gate's features `(E, K)`; the feature itself without a file.

        Raises:
            InputError: a file that cannot be used, or is for other members or features.
        """
        if self.fitted is None:
            return features[:, 0]
        found = read_fitted(self.fitted)
        if found.gate is None or set(found.features) != set(self.features) or set(found.members) != set(self.members):
            known = f"{', '.join(found.members)} by {', '.join(found.features) or 'no features'}"
            asked = f"{', '.join(self.members)} by {', '.join(self.features)}"
            raise InputError(f"{self.fitted}: fitted for {known}, not for {asked}; fit again")
        order = [self.features.index(name) for name in found.features]
        return found.gate.chances(features[:, order])

    def working_threshold(self) -> float:
        """Return the threshold, the recipe's before the file's.

        Raises:
            InputError: a file that cannot be used, is for other members or features, or states no threshold.
        """
        if self.fitted is not None:
            self.chances(np.zeros((0, len(self.features))))
        if self.threshold is not None:
            return self.threshold
        stated = None if self.fitted is None else read_fitted(self.fitted).threshold
        if stated is None:
            raise InputError(f"{self.fitted or self.name}: no threshold; fit again, or give one in the recipe")
        return stated

    def _open(self, task: Task) -> list[MaskSequence]:
        answers = by_expression(task.read(self.source))
        members = [by_expression(task.read(name)) for name in self.members]
        ids = [expression.id for expression in task.video.expressions]
        features = select_features(measure_features(answers, members, ids), self.features)
        kept = self.chances(features) >= self.working_threshold()
        return [
            answers[name] if stays else erase(answers[name]) for name, stays in zip(ids, kept.tolist(), strict=True)
        ]


def erase(sequence: MaskSequence) -> MaskSequence:
    """Return the sequence with masks that mark nothing."""
    return replace(sequence, runs=Runs.empty(sequence.n_frames, sequence.size).encode(), soft=None)
