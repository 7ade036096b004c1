"""What a recipe may say of ReferFormer and MUTR alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rvos.settings import Size


@dataclass(frozen=True, slots=True)
class ReferringOptions:
    """ReferFormer's own settings in a recipe; MUTR has them too.

    Args:
        short_side: of the resized frames, pixels; None: the official one.
        key_frame: "scores": first maximum of the per-frame scores, as officially; "confidence": the frame whose mask
            has the largest mean probability, for networks whose scores are the same in every frame.
        lower_case: lower-case expressions and join their words by single blanks, as in training.
        expressions_at_once: that pass through the network together; one at a time, as on the CPU where it is None,
            gives the same rounding as alone.
        frames_at_once: frames times expressions that the per-frame parts hold in memory at the same time.
        centre_only: look at all frames of a clip and answer for the middle one alone, T = 1 behind the backbone, as
            published for A2D- and JHMDB-Sentences; the other frames stay without a mask.
        all_queries: keep the masks and scores of all queries in that frame, which the published mAP ranks.
    """

    short_side: Size | None = None
    key_frame: Literal["scores", "confidence"] = "scores"
    lower_case: bool = False
    expressions_at_once: Size | None = None
    frames_at_once: Size = 8
    centre_only: bool = False
    all_queries: bool = False
