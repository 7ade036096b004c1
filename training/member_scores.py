"""Validation of referring networks: the runner segments labelled videos, J&F judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from runners.base import ModelSettings, OptionValue
from runners.registry import build_runner
from rvos.evaluation import j_and_f
from training.data.layouts import open_videos
from training.data.videos import LabelledVideo, VideoFolder


@dataclass(frozen=True, slots=True)
class MemberValidation:
    """Videos to segment.

    Args:
        folder: labelled videos.
        options: of the runner.
    """

    folder: VideoFolder
    options: Mapping[str, OptionValue] = field(default_factory=dict)


def member_scores(
    runner: str,
    checkpoint: Path,
    settings: MemberValidation,
    *,
    device: torch.device,
    tokenizer: Path | None = None,
) -> Mapping[str, float]:
    """Return J, F and J&F (0 to 100), means over expressions; `J&F motion` and the like where expressions have kinds.

    Args:
        runner: name in `runners.registry`.
        tokenizer: folder of the tokeniser's files; None: the project's small word list.
    """
    model = ModelSettings(runner, checkpoint, tokenizer=tokenizer, keep_soft=False, options=settings.options)
    loaded = build_runner(model, device=device)
    regions, contours, kinds = [], [], []
    for video in open_videos(settings.folder):
        labels = video.labels(range(video.n_frames))
        expressions = [text for text in video.video.expressions if text.object_ids]
        for expression, sequence in zip(expressions, loaded.segment(video.video, expressions), strict=True):
            region, contour = j_and_f(labels == int(expression.object_ids[0]), sequence.masks())
            regions.append(float(region.mean()))
            contours.append(float(contour.mean()))
            kinds.append(kind_of(video, expression.id))
    both = 50 * (np.array(regions) + np.array(contours))
    scores = {"J": 100 * float(np.mean(regions)), "F": 100 * float(np.mean(contours)), "J&F": float(both.mean())}
    for kind in sorted(set(kinds) - {""}):
        scores[f"J&F {kind}"] = float(both[[k == kind for k in kinds]].mean())
    return scores


def kind_of(video: LabelledVideo, expression: str) -> str:
    """Return what decides an expression (synthetic data says so: appearance, place, relation, motion), or nothing."""
    return video.kinds.get(expression, "")
