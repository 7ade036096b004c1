"""The losses of ReferFormer and MUTR: targets, gradients, clips without the object."""

from __future__ import annotations

import pytest
import torch

from runners.networks.parts.referring import Predictions
from rvos.errors import InputError
from rvos_fusion.training.criteria.referformer import ReferFormerCriterion, ReferFormerWeights, sampled_masks
from rvos_fusion.training.data.targets import ClipTargets, targets_of


def predictions(*, clips: int = 2, frames: int = 3, queries: int = 4) -> Predictions:
    torch.manual_seed(0)
    return Predictions(
        torch.randn(2, clips, frames, queries, 1).requires_grad_(),
        torch.rand(2, clips, frames, queries, 4).requires_grad_(),
        torch.randn(2, clips, frames, queries, 8, 16).requires_grad_(),
    )


def targets(*, visible: bool = True) -> ClipTargets:
    masks = torch.zeros(2, 3, 32, 64, dtype=torch.bool)
    if visible:
        masks[:, :, 4:20, 8:40] = True
    return targets_of(masks, torch.tensor([[32, 64], [30, 50]]))


def test_masks_are_sampled_from_the_third_pixel_on() -> None:
    masks = torch.arange(8 * 8).view(1, 1, 8, 8) % 2 == 0
    masks[0, 0, 2, 6] = True
    assert sampled_masks(masks, (2, 2))[0, 0].tolist() == [[1, 1], [1, 1]]


def test_frames_that_are_not_padded_are_refused() -> None:
    with pytest.raises(InputError, match="multiple of 32"):
        sampled_masks(torch.zeros(1, 1, 30, 30, dtype=torch.bool), (8, 8))


def test_the_total_is_the_weighted_sum_of_all_layers() -> None:
    outputs, criterion = predictions(), ReferFormerCriterion()
    plain, weighted = criterion.losses(outputs, targets()), criterion(outputs, targets())
    factors = {"loss_ce": 2, "loss_bbox": 5, "loss_giou": 2, "loss_mask": 2, "loss_dice": 5}
    assert set(plain) == set(factors) | {f"{name}_0" for name in factors}
    expected = sum(factors[name.removesuffix("_0")] * value for name, value in plain.items())
    assert torch.isclose(weighted["total"], torch.as_tensor(expected))


def test_the_cheapest_query_is_matched() -> None:
    outputs, given = predictions(), targets()
    logits, boxes, masks = (part[-1].detach().clone() for part in (outputs.logits, outputs.boxes, outputs.masks))
    sampled = sampled_masks(given.masks, (8, 16))
    for clip, query in ((0, 2), (1, 0)):
        boxes[clip, :, query] = given.boxes[clip]
        masks[clip, :, query] = 10 * (2 * sampled[clip] - 1)
        logits[clip, :, query] = 4.0
    assert ReferFormerCriterion().match((logits, boxes, masks), given, sampled).tolist() == [2, 0]


def test_every_prediction_gets_a_gradient() -> None:
    outputs = predictions()
    ReferFormerCriterion()(outputs, targets())["total"].backward()
    assert outputs.logits.grad is not None
    assert bool((outputs.logits.grad != 0).all())
    assert outputs.boxes.grad is not None
    assert outputs.masks.grad is not None
    # Boxes and masks of the matched query only.
    assert (outputs.masks.grad.abs().sum((0, 2, 4, 5)) > 0).sum(1).tolist() in ([1, 1], [1, 2], [2, 1], [2, 2])


def test_clips_without_the_object_have_finite_losses() -> None:
    losses = ReferFormerCriterion()(predictions(), targets(visible=False))
    assert all(bool(value.isfinite()) for value in losses.values())


def test_weights_are_settings() -> None:
    outputs = predictions()
    without = ReferFormerCriterion(ReferFormerWeights(mask_dice=0.0))(outputs, targets())
    assert without["loss_dice"] == 0
