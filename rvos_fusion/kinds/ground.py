"""Grounding as a node: for every sentence the tracklet that fits it best, or the fallback where none will do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np

from propagate.tracklets import to_sequence
from runners.grounding.settings import GroundingSettings
from rvos.errors import ConfigError
from rvos.masks.grounding import check_tracklets, choose_tracklets
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.runs import Runs
from rvos.masks.tracklets import TrackletSet
from rvos.settings import Chance, Form, Positive, nearest, show
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import CANDIDATES, INSTANCE_PROPOSALS, MASKS, Artefact
from rvos_fusion.kinds.base import Node, NodeFile, Task, WorkerKey
from rvos_fusion.kinds.capabilities import GroundedSentence, Grounding
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.entry import NodeEntry
from rvos_fusion.kinds.frame_grounding import ground_frames
from rvos_fusion.kinds.grounding_networks import NetworkScorer
from rvos_fusion.kinds.masklets import read_report, write_report
from rvos_fusion.kinds.tracklet_scorers import AgreementScorer, TrackletScorer

EMPTY = "empty"
"""The fallback that answers with empty masks."""
_AGREEMENT_GATE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _GroundEntry:
    """The keys of grounding."""

    ground: str
    models: tuple[GroundingSettings, ...] = ()
    by_frame: bool = False
    agreement: tuple[str, ...] = ()
    weights: Mapping[str, Positive] = field(default_factory=dict)
    gate: Chance | None = None
    fallback: str | None = None

    def __post_init__(self) -> None:
        if bool(self.agreement) == bool(self.models):
            found = "both tell" if self.agreement else "nothing tells"
            raise ConfigError(f"{found} which tracklet fits; give either 'models', networks, or 'agreement', members")
        if len(set(self.agreement)) < len(self.agreement):
            raise ConfigError("agreement: a member is named twice; use weights instead")
        if self.by_frame and (not self.models or self.gate is not None or self.fallback is not None):
            raise ConfigError("by_frame: needs 'models', and knows neither gate nor fallback; leave it out")
        for name in self.weights:
            if self.models:
                raise ConfigError("weights: are those of members; write `weight` beside a model's checkpoint")
            if name not in self.agreement:
                raise ConfigError(f"weights: unknown key {show(name)}; {nearest(name, self.agreement)}")

    def scorer(self) -> TrackletScorer:
        """Return what tells how well tracklets fit."""
        if self.models:
            return NetworkScorer(self.models)
        return AgreementScorer(self.agreement, tuple(self.weights.get(name, 1.0) for name in self.agreement))


@dataclass(frozen=True, slots=True)
class GroundNode(Node):
    """A tracklet for every sentence: ordinary masks with a score, for any fusion.

    Args:
        tracklets: node with the candidates.
        scorer: tells how well they fit the sentences.
        least: where the best score is below, the fallback answers.
        fallback: node that answers there, or `empty`; None: as the scorer has it.
        by_frame: `tracklets` is a node with proposals, of which every frame chooses one, whatever the others do.
    """

    keyword: ClassVar[str] = "ground"
    kind: ClassVar[str] = "ground"
    section: ClassVar[Literal["models", "stages"]] = "stages"
    artefact: ClassVar[Artefact] = MASKS

    tracklets: str
    scorer: TrackletScorer
    least: float
    fallback: str | None
    by_frame: bool

    @classmethod
    def forms(cls) -> tuple[Form, ...]:
        """Its keys."""
        return (Form(_GroundEntry),)

    @classmethod
    def read(cls, entry: NodeEntry) -> Node | None:
        """Read the entry."""
        values = entry.load(_GroundEntry)
        if values is None:
            return None
        # A network's best tracklet is the answer, as in the paper; members may agree on none.
        usual = 0.0 if values.models else _AGREEMENT_GATE
        gate = usual if values.gate is None else values.gate
        return cls(
            entry.name, entry.line, entry.stage, values.ground, values.scorer(), gate, values.fallback, values.by_frame
        )

    def inputs(self) -> tuple[str, ...]:
        """Tracklets, what the scorer reads, and the fallback."""
        return tuple(dict.fromkeys((self.tracklets, *self._list_members())))

    def files(self) -> tuple[NodeFile, ...]:
        """Those of the scorer."""
        return self.scorer.files()

    def settings(self) -> object:
        """Scorer, gate and fallback, and `by_frame` where it is set."""
        usual = [self.tracklets, self.scorer.settings(), float(self.least), self.fallback]
        return [*usual, "by_frame"] if self.by_frame else usual

    def sources(self, video: Video, checksums: Checksums) -> object:
        """What the scorer reads."""
        return self.scorer.sources(video, checksums)

    def check(self, nodes: Mapping[str, Node]) -> Iterable[str]:
        """The inputs must store what is needed of them."""
        wanted = INSTANCE_PROPOSALS if self.by_frame else CANDIDATES
        if nodes[self.tracklets].artefact is not wanted:
            stored = nodes[self.tracklets].artefact.codec.name
            yield f"ground: {self.tracklets} stores {stored}, expected {wanted.codec.name}; name another node"
        for name in self._list_members():
            if nodes[name].artefact is not MASKS:
                yield f"{name} stores {nodes[name].artefact.codec.name}; name a node with masks"

    def describe(self) -> str:
        """Tracklets and scorer."""
        return f"chooses from {self.tracklets} by {self.scorer.describe()}"

    def detail(self) -> str:
        """The scorer and the gate."""
        return f"{self.scorer.describe()}, gate {self.least:g}"

    def check_load(self) -> Iterable[str]:
        """What scores."""
        return self.scorer.check_load()

    def worker_key(self) -> WorkerKey | None:
        """That of the scorer."""
        return self.scorer.worker_key()

    def compute(self, tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
        """Return the chosen tracklets; all scores are written to `ground/NODE/VIDEO.json` of the workspace."""
        if self.by_frame and isinstance(self.scorer, NetworkScorer):
            return [
                ground_frames(task, self.scorer, task.read_artefact(self.tracklets, INSTANCE_PROPOSALS))
                for task in tasks
            ]
        return [self._ground(task) for task in tasks]

    def grounding(self, task: Task) -> Grounding | None:
        """The scores that were written beside the result."""
        content = None if self.by_frame else read_report(task)
        if not isinstance(content, dict):
            return None
        try:
            sentences = {
                str(row["expression"]): GroundedSentence(tuple(map(float, row["scores"])), row["tracklet"], row["why"])
                for row in content["expressions"]
            }
        except (KeyError, TypeError, ValueError):  # not written by this version
            return None
        return Grounding(self.tracklets, str(content.get("by", "")), sentences)

    def _list_members(self) -> tuple[str, ...]:
        return self.scorer.inputs() if self.fallback in (None, EMPTY) else (*self.scorer.inputs(), str(self.fallback))

    def _ground(self, task: Task) -> list[MaskSequence]:
        tracklets: TrackletSet = task.read_artefact(self.tracklets, CANDIDATES)
        check_tracklets(task.video, tracklets)
        n_expressions = len(task.video.expressions)
        scores = self.scorer.scores(task, tracklets) if len(tracklets) else np.zeros((n_expressions, 0))
        chosen = choose_tracklets(scores)
        best = [0.0 if place is None else float(row[place]) for place, row in zip(chosen, scores, strict=True)]
        passing = [
            place if place is not None and score >= self.least else None
            for place, score in zip(chosen, best, strict=True)
        ]
        others = self._fall_back(task) if None in passing else {}
        answers, rows = [], []
        for place, score, own, expression in zip(passing, best, scores, task.video.expressions, strict=True):
            if place is None:
                answers.append(_restate(others.get(expression.id), tracklets, expression.id, score))
            else:
                answers.append(to_sequence(tracklets.tracklets[place], expression=expression.id, score=score))
            rows.append(
                {
                    "expression": expression.id,
                    "tracklet": None if place is None else tracklets.tracklets[place].id,
                    "why": "" if place is not None else "below_gate" if len(tracklets) else "no_candidate",
                    "scores": [round(float(one), 4) for one in own],
                }
            )
        write_report(task, {"tracklets": tracklets.content_hash(), "by": self.scorer.describe(), "expressions": rows})
        return answers

    def _fall_back(self, task: Task) -> Mapping[str, MaskSequence]:
        if self.fallback == EMPTY:
            return {}
        if self.fallback is None:
            return self.scorer.fall_back(task)
        return by_expression(task.read(self.fallback))


def _restate(other: MaskSequence | None, tracklets: TrackletSet, expression: str, score: float) -> MaskSequence:
    """Return the fallback's answer, or an empty one, with the grounding's own score in every frame."""
    scores = np.full(len(tracklets.frames), score, np.float32)
    if other is None:
        empty = Runs.empty(len(tracklets.frames), tracklets.size).encode()
        return MaskSequence(tracklets.video, expression, tracklets.frames, tracklets.size, empty, scores, 0)
    # Its key frame was chosen by its own scores, which are of another scale.
    return replace(other, scores=scores, key_frame=other.pick_key_frame(), soft=None, scored=True)
