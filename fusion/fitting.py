"""Fitting the few learned numbers of fusion on labelled videos: logistics, cross-validated over videos.

Source: same_object.md, sections 2 and 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fusion.assignment import ScoreFit
from fusion.runs import HITS_OF_EVEN_ODDS, SLOPE
from rvos.errors import FusionError
from rvos.settings import count

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]
Video = TypeVar("Video")
Fit = TypeVar("Fit")

LEAST_VIDEOS = 20
_FOLDS = 5
_RIDGE = 1.0
_STEPS = 50
_SMALL = 1e-10


@dataclass(frozen=True, slots=True)
class Logistic:
    """A chance from features: the weights of the log odds, and the log odds where all features are 0."""

    weights: tuple[float, ...]
    intercept: float

    def chances(self, features: Values) -> Values:
        """Return the chance of every row of `(N, K)` features, in [0, 1]."""
        odds = np.clip(features @ np.asarray(self.weights, np.float64) + self.intercept, -30, 30)
        return np.asarray(1 / (1 + np.exp(-odds)), np.float64)


def fit_logistic(features: Values, labels: Flags) -> Logistic:
    """Return the logistic of `(N, K)` features and `(N,)` labels, by Newton steps.

    A small penalty on the weights of the standardised features keeps separable data finite.

    Raises:
        FusionError: features that are not finite, or labels that are all alike.
    """
    if not np.isfinite(features).all():
        row, column = np.argwhere(~np.isfinite(features))[0]
        raise FusionError(f"feature {column + 1} of row {row + 1} is {features[row, column]}; make the inputs again")
    if not len(labels) or labels.all() or not labels.any():
        raise FusionError("all labels are alike, so nothing can be learned; fit on more videos")
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    scaled = np.hstack([(features - mean) / spread, np.ones((len(features), 1))])
    penalty = np.diag([_RIDGE] * features.shape[1] + [0.0])
    weights = np.zeros(features.shape[1] + 1)
    weights[-1] = log(labels.mean() / (1 - labels.mean()))
    for _ in range(_STEPS):
        chances = 1 / (1 + np.exp(-np.clip(scaled @ weights, -30, 30)))
        gradient = scaled.T @ (chances - labels) + penalty @ weights
        curvature = (scaled * (chances * (1 - chances))[:, None]).T @ scaled + penalty
        step = np.linalg.solve(curvature + 1e-9 * np.eye(len(weights)), gradient)
        weights = weights - step
        if np.abs(step).max() < _SMALL:
            break
    slopes = weights[:-1] / spread
    return Logistic(tuple(slopes.tolist()), float(weights[-1] - mean @ slopes))


def fit_scores(scores: Sequence[float], is_right: Sequence[bool], presence: Sequence[float] = ()) -> ScoreFit:
    """Return the chance of being right from a member's mean scores; its share of right ones where that is all alike.

    Args:
        presence: the largest of each sequence's frames, where a detector says it; none: it counts nothing.
    """
    labels = np.asarray(is_right, np.bool_)
    if len(labels) and (labels.all() or not labels.any()):
        share = (labels.sum() + 1) / (len(labels) + 2)
        return ScoreFit(0.0, log(share / (1 - share)))
    columns = [scores, presence] if len(presence) else [scores]
    fit = fit_logistic(np.asarray(columns, np.float64).T, labels)
    return ScoreFit(fit.weights[0], fit.intercept, *fit.weights[1:])


@dataclass(frozen=True, slots=True)
class PairFit:
    """What the share of hits says about two sentences, without the prior: log odds of one object, 0 at `even`."""

    slope: float = SLOPE
    even: float = HITS_OF_EVEN_ODDS


def fit_pairs(hits: Sequence[float], is_same: Sequence[bool]) -> PairFit:
    """Return the fit of a video's pairs. Raises FusionError: hits not finite, or that tell nothing, or the contrary."""
    labels = np.asarray(is_same, np.bool_)
    fit = fit_logistic(np.asarray(hits, np.float64)[:, None], labels)
    prior = log(labels.mean() / (1 - labels.mean()))
    if fit.weights[0] <= 0:
        raise FusionError("sentences of one object are not hit more often than others; check the members")
    even = (prior - fit.intercept) / fit.weights[0]
    return PairFit(fit.weights[0], min(max(even, 0.0), 1.0))


def cross_validate(
    videos: Sequence[Video],
    fit: Callable[[Sequence[Video]], Fit],
    judge: Callable[[Fit, Video], Values],
    *,
    force: bool = False,
) -> tuple[Fit, list[Values], list[Values]]:
    """Return the fit of all videos, what it gives each video, and what fits of other videos give each video.

    Whole videos are held out, never sentences: those of one video look alike. Video i belongs to fold i mod 5.

    Args:
        judge: values of a video's sentences under a fit.
        force: fit on fewer than 20 videos too.

    Raises:
        FusionError: too few videos.
    """
    if len(videos) < (2 if force else LEAST_VIDEOS):
        raise FusionError(
            f"{count(len(videos), 'video')} to fit on, expected at least {2 if force else LEAST_VIDEOS}; "
            + ("add videos" if force else "add videos, or take the risk with --force")
        )
    everything = fit(videos)
    fitted = [judge(everything, video) for video in videos]
    held_out: list[Values] = [np.zeros(0)] * len(videos)
    n_folds = min(_FOLDS, len(videos))
    for fold in range(n_folds):
        others = fit([video for place, video in enumerate(videos) if place % n_folds != fold])
        for place in range(fold, len(videos), n_folds):
            held_out[place] = judge(others, videos[place])
    return everything, fitted, held_out
