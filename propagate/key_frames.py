"""Key frames: where the propagation of a mask sequence starts.

A fusion states its key frames by its own score rule (`fusion.scores`), a member by its scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rvos.errors import ConfigError, InputError
from rvos.masks.mask_sequences import MaskSequence, SoftMaps

_LARGEST_RATIO = 2.0
_FOREGROUND = 0.5
_EPSILON = 1e-6


def pick_key_frame(sequence: MaskSequence) -> int:
    """Return the stated key frame of a sequence, else the first frame with the highest score.

    Raises:
        InputError: scores that are not finite.

    Source: seed paper, Eq. 2.
    """
    if not np.isfinite(sequence.scores).all():
        raise InputError(f"{sequence.video}/{sequence.expression}: scores are not finite; rerun the member")
    return sequence.pick_key_frame()


def pick_confident_frame(sequence: MaskSequence) -> int:
    """Return the frame that is surest of its mask: the highest mean probability inside it, the first on ties.

    Raises:
        InputError: no soft maps, or scores that are not finite.
    """
    if sequence.soft is None:
        raise InputError(
            f"{sequence.video}/{sequence.expression}: key frames by confidence need soft maps; set keep_soft: true "
            "where these masks are made"
        )
    confidence = _confidence(sequence.soft)
    return int(confidence.argmax()) if confidence.any() else pick_key_frame(sequence)


def pick_largest_frame(sequence: MaskSequence) -> int:
    """Return the frame with the largest mask, the first on ties; without any mask it is `pick_key_frame`.

    Raises:
        InputError: scores that are not finite.
    """
    areas = sequence.as_runs().areas()
    return int(areas.argmax()) if areas.any() else pick_key_frame(sequence)


def pick_steady_frame(sequence: MaskSequence) -> int:
    """Return the frame that scores well, is sure of its mask, and marks about as much as the other frames do.

    The frame with the best score often shows two objects as one, or half of one; its faults travel through the
    whole video. A frame's merit is its score, times the squared mean probability inside its mask where soft maps
    are there, times the ratio of its area to the median area (or the inverse, whichever is below 1).
    Frames without a mask are out; if all are, this is `pick_key_frame`. Scores are taken to be positive.
    """
    ranked = rank_steady_frames(sequence)
    return ranked[0] if ranked else pick_key_frame(sequence)


def rank_steady_frames(sequence: MaskSequence) -> list[int]:
    """Return the frames with a mask by the merit of `pick_steady_frame`, the best first; of equals the earlier.

    Raises:
        InputError: scores that are not finite.
    """
    pick_key_frame(sequence)
    areas = sequence.as_runs().areas().astype(np.float64)
    if not areas.any():
        return []
    ratio = np.maximum(areas, 1) / np.median(areas[areas > 0])
    merit = sequence.scores.astype(np.float64) * np.minimum(ratio, 1 / np.maximum(ratio, _EPSILON))
    if sequence.soft is not None:
        merit = merit * _confidence(sequence.soft) ** 2
    return [frame for frame in np.argsort(-merit, kind="stable").tolist() if areas[frame] > 0]


def _confidence(soft: SoftMaps) -> NDArray[np.float64]:
    """Return the mean probability inside the mask of every frame, `(T,)`; 0 without a mask."""
    values = soft.dequantise().astype(np.float64)
    probability = values if soft.kind == "probability" else 1 / (1 + np.exp(-values))
    marked = probability > _FOREGROUND
    inside = (probability * marked).sum(axis=(1, 2)) / np.maximum(marked.sum(axis=(1, 2)), 1)
    confidence: NDArray[np.float64] = inside
    return confidence


def pick_start_frames(sequence: MaskSequence, *, count: int = 1, skip_empty: bool = False) -> tuple[int, ...]:
    """Return the frames to start from, the key frame last; none if the key frame's mask is empty.

    Args:
        count: frames at most. Beside the key frame these are the best-scored frames whose mask is not empty and
            whose area is within a factor of two of the key frame's: a mask of another size is likely to be of
            another object.
        skip_empty: take the best-scored frame whose mask is not empty where the key frame's is; none if all are.
    """
    areas = sequence.as_runs().areas()
    ranked = [int(frame) for frame in np.argsort(-sequence.scores, kind="stable") if areas[frame] > 0]
    key = pick_key_frame(sequence)
    if areas[key] == 0:
        if not (skip_empty and ranked):
            return ()
        key = ranked[0]
    lowest, highest = areas[key] / _LARGEST_RATIO, areas[key] * _LARGEST_RATIO
    fitting = [frame for frame in ranked if frame != key and lowest <= areas[frame] <= highest]
    return (*fitting[: count - 1], key)


KeyRule = Literal["scores", "confidence", "steady", "largest", "consensus"]
KEY_RULES: Mapping[KeyRule, Callable[[MaskSequence], int]] = {
    "scores": pick_key_frame,
    "confidence": pick_confident_frame,
    "steady": pick_steady_frame,
    "largest": pick_largest_frame,
    "consensus": pick_steady_frame,
}


@dataclass(frozen=True, slots=True)
class KeySettings:
    """`key:` of a propagation: which frames it starts from.

    Args:
        rule: `scores`: the key frame that the masks state, or the best-scored frame (Eq. 2); `confidence`: the frame
            that is surest of its mask; `steady`: see `pick_steady_frame`; `largest`: the frame with the largest mask;
            `consensus`: the frame from which the masks of most other frames are found again, see `propagate.consensus`.
        of: node whose sequences decide; None: those that are propagated.
        references: frames to start from at most, the key frame among them, see `pick_start_frames`; for `consensus`
            the steadiest frames, each of which starts alone.

    Raises:
        ConfigError: an unknown rule, no reference, or a consensus of one frame or of another node.
    """

    rule: KeyRule = "scores"
    of: str | None = None
    references: int = 1

    def __post_init__(self) -> None:
        if self.rule not in KEY_RULES:
            raise ConfigError(f"key: rule {self.rule!r} is unknown; choose one of {', '.join(KEY_RULES)}")
        if self.references < 1:
            raise ConfigError(f"key: {self.references} references; give at least 1")
        if self.is_consensus and self.references < 2:
            raise ConfigError("key: consensus compares the starts from several frames; give references, at least 2")
        if self.is_consensus and self.of is not None:
            raise ConfigError("key: consensus looks at the propagated node's own masks; leave 'of' out")

    @property
    def reads_soft(self) -> bool:
        """Whether the rule looks at soft maps."""
        return self.rule in ("confidence", "steady", "consensus")

    @property
    def is_consensus(self) -> bool:
        """Whether several starts are compared; `pick` then gives the first of them."""
        return self.rule == "consensus"

    def pick(self, sequence: MaskSequence) -> int:
        """Return the key frame of a sequence by the rule.

        Raises:
            InputError: scores that are not finite, or soft maps that the rule needs are not there.
        """
        return KEY_RULES[self.rule](sequence)
