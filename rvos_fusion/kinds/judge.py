"""A choice by judges as a node: models of language and vision accept or reject the candidates of every sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np

from propagate.tracklets import to_sequence
from runners.judges.base import JudgeSettings
from runners.judges.rounds import Ask, Judgement, Round, RoundSettings, count_sheets, judge_sentence
from runners.judges.sheets import ReadFrame, draw_sheet
from rvos.errors import ConfigError, StoreError
from rvos.language.nouns import NounFinder, NounSettings
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.runs import Runs, unite
from rvos.masks.tracklets import Tracklet
from rvos.settings import Flat, Given, Key, Named, count
from rvos.videos import Expression, Video
from rvos_fusion.kinds.artefacts import MASKS, ReadArtefact
from rvos_fusion.kinds.base import Node, NodeFile, Task, WorkerKey
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.choices.candidates import read_candidates
from rvos_fusion.kinds.grounding_report import Grounding, read_grounding
from rvos_fusion.kinds.inputs import AnyTrackletsOf, Input, find_inputs
from rvos_fusion.kinds.networks.judging import (
    Asking,
    Counting,
    Questions,
    describe_judge,
    explain_judge,
    judge_files,
    keep_frames,
    open_judges,
)
from rvos_fusion.kinds.networks.loaded import NETWORK
from rvos_fusion.kinds.networks.named import noun_files
from rvos_fusion.kinds.offers import Offer
from rvos_fusion.kinds.plain import plain_fields
from rvos_fusion.kinds.side_reports import write_report

EMPTY = "empty"
"""The fallback that answers with empty masks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeNode(Node):
    """For every sentence the candidates that judges accept, together: ordinary masks for any fusion.

    Args:
        candidates: node with tracklets, or with masklets, of which those of the sentence's noun are meant.
        by: judges, which vote.
        fallback: node that answers where all are rejected, or `empty`; None: the candidate of the best score does.
        nouns: how the nouns are found; of the whole recipe, as for masklets.
        rules: how often and with what they are asked.
    """

    keyword: ClassVar[str] = "judge"
    kind: ClassVar[str] = "judge"

    candidates: Annotated[AnyTrackletsOf, Key("judge")]
    by: tuple[Annotated[JudgeSettings, Named("judge")], ...]
    fallback: str | None = None
    nouns: Annotated[NounSettings, Given("nouns")]
    rules: Annotated[RoundSettings, Flat()]

    def __post_init__(self) -> None:
        if not self.by:
            raise ConfigError("by is empty; name a judge of `judges`")
        for place, one in enumerate(self.by):
            for other in self.by[:place]:
                if replace(one, name=other.name, verdicts=other.verdicts) == other:
                    raise ConfigError(f"by: {one.name} is {other.name} again, and would say the same; name another")

    def reads(self) -> tuple[Input, ...]:
        others = () if self.fallback in (None, EMPTY) else (Input(str(self.fallback), "fallback", MASKS),)
        return (*find_inputs(self), *others)

    def files(self) -> tuple[NodeFile, ...]:
        return (*(file for one in self.by for file in judge_files(one)), *noun_files(self.nouns))

    def settings(self) -> object:
        """All of them; a judge by what changes its answers."""
        return {**plain_fields(self, without=("by",)), "by": [describe_judge(one) for one in self.by]}

    def sources(self, video: Video, checksums: Checksums) -> object:
        finder = NounFinder(self.nouns)
        texts = [[one.text, finder.find(video, one).text] for one in video.expressions]
        return [texts, checksums.frames(video)]

    def describe(self) -> str:
        return f"chooses from {self.candidates} by {self.detail()}"

    def detail(self) -> str:
        return f"{', '.join(one.name for one in self.by)}, {count(self.rules.rounds, 'round')}"

    def score_scale(self) -> str:
        return "shares of judges"

    def worker_key(self) -> WorkerKey | None:
        stamps = [
            (path.stat().st_mtime_ns, path.stat().st_size)
            for one in self.by
            for paths in one.files.values()
            for path in paths
            if path.exists()
        ]
        label = f"judge {', '.join(one.name for one in self.by)}"
        return WorkerKey(label, f"{self.by} {stamps}", shares=False)

    def check_load(self) -> Iterable[str]:
        for one in self.by:
            yield from explain_judge(one)

    def chooses_from(self) -> tuple[str, ...]:
        return (self.candidates,)

    def offers(self, video: Video, read: ReadArtefact) -> Iterator[Offer]:
        """Yield, for every sentence, any of the candidates that judges are shown, together."""
        found = self.gather(video, read)
        parts = {name: [found.runs[place] for place in own] for name, own in found.shown.items()}
        yield Offer("best candidates", {}, parts)

    def read_grounding(self, task: Task) -> Grounding | None:
        """Return the shares of judges that were written beside the result; None where nothing is known of it."""
        return read_grounding(task, self.candidates)

    def count_questions(self, task: Task) -> Questions | None:
        """Return how many questions a video still needs; None where its candidates are not there yet."""
        try:
            found = self.gather(task.video, task.read_artefact)
        except StoreError:
            return None
        judges = open_judges(self.by, task)
        if not any(one.folder.is_dir() for one in judges):
            sheets = len(judges) * sum(count_sheets(len(own)) for own in found.shown.values())
            return Questions(sheets, sheets * self.rules.rounds)
        counting = Counting()
        for expression in task.video.expressions:
            counting.begin()
            self._judge(task.video, expression, found, [partial(counting.ask, one) for one in judges])
        return counting.found

    def make(self, task: Task) -> list[MaskSequence]:
        """Return the accepted candidates; all verdicts are written beside the result."""
        video, found = task.video, self.gather(task.video, task.read_artefact)
        key = (self.worker_key(), task.device, task.workspace)
        judges: list[Asking] = NETWORK.get(key, lambda: open_judges(self.by, task))
        answers, rows = [], []
        others = None
        for expression in video.expressions:
            judged = self._judge(video, expression, found, [one.ask for one in judges])
            own = found.shown[expression.id]
            names = [found.tracklets[place].id for place in own]
            chosen, why = [own[place] for place in judged.accepted], "by_score" if judged.by_score else ""
            if not chosen:
                why = "rejected" if own else "no_candidate"
                if self.fallback is None and own:
                    chosen = [max(own, key=lambda place: found.scores[place])]
                elif self.fallback not in (None, EMPTY):
                    others = others or by_expression(task.read(str(self.fallback)))
            shares = dict(zip(own, judged.shares, strict=True))
            score = max((shares[place] for place in chosen), default=0.0)
            other = None if others is None or chosen else others[expression.id]
            answers.append(_answer(video, expression, [found.tracklets[place] for place in chosen], other, score))
            rows.append(
                {
                    "expression": expression.id,
                    "tracklet": found.tracklets[chosen[0]].id if chosen else None,
                    "accepted": [found.tracklets[place].id for place in chosen],
                    "why": why,
                    "scores": [round(shares.get(place, 0.0), 4) for place in range(len(found.tracklets))],
                    "rounds": [self._report(video, one, names) for one in judged.rounds],
                }
            )
        write_report(task, {"by": self.detail(), "expressions": rows})
        return answers

    def _judge(self, video: Video, expression: Expression, found: Shown, judges: Sequence[Ask]) -> Judgement:
        own = found.shown[expression.id]
        return judge_sentence(
            video,
            expression,
            [found.tracklets[place] for place in own],
            [found.scores[place] for place in own],
            judges,
            draw=partial(draw_sheet, found.read_frame, width=self.rules.width),
            settings=self.rules,
        )

    def _report(self, video: Video, one: Round, names: Sequence[str]) -> dict[str, Any]:
        verdicts = [
            {
                "candidate": number,
                "tracklet": names[number - 1],
                "judges": [
                    {"judge": judge.name, "verdict": verdict.word, "reason": verdict.reason}
                    for judge, verdict in zip(self.by, verdicts, strict=True)
                ],
            }
            for number, verdicts in one.verdicts.items()
        ]
        return {"frames": [video.frames[frame] for frame in one.frames], "verdicts": verdicts}

    def gather(self, video: Video, read: ReadArtefact) -> Shown:
        """Return the candidates of a video, and those of each sentence. Raises StoreError: they are not there."""
        found = read_candidates(video, read, self.candidates)
        finder = NounFinder(self.nouns)
        shown = {one.id: found.of_noun(finder.find(video, one).text) for one in video.expressions}
        return Shown(found.tracklets, found.runs, found.scores, shown, keep_frames(video))


