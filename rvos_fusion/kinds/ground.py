"""Grounding as a node: for every sentence the tracklet that fits it best, or the fallback where none will do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar

import numpy as np

from propagate.tracklets import to_sequence
from runners.grounding.settings import GroundingSettings
from rvos.errors import ConfigError
from rvos.masks.grounding import Scores, check_tracklets, choose_tracklets
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.runs import Runs
from rvos.masks.tracklets import TrackletSet
from rvos.settings import Chance, Key, Positive, Section, nearest, show
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import CANDIDATES, MASKS
from rvos_fusion.kinds.base import Task
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.grounding_report import GroundedSentence, Grounding, read_grounding, write_grounding
from rvos_fusion.kinds.inputs import CandidatesOf, Input, MasksOf, find_inputs
from rvos_fusion.kinds.networks.grounding import GroundingNode, describe_models, score_by_networks
from rvos_fusion.kinds.tracklet_agreement import score_by_members, vote_members

EMPTY = "empty"
"""The fallback that answers with empty masks."""
_AGREEMENT_GATE = 0.5


@dataclass(frozen=True, slots=True)
class GroundNode(GroundingNode):
    """A tracklet for every sentence: ordinary masks with a score, for any fusion.

    Args:
        tracklets: node with the candidates.
        models: networks that tell how well they fit the sentences.
        agreement: members that tell, in place of networks.
        weights: of the members.
        gate: where the best score is below, the fallback answers; None: 0.5 for members, none for networks.
        fallback: node that answers there, or `empty`; None: as what scores has it.
    """

    keyword: ClassVar[str] = "ground"
    kind: ClassVar[str] = "ground"

    tracklets: Annotated[CandidatesOf, Key("ground")]
    models: tuple[GroundingSettings, ...] = ()
    agreement: tuple[MasksOf, ...] = ()
    weights: Mapping[str, Positive] = field(default_factory=dict)
    gate: Chance | None = None
    fallback: str | None = None

    def __post_init__(self) -> None:
        if bool(self.agreement) == bool(self.models):
            found = "both tell" if self.agreement else "nothing tells"
            raise ConfigError(f"{found} which tracklet fits; give either 'models', networks, or 'agreement', members")
        if len(set(self.agreement)) < len(self.agreement):
            raise ConfigError("agreement: a member is named twice; use weights instead")
        for name in self.weights:
            if self.models:
                raise ConfigError("weights: are those of members; write `weight` beside a model's checkpoint")
            if name not in self.agreement:
                raise ConfigError(f"weights: unknown key {show(name)}; {nearest(name, self.agreement)}")

    @staticmethod
    def explain_former(section: Section) -> str | None:
        """Return what to write instead of `by_frame`, which was no kind of its own."""
        if section.find("by_frame") is None:
            return None
        return f"by_frame is a kind of its own; write ground_frames: {section.read_word('ground')}, models: [...]"

    @property
    def working_gate(self) -> float:
        """The score below which the fallback answers."""
        # A network's best tracklet is the answer, as in the paper; members may agree on none.
        usual = 0.0 if self.models else _AGREEMENT_GATE
        return usual if self.gate is None else self.gate

    def reads(self) -> tuple[Input, ...]:
        others = () if self.fallback in (None, EMPTY) else (Input(str(self.fallback), "fallback", MASKS),)
        return (*find_inputs(self), *others)

    def sources(self, video: Video, checksums: Checksums) -> object:
        """What the networks see; the members' fingerprints say it all."""
        return [[one.text for one in video.expressions], checksums.frames(video)] if self.models else None

    def describe(self) -> str:
        return f"chooses from {self.tracklets} by {self._name_scorer()}"

    def detail(self) -> str:
        return f"{self._name_scorer()}, gate {self.working_gate:g}"

    def read_grounding(self, task: Task) -> Grounding | None:
        """Return the scores that were written beside the result; None where nothing is known of it."""
        return read_grounding(task, self.tracklets)

    def _name_scorer(self) -> str:
        return describe_models(self.models) if self.models else f"agreement with {', '.join(self.agreement)}"

    @property
    def cheap(self) -> tuple[str, ...]:
        """The gate: tracklets are scored once."""
        return ("gate",)

    def list_values(self, key: str, tasks: Iterable[Task]) -> Sequence[str]:
        """Return scores from 0."""
        return [f"{step / 10:g}" for step in range(10)]

    def own_value(self, key: str) -> str:
        """Return the gate that holds."""
        return f"{self.working_gate:g}"

    def make(self, task: Task) -> list[MaskSequence]:
        """Return the chosen tracklets; all scores are written beside the result."""
        return self.compute([task])[0]

    def compute(self, tasks: Sequence[Task]) -> list[list[MaskSequence]]:
        """Return the answers of a video by nodes that differ in their gates alone: tracklets are scored once."""
        task = tasks[0]
        tracklets: TrackletSet = task.read_artefact(self.tracklets, CANDIDATES)
        check_tracklets(task.video, tracklets)
        scores: Scores = np.zeros((len(task.video.expressions), 0))
        if len(tracklets) and self.models:
            scores = score_by_networks(self.models, task, task.video, tracklets)
        elif len(tracklets):
            scores = score_by_members(self.agreement, self.weights, task, tracklets)
        return [one.node._answer(one, tracklets, scores) for one in tasks if isinstance(one.node, GroundNode)]

    def _answer(self, task: Task, tracklets: TrackletSet, scores: Scores) -> list[MaskSequence]:
        chosen = choose_tracklets(scores)
        best = [0.0 if place is None else float(row[place]) for place, row in zip(chosen, scores, strict=True)]
        passing = [
            place if place is not None and score >= self.working_gate else None
            for place, score in zip(chosen, best, strict=True)
        ]
        others = self._fall_back(task) if None in passing else {}
        answers, sentences = [], {}
        for place, score, row, expression in zip(passing, best, scores, task.video.expressions, strict=True):
            chosen_id, why = None, "below_gate" if len(tracklets) else "no_candidate"
            if place is None:
                answers.append(_restate(others.get(expression.id), tracklets, expression.id, score))
            else:
                tracklet = tracklets.tracklets[place]
                chosen_id, why = tracklet.id, ""
                answers.append(to_sequence(tracklet, expression=expression.id, score=score))
            sentences[expression.id] = GroundedSentence(tuple(row.tolist()), chosen_id, why)
        found = Grounding(self.tracklets, self._name_scorer(), sentences)
        write_grounding(task, found, tracklets.content_hash())
        return answers

    def _fall_back(self, task: Task) -> Mapping[str, MaskSequence]:
        """Return the answers by sentence where no tracklet will do; none: they are empty."""
        if self.fallback == EMPTY or (self.fallback is None and self.models):
            return {}
        return vote_members(self.agreement, task) if self.fallback is None else by_expression(task.read(self.fallback))


def _restate(other: MaskSequence | None, tracklets: TrackletSet, expression: str, score: float) -> MaskSequence:
    """Return the fallback's answer, or an empty one, with the grounding's own score in every frame."""
    scores = np.full(len(tracklets.frames), score, np.float32)
    if other is None:
        empty = Runs.empty(len(tracklets.frames), tracklets.size).encode()
        return MaskSequence(tracklets.video, expression, tracklets.frames, tracklets.size, empty, scores, 0)
    # Its key frame was chosen by its own scores, which are of another scale.
    return replace(other, scores=scores, key_frame=other.pick_key_frame(), soft=None, scored=True)
