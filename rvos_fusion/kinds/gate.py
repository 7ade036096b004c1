"""A gate as a node: it empties the answers to sentences that seem to have no target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fusion.fitted_files import read_fitted
from fusion.gate import CONCEPT, FEATURES, KNOWN, NO_CONCEPT, erase, measure_features, select_features
from runners.detectors.base import DetectorSettings
from rvos.errors import ConfigError, InputError
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.settings import Given, Key
from rvos.videos import Video
from rvos_fusion.kinds.abstentions import list_abstaining
from rvos_fusion.kinds.base import Node, NodeFile, NodeGraph, Task, capability
from rvos_fusion.kinds.inputs import MasksOf

Values = NDArray[np.float64]


@runtime_checkable
class Asking(Protocol):
    """A node that asks a detector for what sentences name."""

    @property
    def detector(self) -> DetectorSettings:
        """Which one."""


@dataclass(frozen=True, slots=True)
class GateNode(Node):
    """Answers, each as it is or empty.

    Args:
        source: node whose answers are kept or emptied.
        members: nodes whose agreement and scores tell.
        features: of `fusion.gate.KNOWN`.
        fitted: file of `rvos fit` that makes the features a chance of a target; None: the one feature counts.
        threshold: answers below are emptied; None: that of the file.
        fitting: the file is still to be made.
    """

    keyword: ClassVar[str] = "gate"
    kind: ClassVar[str] = "gate"

    source: Annotated[MasksOf, Key("gate")]
    members: tuple[MasksOf, ...]
    features: tuple[str, ...] = FEATURES
    fitted: Path | None = None
    threshold: float | None = None
    fitting: Annotated[bool, Given("fitting")] = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.features if name not in KNOWN]
        if unknown or not self.features:
            raise ConfigError(f"features: {', '.join(unknown) or 'none'}; choose from {', '.join(KNOWN)}")
        if not self.fitting and self.fitted is None and (self.threshold is None or len(self.features) != 1):
            raise ConfigError("a gate without 'fitted' needs one feature and a threshold for it")
        if len(set(self.members)) < 2:
            raise ConfigError("members: a gate compares members with each other; name at least two")

    def files(self) -> tuple[NodeFile, ...]:
        advice = "no such file; make it with rvos fit, or correct the path"
        return () if self.fitted is None else (NodeFile(self.fitted, "fitted file", advice, "settings"),)

    def check(self, nodes: NodeGraph) -> Iterable[str]:
        """Check that the members answer every sentence, and that one may say whether frames show what it names."""
        for name in list_abstaining(nodes, self.members):
            yield f"a gate compares masks of every sentence, and {name!r} may abstain; name others"
        asking = (capability(node, Asking) for node in nodes.below(*self.members))
        if CONCEPT in self.features and not any(one.detector.tells_presence for one in asking if one is not None):
            yield NO_CONCEPT

    def check_videos(self, videos: Sequence[Video]) -> Iterable[str]:
        if self.fitted is not None:
            self.working_threshold()
        return ()

    def describe(self) -> str:
        return f"empties answers of {self.source} by {', '.join(self.features)}"

    def detail(self) -> str:
        return "fitted" if self.threshold is None else f"threshold {self.threshold}"

    def passes_scores_of(self) -> str:
        return self.source

    def fitted_file(self) -> Path | None:
        return self.fitted

    def unfitted(self) -> Node:
        return replace(self, fitted=None, fitting=True)

    def chances(self, features: Values) -> Values:
        """Return the chance of a target from the gate's features `(E, K)`; the feature itself without a file.

        Raises an InputError for a file that cannot be used, or is for other members or features.
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
        """Return the threshold, the recipe's before the file's; raises as `chances`, and where the file has none."""
        if self.fitted is not None:
            self.chances(np.zeros((0, len(self.features))))
        if self.threshold is not None:
            return self.threshold
        stated = None if self.fitted is None else read_fitted(self.fitted).threshold
        if stated is None:
            raise InputError(f"{self.fitted or self.name}: no threshold; fit again, or give one in the recipe")
        return stated

    def make(self, task: Task) -> list[MaskSequence]:
        """Return the answers, emptied where the chance of a target is below the threshold."""
        answers = by_expression(task.read(self.source))
        members = [by_expression(task.read(name)) for name in self.members]
        ids = [expression.id for expression in task.video.expressions]
        features = select_features(measure_features(answers, members, ids), self.features)
        kept = self.chances(features) >= self.working_threshold()
        return [
            answers[name] if stays else erase(answers[name]) for name, stays in zip(ids, kept.tolist(), strict=True)
        ]
