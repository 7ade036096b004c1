"""A gate as a node: it empties the answers to sentences that seem to have no target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from fusion.gate import FEATURES, KNOWN, select_features
from rvos.errors import ConfigError
from rvos.settings import Given, Key
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import ReadArtefact
from rvos_fusion.kinds.choices.fitted_gate import FittedGate, Values, measure_members
from rvos_fusion.kinds.inputs import MasksOf


@dataclass(frozen=True, slots=True)
class GateNode(FittedGate):
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

    def describe(self) -> str:
        return f"empties answers of {self.source} by {', '.join(self.features)}"

    def measure(self, video: Video, read: ReadArtefact) -> Values:
        """See `FittedGate`."""
        return select_features(measure_members(video, self.source, self.members, read), self.features)
