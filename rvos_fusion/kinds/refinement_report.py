"""What a refinement says of itself: which windows changed, which combination won, and why; plain values for JSON.

Source: docs/specs/refinement.md, section 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from propagate.refinement import Combination, Evidence, Refinement, WindowChoice
from rvos.language.nouns import Noun
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Expression


@dataclass(frozen=True, slots=True, eq=False)
class RefinedExpression:
    """What one sentence is refined from; `masklets` names those of the evidence, `presence` is its noun's."""

    expression: Expression
    noun: Noun
    coarse: MaskSequence
    evidence: Evidence
    masklets: tuple[str, ...]
    presence: NDArray[np.float32] | None = None


def build_report(given: RefinedExpression, found: Refinement) -> dict[str, Any]:
    """Return the record of one sentence."""
    # 1 - IoU of coarse and refined mask of every frame.
    changes = [
        0.0 if chosen is None else 1 - float(given.evidence.compose(chosen).ious[frame])
        for frame, chosen in enumerate(found.frames)
    ]
    n_refined = sum(window.reason == "refined" for window in found.windows)
    return {
        "expression": given.expression.id,
        "text": given.expression.text,
        "noun": given.noun.text,
        "noun_source": given.noun.source,
        "phrase": given.noun.phrase,
        "n_masklets": len(given.masklets),
        "windows": [_describe_window(window, given.coarse.frames, given.masklets) for window in found.windows],
        "totals": {
            "windows_refined": n_refined / len(found.windows),
            "windows_kept": 1 - n_refined / len(found.windows),
            "frames_changed": float(np.mean([change > 0 for change in changes])),
            "mean_change": float(np.mean(changes)),
        },
    }


def _describe_window(window: WindowChoice, frames: Sequence[str], masklets: Sequence[str]) -> dict[str, Any]:
    def name(combination: Combination) -> list[str]:
        return [masklets[index] for index in combination]

    return {
        "first": frames[window.first],
        "last": frames[window.last],
        "votes": [{"masklets": name(combination), "frames": count} for combination, count in window.votes],
        "selected": name(window.selected),
        "tie": window.tie,
        "reason": window.reason,
        "iou": window.iou,
    }
