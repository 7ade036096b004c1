"""What SAM 3's tracker is taught: an object of a clip, carried from its first frame by the tracker's own memory.

Source: docs/specs/sam3.md, sections 5 and 6.
"""

from __future__ import annotations

from typing import Any

import torch
from sam3_toolkit.images import enlarge, shrink
from sam3_toolkit.session import TrackedObject, TrackerFrame
from sam3_toolkit.tracker import Found, ImageMaps, Tracker
from torch import Tensor
from torch.nn import functional as F

from rvos_fusion.training.criteria.terms import dice_coefficient

_OBJECT = 3.0
"""Weight of the pixels inside an object."""


class TaughtTracker(Tracker):
    """Keeps what the decoder said last, whose quality the session takes as a plain number."""

    decoded: Any

    def _decode(self, maps: ImageMaps, coarse: Tensor, **prompt: Any) -> Found:
        self.decoded = self.model._single_frame_forward(image_embeddings=[*maps.fine, coarse], **prompt)
        out = self.decoded
        return Found(out.pred_masks, out.object_score_logits, float(out.iou_scores.detach().max()), out.object_pointer)


def carry(tracker: TaughtTracker, frames: list[TrackerFrame], truth: Tensor, *, by_box: bool) -> dict[str, Tensor]:
    """Return the losses of an object, masks `(T, H, W)` bool, from its mask or box in the first frame on."""
    walker = TrackedObject(tracker)
    losses = []
    if by_box:
        walker.start_from_box(frames[0], _box(truth[0]))
        losses.append(_judge(tracker, walker.prompted(frames[0]).logits, truth[0]))
    else:
        walker.start_from_mask(frames[0], truth[0])
    for frame, mask in zip(frames[1:], truth[1:], strict=True):
        found = walker.step(frame)
        losses.append(_judge(tracker, found.logits, mask))
        walker.commit(enlarge(found.logits, frame.size)[0, 0] > 0)
    return {name: torch.stack([one[name] for one in losses]).mean() for name in losses[0]}


def _judge(tracker: TaughtTracker, logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Return the losses of one frame; where the tracker says that nothing is there, its mask teaches nothing."""
    target = shrink(mask[None, None].float(), logits.shape[-1])
    score = tracker.decoded.object_score_logits.reshape(())
    is_there = mask.any().float()
    losses = {"there": F.binary_cross_entropy_with_logits(score, is_there)}
    if is_there and score > 0:
        weight = 1 + (_OBJECT - 1) * target
        losses["carried"] = 5 * F.binary_cross_entropy_with_logits(logits, target, weight=weight)
        losses["carried_dice"] = 1 - dice_coefficient(logits.sigmoid(), target).mean()
        drawn, wanted = logits > 0, target > 0.5
        iou = (drawn & wanted).sum() / (drawn | wanted).sum().clamp(min=1)
        losses["quality"] = (tracker.decoded.iou_scores.max() - iou) ** 2
    else:
        losses |= dict.fromkeys(("carried", "carried_dice", "quality"), logits.new_zeros(()))
    return losses


def _box(mask: Tensor) -> Tensor:
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    return torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
