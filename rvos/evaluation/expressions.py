"""Ref-YouTube-VOS and MeViS: J and F of every expression, means over frames, then over expressions.

Source: evaluation specification, section 3.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import ClassVar

import numpy as np

from rvos.dataset import VideoTruth
from rvos.evaluation.columns import pack_columns, trace_columns, trace_runs
from rvos.evaluation.evaluator import Evaluator, OpenJudge
from rvos.evaluation.figures.answers import FINAL, N_ACCURACY, T_ACCURACY
from rvos.evaluation.figures.base import Figure
from rvos.evaluation.figures.j_and_f import J_AND_F, J_AND_F_TARGETS, F, J
from rvos.evaluation.measures import Values, score
from rvos.evaluation.outlines import Outlines
from rvos.evaluation.predictions import read_predicted
from rvos.evaluation.results import ExpressionScore
from rvos.files.trees import Tree
from rvos.masks.bit_masks import WORD
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.runs import Runs
from rvos.videos import Expression, Video

_logger = logging.getLogger(__name__)
_TOGETHER = 8
_MOST_WORDS = 1 << 22
"""Of masks that are traced at once: 32 MB."""


class ExpressionJudge:
    """Ground truth of a video with its contours; an object that several expressions name is traced once."""

    missing_is_empty: ClassVar[bool] = False
    """Whether a frame without a file is one without foreground, if the sentence has any."""

    def __init__(self, video: Video, truth: VideoTruth) -> None:
        self._video = video
        self._truth = truth
        self._traced: dict[object, tuple[Outlines, ...]] = {}
        self._scored: dict[tuple[tuple[bytes, ...], int], tuple[Values, Values, bool]] = {}
        self._by_frame: dict[int, list[dict[bytes, tuple[float, float, bool]]]] = {}
        self._size = truth.size
        self._nowhere: set[object] = set()
        self._told: set[str] = set()
        self.void = None if truth.void is None else pack_columns(truth.void)

    def trace(self, expression: Expression) -> tuple[Outlines, ...]:
        """Return the outlines of what an expression refers to."""
        key = expression.object_ids or expression.id
        if key not in self._traced:
            masks = self._truth.masks(expression)
            self._size = (masks.shape[1], masks.shape[2])
            if expression.object_ids and self._video.annotated is None and not masks.any():
                self._nowhere.add(key)
            self._traced[key] = trace_columns(pack_columns(masks), self._size, self.void)
        return self._traced[key]

    def trace_for(self, sequence: MaskSequence) -> tuple[Outlines, ...]:
        """Return the outlines of a sequence's truth. Raises InputError: its frames or size are others."""
        expression = next(one for one in self._video.expressions if one.id == sequence.expression)
        outlines = self.trace(expression)
        if expression.object_ids in self._nowhere and expression.id not in self._told:
            self._told.add(expression.id)
            _logger.warning("%s", self._say_nowhere(expression))
        sequence.check_fits(self._video, self._size, advice="make the masks again")
        return outlines

    def judge(self, sequences: Sequence[MaskSequence]) -> list[ExpressionScore]:
        """Return a score for every expression of the video; one without a sequence has 0."""
        self.prepare(sequences)
        found = by_expression(sequences)
        scores = []
        for expression in self._video.expressions:
            sequence = found.get(expression.id)
            if sequence is None:
                zeros = np.zeros(self._video.n_frames)
                named = self._name(expression, zeros, zeros, is_empty=True, missing=self._video.frames)
                nothing = partial(Runs.empty, self._video.n_frames, self._find_size(expression))
                scores.append(self.complete(expression, named, nothing).as_missing())
                continue
            j, f, is_empty = self._scored[sequence.runs, id(self.trace(expression))]
            named = self._name(expression, j, f, is_empty=is_empty)
            scores.append(self.complete(expression, named, sequence.as_runs))
        return scores

    def prepare(self, sequences: Iterable[MaskSequence]) -> None:
        """Score many predictions in one pass, so that `judge` finds them known; raises as `judge`.

        Fusions give all expressions of a group the same masks, and variants of a fusion most frames of them: a mask of
        a frame is traced once.
        """
        scored = {expression.id for expression in self._video.expressions}
        truths: dict[int, tuple[Outlines, ...]] = {}
        waiting: dict[int, dict[tuple[bytes, ...], None]] = {}
        for sequence in sequences:
            if sequence.expression in scored:
                outlines = self.trace_for(sequence)
                if (sequence.runs, id(outlines)) not in self._scored:
                    truths[id(outlines)] = outlines
                    waiting.setdefault(id(outlines), {})[sequence.runs] = None
        for name, many in waiting.items():
            known = self._by_frame.setdefault(name, [{} for _ in self._video.frames])
            self._score_frames(truths[name], known, many)
            for runs in many:
                rows = [own[text] for own, text in zip(known, runs, strict=True)]
                j, f, is_empty = zip(*rows, strict=True)
                self._scored[runs, name] = np.array(j), np.array(f), all(is_empty)

    def _score_frames(
        self,
        truth: tuple[Outlines, ...],
        known: Sequence[dict[bytes, tuple[float, float, bool]]],
        many: Iterable[tuple[bytes, ...]],
    ) -> None:
        """Add the scores of the masks of each frame that are not known yet."""
        assert self._size is not None
        columns = [
            [text for text in dict.fromkeys(texts) if text not in own]
            for own, texts in zip(known, zip(*many, strict=True), strict=True)
        ]
        # Put together to whole sequences, as many as the frame with the most masks needs.
        nothing = Runs.empty(1, self._size).encode()[0]
        rows = list(zip_longest(*columns, fillvalue=nothing))
        words = len(columns) * self._size[1] * (self._size[0] // WORD + 1)
        step = max(1, min(_TOGETHER, _MOST_WORDS // words))
        for start in range(0, len(rows), step):
            runs = Runs.decode_all(rows[start : start + step], self._size)
            for place, (own, outlines) in enumerate(zip(runs, trace_runs(runs, self.void), strict=True), start):
                values = zip(*(one.tolist() for one in (*score(truth, outlines), own.areas() == 0)), strict=True)
                for frame, value in enumerate(values):
                    if place < len(columns[frame]):
                        known[frame][columns[frame][place]] = value

    def complete(self, expression: Expression, score: ExpressionScore, read: Callable[[], Runs]) -> ExpressionScore:
        """Return a score with what the data set's protocol measures beside J and F; `read` returns the prediction."""
        return score

    def _find_size(self, expression: Expression) -> tuple[int, int]:
        self.trace(expression)
        assert self._size is not None
        return self._size

    def judge_files(self, predictions: Tree) -> list[ExpressionScore]:
        """Return a score for every expression; a missing frame has 0, whatever the ground truth shows."""
        scores = []
        for expression in self._video.expressions:
            outlines = self.trace(expression)
            assert self._size is not None
            found = read_predicted(predictions, self._video, expression, self._size)
            absent = np.isin(self._video.frames, found.missing) & (not self.missing_is_empty)
            j, f = score(outlines, trace_columns(pack_columns(found.masks), self._size, self.void))
            named = self._name(
                expression,
                np.where(absent, 0.0, j),
                np.where(absent, 0.0, f),
                is_empty=not found.masks.any(),
                missing=found.missing,
            )
            notes = found.notes
            if expression.object_ids in self._nowhere:
                notes += (self._say_nowhere(expression),)
            read = partial(Runs.from_masks, found.masks)
            answered = self.complete(expression, replace(named, notes=notes), read)
            scores.append(answered.as_missing() if len(found.missing) == self._video.n_frames else answered)
        return scores

    def _say_nowhere(self, expression: Expression) -> str:
        name = ", ".join(expression.object_ids)
        return f"{self._video.id}/{expression.id}: no annotation holds object {name}; scored as absent"

    def _name(
        self, expression: Expression, j: Values, f: Values, *, is_empty: bool, missing: tuple[str, ...] = ()
    ) -> ExpressionScore:
        return ExpressionScore(
            self._video.id,
            expression.id,
            expression.object_ids,
            self._video.frames,
            j,
            f,
            missing,
            has_target=bool(expression.object_ids),
            is_empty=is_empty,
            kind=expression.kind,
        )


class ExpressionEvaluator(Evaluator):
    """Means over all expressions."""

    figures: ClassVar[tuple[Figure, ...]] = (J, F, J_AND_F)

    @property
    def open_judge(self) -> OpenJudge:
        """Expressions are judged one by one."""
        return ExpressionJudge


class TargetEvaluator(ExpressionEvaluator):
    """Means over all expressions, some of which refer to nothing: what MeViSv2 asks of them stands beside J and F."""

    figures: ClassVar[tuple[Figure, ...]] = (J, F, J_AND_F, J_AND_F_TARGETS, N_ACCURACY, T_ACCURACY, FINAL)
