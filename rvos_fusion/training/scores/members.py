"""Validation of referring networks: the runner segments labelled videos, J&F judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from runners.base import ModelSettings, OptionValue
from runners.registry import build_runner
from rvos.evaluation.expressions import ExpressionEvaluator, ExpressionJudge
from rvos.evaluation.results import ExpressionScore
from rvos.evaluation.truth import IndexTruth
from rvos.masks.mask_sequences import MaskSequence
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.videos import LabelledVideo, VideoFolder
from rvos_fusion.training.logs.pictures import MaskPictures


@dataclass(frozen=True, slots=True)
class MemberValidation:
    """Labelled videos to segment, with options of the runner."""

    folder: VideoFolder
    options: Mapping[str, OptionValue] = field(default_factory=dict)


def member_scores(
    runner: str,
    checkpoint: Path,
    settings: MemberValidation,
    *,
    device: torch.device,
    tokenizer: Path | None = None,
    pictures: MaskPictures | None = None,
) -> Mapping[str, float]:
    """Return J, F and J&F (0 to 100), means over expressions; `J&F motion` and the like where expressions have kinds.

    Args:
        tokenizer: folder of the tokeniser's files; None: the project's small word list.
    """
    model = ModelSettings(runner, checkpoint, tokenizer=tokenizer, keep_soft=False, options=settings.options)
    loaded = build_runner(model, device=device)
    found: list[ExpressionScore] = []
    kinds: list[str] = []
    for video in open_videos(settings.folder):
        expressions = [text for text in video.video.expressions if text.object_ids]
        sequences = list(loaded.segment(video.video, expressions))
        found += judge_expressions(video, sequences)
        if pictures is not None:
            pictures.add_first(video, sequences)
        kinds += [video.kinds.get(expression.id, "") for expression in expressions]
    scores = measure(found)
    for kind in sorted(set(kinds) - {""}):
        own = [score.j_and_f for score, found_kind in zip(found, kinds, strict=True) if found_kind == kind]
        scores[f"J&F {kind}"] = 100 * float(np.mean(own))
    return scores


def measure(scores: Sequence[ExpressionScore]) -> dict[str, float]:
    """Return J, F and J&F (0 to 100) of at least one score."""
    return {figure.name: 100 * (figure.measure(scores) or 0.0) for figure in ExpressionEvaluator.figures}


def judge_expressions(video: LabelledVideo, sequences: Sequence[MaskSequence]) -> list[ExpressionScore]:
    """Return the scores of the expressions that have a sequence, as the evaluation of their data set gives them."""
    given = {sequence.expression for sequence in sequences}
    judged = replace(video.video, expressions=tuple(one for one in video.video.expressions if one.id in given))
    return ExpressionJudge(judged, IndexTruth(video.labels(range(video.n_frames)))).judge(sequences)
