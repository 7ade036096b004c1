"""What gates share: members that tell, a fitted file that makes features a chance, and answers that are emptied."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fusion.fitted_files import read_fitted
from fusion.gate import CONCEPT, NO_CONCEPT, erase, list_thresholds, measure_features
from runners.detectors.base import DetectorSettings
from rvos.errors import InputError
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.videos import Video
from rvos_fusion.kinds.abstentions import list_abstaining
from rvos_fusion.kinds.artefacts import HARD_MASKS, ReadArtefact
from rvos_fusion.kinds.base import Node, NodeFile, NodeGraph, Task, capability

_MOST_THRESHOLDS = 60
"""More cannot be told apart."""
Values = NDArray[np.float64]
Flags = NDArray[np.bool_]


@runtime_checkable
class Asking(Protocol):
    """A node that asks a detector for what sentences name."""

    @property
    def detector(self) -> DetectorSettings:
        """Which one."""


class FittedGate(Node):
    """A node that empties answers of a low chance of a target.

    Args:
        source: node whose answers are kept or emptied.
        members: nodes whose agreement and scores tell.
        features: that decide.
        fitted: file of `rvos fit` that makes the features a chance of a target; None: the one feature counts.
        threshold: answers below are emptied; None: that of the file.
        fitting: the file is still to be made.
    """

    __slots__ = ()
    source: str
    members: tuple[str, ...]
    features: tuple[str, ...]
    fitted: Path | None
    threshold: float | None
    fitting: bool

    @abstractmethod
    def measure(self, video: Video, read: ReadArtefact) -> Values:
        """Return the features of every sentence, `(E, K)`."""

    def may_empty(self, features: Values) -> Flags:
        """Return which answers may be emptied at all, `(E,)`, whatever their chance."""
        return np.ones(len(features), np.bool_)

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

    def detail(self) -> str:
        return "fitted" if self.threshold is None else f"threshold {self.threshold}"

    def passes_scores_of(self) -> str:
        return self.source

    def fitted_file(self) -> Path | None:
        return self.fitted

    def unfitted(self) -> Node:
        without: dict[str, Any] = {"fitted": None, "fitting": True}
        return replace(self, **without)

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

    @property
    def cheap(self) -> tuple[str, ...]:
        """The threshold."""
        return ("threshold",)

    def list_values(self, key: str, tasks: Iterable[Task]) -> Sequence[str]:
        """Return thresholds that can differ: all, or of many those at equal numbers of sentences."""
        thresholds = list_thresholds([self.chances(self.measure(one.video, one.read_artefact)) for one in tasks])
        places = np.unique(np.linspace(0, len(thresholds) - 1, _MOST_THRESHOLDS).round().astype(int))
        return [repr(thresholds[place]) for place in places.tolist()]

    def own_value(self, key: str) -> str:
        """Return the threshold that holds."""
        return repr(self.working_threshold())

    def make(self, task: Task) -> list[MaskSequence]:
        """Return the answers, emptied where they may be and the chance of a target is below the threshold."""
        return self.compute([task])[0]

    def compute(self, tasks: Sequence[Task]) -> list[list[MaskSequence]]:
        """Return the answers of a video by gates that differ in their bounds alone: members are compared once."""
        video, read = tasks[0].video, by_expression(tasks[0].read(self.source))
        answers = [read[one.id] for one in video.expressions]
        emptied, features = [erase(one) for one in answers], self.measure(video, tasks[0].read_artefact)
        gates = [task.node for task in tasks if isinstance(task.node, FittedGate)]
        kept = [~one.may_empty(features) | (one.chances(features) >= one.working_threshold()) for one in gates]
        return [
            [own if stays else other for own, other, stays in zip(answers, emptied, stay.tolist(), strict=True)]
            for stay in kept
        ]


def measure_members(video: Video, source: str, members: Sequence[str], read: ReadArtefact) -> Values:
    """Return what answers and members tell of every sentence, `(E, K)`, in the order of `fusion.gate.KNOWN`."""
    answers, *own = (by_expression(read(name, HARD_MASKS)) for name in (source, *members))
    return measure_features(answers, own, [expression.id for expression in video.expressions])