@dataclass(frozen=True, slots=True)
class Shown:
    """The candidates of a video, and what judges are shown.

    Args:
        runs, scores: of each.
        shown: places of those that each sentence has.
        read_frame: reads the video's frames.
    """

    tracklets: tuple[Tracklet, ...]
    runs: tuple[Runs, ...]
    scores: Sequence[float]
    shown: Mapping[str, tuple[int, ...]]
    read_frame: ReadFrame


def _answer(
    video: Video, expression: Expression, chosen: Sequence[Tracklet], other: MaskSequence | None, score: float
) -> MaskSequence:
    """Return what chosen candidates mark together, else the other answer, else empty masks, with the score."""
    scores = np.full(video.n_frames, score, np.float32)
    if len(chosen) == 1:
        return to_sequence(chosen[0], expression=expression.id, score=score)
    if chosen:
        runs = unite([one.as_runs() for one in chosen]).encode()
        return MaskSequence(video.id, expression.id, video.frames, chosen[0].size, runs, scores, chosen[0].key_frame)
    if other is not None:
        # Its key frame was chosen by its own scores, which are of another scale.
        return replace(other, scores=scores, key_frame=other.pick_key_frame(), soft=None, scored=True)
    size = video.read_size()
    return MaskSequence(
        video.id, expression.id, video.frames, size, Runs.empty(video.n_frames, size).encode(), scores, 0
    )
