"""An audit of existence as a node: it empties an answer only where every candidate contradicts what the sentence says.

Source: choice.md, section 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np

from fusion.evidence.predicates import EVIDENCE, measure_evidence
from fusion.evidence.tracks import Track
from fusion.gate import FEATURES, KNOWN, select_features
from rvos.errors import ConfigError
from rvos.language.claims import find_claims
from rvos.language.nouns import NounFinder, NounSettings
from rvos.masks.boxes import find_boxes
from rvos.masks.tracklets import Tracklet
from rvos.settings import Chance, Given, Key
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import ReadArtefact
from rvos_fusion.kinds.base import NodeFile, Task
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.choices.candidates import Candidates, read_candidates
from rvos_fusion.kinds.choices.fitted_gate import FittedGate, Flags, Values, measure_members
from rvos_fusion.kinds.inputs import AnyTrackletsOf, MasksOf
from rvos_fusion.kinds.networks.named import noun_files

_EVEN = 0.5
_BOUNDS = ("0.5", "0.6", "0.7", "0.8", "0.9", "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistsNode(FittedGate):
    """Answers, each as it is or empty; an answer about which there is nothing but doubt stays.

    Args:
        source: node whose answers are kept or emptied.
        candidates: node with tracklets, or with masklets, which also tell of nouns and numbers.
        members: nodes whose agreement and scores tell.
        features: of `fusion.gate.KNOWN` and `fusion.evidence.EVIDENCE`, at least one of the latter.
        bound: evidence from which a predicate counts as contradicted.
        fitted: file of `rvos fit`; None: every contradicted answer is emptied.
        threshold: chance of a target below which a contradicted answer is emptied; None: that of the file.
        nouns: how the nouns are found; of the whole recipe, as for masklets.
        fitting: the file is still to be made.
    """

    keyword: ClassVar[str] = "exists"
    kind: ClassVar[str] = "exists"

    source: Annotated[MasksOf, Key("exists")]
    candidates: AnyTrackletsOf
    members: tuple[MasksOf, ...]
    features: tuple[str, ...] = (*FEATURES, *EVIDENCE)
    bound: Chance = 0.8
    fitted: Path | None = None
    threshold: float | None = None
    nouns: Annotated[NounSettings, Given("nouns")]
    fitting: Annotated[bool, Given("fitting")] = False

    def __post_init__(self) -> None:
        known = (*KNOWN, *EVIDENCE)
        unknown = [name for name in self.features if name not in known]
        if unknown or not self.features:
            raise ConfigError(f"features: {', '.join(unknown) or 'none'}; choose from {', '.join(known)}")
        if not set(EVIDENCE).intersection(self.features):
            raise ConfigError(f"features: without evidence nothing is emptied; add some of {', '.join(EVIDENCE)}")
        if len(set(self.members)) < 2:
            raise ConfigError("members: an audit compares members with each other; name at least two")

    def files(self) -> tuple[NodeFile, ...]:
        return (*FittedGate.files(self), *noun_files(self.nouns))

    def sources(self, video: Video, checksums: Checksums) -> object:
        finder = NounFinder(self.nouns)
        return [[one.text, finder.find(video, one).text] for one in video.expressions]

    def describe(self) -> str:
        return f"empties answers of {self.source} that {self.candidates} contradict"

    def detail(self) -> str:
        return f"evidence from {self.bound:g}" if self.fitted is None else "fitted"

    def may_empty(self, features: Values) -> Flags:
        """Return where a predicate is contradicted."""
        places = [place for place, name in enumerate(self.features) if name in EVIDENCE]
        return np.asarray(features[:, places].max(axis=1, initial=0.0) >= self.bound)

    def chances(self, features: Values) -> Values:
        """Return the chance of a target, 1 where nothing is contradicted; without a file 0 elsewhere."""
        found = np.zeros(len(features)) if self.fitted is None else FittedGate.chances(self, features)
        return np.where(self.may_empty(features), found, 1.0)

    def working_threshold(self) -> float:
        """Return the threshold; see `FittedGate`."""
        alone = self.fitted is None and self.threshold is None
        return _EVEN if alone else FittedGate.working_threshold(self)

    @property
    def cheap(self) -> tuple[str, ...]:
        """Without a file the bound decides alone."""
        return ("bound",) if self.fitted is None else ("threshold", "bound")

    def list_values(self, key: str, tasks: Iterable[Task]) -> Sequence[str]:
        """See `FittedGate`."""
        return _BOUNDS if key == "bound" else FittedGate.list_values(self, key, tasks)

    def own_value(self, key: str) -> str:
        """See `FittedGate`."""
        return f"{self.bound:g}" if key == "bound" else FittedGate.own_value(self, key)

    def measure(self, video: Video, read: ReadArtefact) -> Values:
        """See `FittedGate`."""
        told = measure_members(video, self.source, self.members, read)
        found = read_candidates(video, read, self.candidates)
        tracks = [_trace(found, place) for place in range(len(found.tracklets))]
        finder = NounFinder(self.nouns)
        evidence = np.zeros((len(video.expressions), len(EVIDENCE)))
        for row, expression in enumerate(video.expressions):
            noun = finder.find(video, expression).text
            named = [tracks[place] for place in found.of_noun(noun)]
            evidence[row] = measure_evidence(
                find_claims(expression.text),
                named,
                tracks,
                by_noun=found.by_noun,
                presence=found.presence.get(noun),
            )
        columns = {name: evidence[:, place] for place, name in enumerate(EVIDENCE)}
        gate = [name for name in self.features if name not in columns]
        columns |= dict(zip(gate, select_features(told, gate).T, strict=True))
        return np.stack([columns[name] for name in self.features], axis=1)


def _trace(found: Candidates, place: int) -> Track:
    """Return a candidate's way through the frame."""
    tracklet: Tracklet = found.tracklets[place]
    areas = found.runs[place].areas().astype(np.float64)
    boxes = find_boxes(tracklet.runs, tracklet.size)
    centres = (boxes[:, :2] + boxes[:, 2:] / 2) / (tracklet.size[1], tracklet.size[0])
    centres[areas == 0] = np.nan
    return Track(tracklet.label, centres, areas)
