"""UNINEXT's losses by plain loops, its matching by hand, and where the gradients go."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from runners.networks.text.bert import TextSizes
from runners.networks.uninext.config import ConvNextSizes, UninextConfig
from runners.networks.uninext.denoising import noisy_boxes
from runners.networks.uninext.masks import double_aligned, paint
from runners.networks.uninext.network import TrainingOutputs, Uninext
from rvos_fusion.training.criteria.uninext import (
    FrameTargets,
    UninextCriterion,
    UninextWeights,
    box_iou,
    denoising_losses,
)
from rvos_fusion.training.data.targets import ClipTargets, targets_of

LAYERS, FRAMES, QUERIES, TOKENS, NOISY = 2, 3, 12, 9, 4
HEIGHT, WIDTH, CHANNELS = 32, 64, 4
N_FILTERS = CHANNELS * (CHANNELS + 2) + CHANNELS * CHANNELS + CHANNELS + 2 * CHANNELS + 1


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def focal(logit: float, target: float) -> float:
    right = sigmoid(logit) if target else 1 - sigmoid(logit)
    return (0.25 if target else 0.75) * (1 - right) ** 2 * -math.log(right)


def iou(one: list[float], two: list[float]) -> tuple[float, float, float]:
    """Return IoU, union and area of the hull of boxes (cx, cy, w, h)."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = one, two
    wide = min(ax + aw / 2, bx + bw / 2) - max(ax - aw / 2, bx - bw / 2)
    high = min(ay + ah / 2, by + bh / 2) - max(ay - ah / 2, by - bh / 2)
    overlap = max(wide, 0) * max(high, 0)
    union = aw * ah + bw * bh - overlap
    hull = (max(ax + aw / 2, bx + bw / 2) - min(ax - aw / 2, bx - bw / 2)) * (
        max(ay + ah / 2, by + bh / 2) - min(ay - ah / 2, by - bh / 2)
    )
    return overlap / union, union, hull


def giou(one: list[float], two: list[float]) -> float:
    value, union, hull = iou(one, two)
    return value - (hull - union) / hull


def dice(logits: Tensor, mask: Tensor) -> float:
    p = [sigmoid(value) for value in logits.flatten().tolist()]
    y = mask.flatten().tolist()
    return (2 * sum(a * b for a, b in zip(p, y, strict=True)) + 1) / (sum(p) + sum(y) + 1)


@pytest.fixture
def targets() -> ClipTargets:
    """Three one-frame clips; the object is not visible in the last."""
    masks = torch.zeros(FRAMES, 1, HEIGHT, WIDTH, dtype=torch.bool)
    masks[0, 0, 4:20, 10:40] = True
    masks[1, 0, 10:30, 30:60] = True
    return targets_of(masks, torch.tensor([[HEIGHT, WIDTH]]).expand(FRAMES, -1))


@pytest.fixture
def outputs() -> TrainingOutputs:
    torch.manual_seed(0)
    return TrainingOutputs(
        class_logits=torch.randn(LAYERS, FRAMES, QUERIES),
        iou_logits=torch.randn(LAYERS, FRAMES, QUERIES),
        boxes=torch.rand(LAYERS, FRAMES, QUERIES, 4) * 0.4 + 0.25,
        entering=torch.rand(LAYERS, FRAMES, QUERIES, 4),
        filters=torch.randn(LAYERS, FRAMES, QUERIES, N_FILTERS) * 0.2,
        mask_features=torch.rand(FRAMES, CHANNELS, HEIGHT // 8, WIDTH // 8),
        sizes=torch.tensor([[HEIGHT, WIDTH]]).expand(FRAMES, -1).float(),
        proposal_logits=torch.randn(FRAMES, TOKENS),
        proposal_boxes=torch.rand(FRAMES, TOKENS, 4) * 0.4 + 0.25,
        shapes=((2, 3), (1, 2), (1, 1)),
        denoising_logits=torch.randn(LAYERS, FRAMES, NOISY),
        denoising_boxes=torch.rand(LAYERS, FRAMES, NOISY, 4) * 0.4 + 0.25,
    )


def expected_match(logits: list[float], boxes: list[list[float]], wanted: list[float]) -> set[int]:
    """Return the positives of one frame, found by sorting costs."""
    costs, overlaps = [], []
    for logit, box in zip(logits, boxes, strict=True):
        cost = focal(logit, 1) - focal(logit, 0) - 3 * giou(box, wanted)
        inside = abs(box[0] - wanted[0]) < wanted[2] / 2 and abs(box[1] - wanted[1]) < wanted[3] / 2
        near = abs(box[0] - wanted[0]) < 2.5 / 32 and abs(box[1] - wanted[1]) < 2.5 / 32
        cost += (0 if inside and near else 100) + (0 if inside or near else 10_000)
        costs.append(cost)
        overlaps.append(iou(box, wanted)[0])
    number = max(1, int(sum(sorted(overlaps)[-10:])))
    return set(sorted(range(len(costs)), key=costs.__getitem__)[:number])


def test_as_many_queries_are_positive_as_fit(outputs: TrainingOutputs, targets: ClipTargets) -> None:
    frames = FrameTargets.of(targets)
    found = UninextCriterion().match(outputs.class_logits[0], outputs.boxes[0], frames)
    for frame in range(2):
        expected = expected_match(
            outputs.class_logits[0, frame].tolist(), outputs.boxes[0, frame].tolist(), frames.boxes[frame, 0].tolist()
        )
        assert set(found[frame].nonzero()[:, 0].tolist()) == expected
    assert int(found[:2].sum()) > 2
    assert not found[2].any()


def test_a_centre_outside_both_regions_loses_to_any_other(targets: ClipTargets) -> None:
    frames = FrameTargets.of(targets)
    wanted = frames.boxes[0, 0]
    # The first overlaps more, but its centre is outside the object's box.
    outside = torch.stack([wanted[0] + wanted[2] * 0.51, wanted[1], wanted[2], wanted[3]])
    small = torch.cat([wanted[:2] + wanted[2:] * 0.3, wanted[2:] * 0.2])
    boxes = torch.stack([outside, small]).expand(FRAMES, -1, -1)
    assert iou(outside.tolist(), wanted.tolist())[0] > iou(small.tolist(), wanted.tolist())[0]
    found = UninextCriterion().match(torch.zeros(FRAMES, 2), boxes, frames)
    assert found[0, :, 0].tolist() == [False, True]


def test_every_object_of_an_expression_has_queries_and_no_query_two_objects(outputs: TrainingOutputs) -> None:
    masks = torch.zeros(FRAMES, 2, HEIGHT, WIDTH, dtype=torch.bool)
    masks[0, 0, 4:20, 10:40] = True
    masks[0, 1, 10:30, 30:60] = True
    masks[1, 1, 10:30, 30:60] = True
    both = targets_of(masks, torch.tensor([[HEIGHT, WIDTH]]).expand(FRAMES, -1))
    frames = FrameTargets.of(both)
    found = UninextCriterion().match(outputs.class_logits[0], outputs.boxes[0], frames)
    logits, boxes = outputs.class_logits[0, 0].tolist(), outputs.boxes[0, 0].tolist()
    alone = [expected_match(logits, boxes, frames.boxes[0, place].tolist()) for place in range(2)]
    matched = [set(found[0, :, place].nonzero()[:, 0].tolist()) for place in range(2)]
    assert matched[0] | matched[1] == alone[0] | alone[1]
    assert not matched[0] & matched[1]
    assert not found[1, :, 0].any()
    assert not found[2].any()


def test_the_dense_loss_marks_all_objects_of_an_expression(outputs: TrainingOutputs) -> None:
    masks = torch.zeros(FRAMES, 2, HEIGHT, WIDTH, dtype=torch.bool)
    masks[0, 0, 4:20, 10:40] = True
    masks[0, 1, 10:30, 45:60] = True
    sizes = torch.tensor([[HEIGHT, WIDTH]]).expand(FRAMES, -1)
    criterion = UninextCriterion(UninextWeights(dense=1.0))
    apart, united = (
        criterion.losses(outputs, targets_of(given, sizes))["dense_proposals"]
        for given in (masks, masks.any(1, keepdim=True))
    )
    torch.testing.assert_close(apart, united)


def positives(outputs: TrainingOutputs, targets: ClipTargets, layer: int) -> list[tuple[int, int]]:
    frames = FrameTargets.of(targets)
    found = []
    for frame in range(2):
        match = expected_match(
            outputs.class_logits[layer, frame].tolist(),
            outputs.boxes[layer, frame].tolist(),
            frames.boxes[frame, 0].tolist(),
        )
        found += [(frame, query) for query in sorted(match)]
    return found


@pytest.mark.parametrize(("layer", "suffix"), [(0, "_0"), (1, "")])
def test_every_term_of_a_layer(outputs: TrainingOutputs, targets: ClipTargets, layer: int, suffix: str) -> None:
    found = UninextCriterion().losses(outputs, targets)
    frames, chosen = FrameTargets.of(targets), positives(outputs, targets, layer)
    number = len(chosen)
    sums = dict.fromkeys(("class", "l1", "giou", "iou", "mask", "dice"), 0.0)
    for frame in range(FRAMES):
        for query in range(QUERIES):
            target = float((frame, query) in chosen)
            sums["class"] += focal(float(outputs.class_logits[layer, frame, query]), target)
    for frame, query in chosen:
        box, wanted = outputs.boxes[layer, frame, query].tolist(), frames.boxes[frame, 0].tolist()
        sums["l1"] += sum(abs(a - b) for a, b in zip(box, wanted, strict=True))
        sums["giou"] += 1 - giou(box, wanted)
        probability, overlap = sigmoid(float(outputs.iou_logits[layer, frame, query])), iou(box, wanted)[0]
        sums["iou"] -= overlap * math.log(probability) + (1 - overlap) * math.log(1 - probability)
        logits = painted(outputs, layer, frame, query)
        mask = targets.masks[frame, 0, 2::4, 2::4]
        pairs = list(zip(logits.flatten().tolist(), mask.flatten().tolist(), strict=True))
        sums["mask"] += sum(focal(logit, value) for logit, value in pairs) / len(pairs)
        sums["dice"] += 1 - dice(logits, mask.float())
    for name, value in sums.items():
        assert float(found[f"{name}{suffix}"]) == pytest.approx(value / number, rel=1e-4), name


def painted(outputs: TrainingOutputs, layer: int, frame: int, query: int) -> Tensor:
    """Return one query's mask at stride 4; the painting itself is tested beside the network."""
    logits = paint(
        outputs.mask_features[frame : frame + 1],
        outputs.filters[layer, frame, query][None, None],
        outputs.entering[layer, frame, query, :2][None, None],
        outputs.sizes[frame : frame + 1],
    )
    return double_aligned(logits)[0, 0]


def test_proposals_are_matched_one_to_one(outputs: TrainingOutputs, targets: ClipTargets) -> None:
    found, frames = UninextCriterion().losses(outputs, targets), FrameTargets.of(targets)
    chosen = {}
    for frame in range(2):
        costs = []
        for token in range(TOKENS):
            logit = float(outputs.proposal_logits[frame, token])
            box, wanted = outputs.proposal_boxes[frame, token].tolist(), frames.boxes[frame, 0].tolist()
            distance = sum(abs(a - b) for a, b in zip(box, wanted, strict=True))
            costs.append(2 * (focal(logit, 1) - focal(logit, 0)) + 5 * distance - 2 * giou(box, wanted))
        chosen[frame] = costs.index(min(costs))
    classes = sum(
        focal(float(outputs.proposal_logits[frame, token]), float(chosen.get(frame) == token))
        for frame in range(FRAMES)
        for token in range(TOKENS)
    )
    boxes = [outputs.proposal_boxes[frame, chosen[frame]].tolist() for frame in range(2)]
    wanted = frames.boxes[:2, 0].tolist()
    assert float(found["class_proposals"]) == pytest.approx(classes / 2, rel=1e-4)
    distance = sum(abs(a - b) for box, goal in zip(boxes, wanted, strict=True) for a, b in zip(box, goal, strict=True))
    assert float(found["l1_proposals"]) == pytest.approx(distance / 2, rel=1e-4)
    apart = sum(1 - giou(box, goal) for box, goal in zip(boxes, wanted, strict=True))
    assert float(found["giou_proposals"]) == pytest.approx(apart / 2, rel=1e-4)


def test_denoising_mends_even_and_rejects_odd_queries(outputs: TrainingOutputs, targets: ClipTargets) -> None:
    assert outputs.denoising_logits is not None
    assert outputs.denoising_boxes is not None
    frames = FrameTargets.of(targets)
    found = denoising_losses(outputs.denoising_logits[1], outputs.denoising_boxes[1], frames)
    places = [(frame, query) for frame in range(2) for query in range(NOISY)]
    classes = sum(focal(float(outputs.denoising_logits[1, f, q]), float(q % 2 == 0)) for f, q in places)
    apart = sum(
        1 - giou(outputs.denoising_boxes[1, f, q].tolist(), frames.boxes[f, 0].tolist())
        for f, q in places
        if q % 2 == 0
    )
    assert float(found["class"]) == pytest.approx(classes / 4, rel=1e-4)
    assert float(found["giou"]) == pytest.approx(apart / 4, rel=1e-4)


def test_dense_loss_marks_the_object_in_three_levels(outputs: TrainingOutputs, targets: ClipTargets) -> None:
    found = UninextCriterion(UninextWeights(dense=1.0)).losses(outputs, targets)
    assert "class_proposals" not in found
    masks, terms, start = targets.masks[:, 0].double(), [], 0
    for rows, columns in outputs.shapes:
        entropy, overlap = 0.0, 0.0
        for frame in range(FRAMES):
            values = []
            for i in range(rows):
                for j in range(columns):
                    # Cells whose borders fall between pixels take every pixel that they touch.
                    top, bottom = i * HEIGHT // rows, -(-(i + 1) * HEIGHT // rows)
                    left, right = j * WIDTH // columns, -(-(j + 1) * WIDTH // columns)
                    share = float(masks[frame, top:bottom, left:right].mean())
                    values.append((sigmoid(float(outputs.proposal_logits[frame, start + i * columns + j])), share))
            losses = [-(1 + 3 * y) * (y * math.log(p) + (1 - y) * math.log(1 - p)) for p, y in values]
            entropy += sum(losses) / len(losses) / FRAMES
            product = sum(p * y for p, y in values)
            overlap += (2 * product + 1) / (sum(p + y for p, y in values) + 1) / FRAMES
        terms.append(3 * entropy + 1 - overlap)
        start += rows * columns
    assert float(found["dense_proposals"]) == pytest.approx(sum(terms) / 3, rel=1e-4)


def test_total_is_the_weighted_sum(outputs: TrainingOutputs, targets: ClipTargets) -> None:
    weights = UninextWeights(classes=1.5, boxes=3.0, giou=0.5, iou=2.0, mask_focal=4.0, mask_dice=7.0)
    criterion = UninextCriterion(weights)
    plain, weighted = criterion.losses(outputs, targets), criterion(outputs, targets)
    factors = {"class": 1.5, "l1": 3.0, "giou": 0.5, "iou": 2.0, "mask": 4.0, "dice": 7.0}
    expected = sum(factors[name.split("_")[0]] * float(value) for name, value in plain.items())
    assert float(weighted["total"]) == pytest.approx(expected, rel=1e-5)
    assert len(plain) == LAYERS * 6 + 3 + LAYERS * 3


def test_a_batch_without_any_object_has_finite_losses(outputs: TrainingOutputs) -> None:
    masks = torch.zeros(FRAMES, 1, HEIGHT, WIDTH, dtype=torch.bool)
    empty = targets_of(masks, torch.tensor([[HEIGHT, WIDTH]]).expand(FRAMES, -1))
    found = UninextCriterion().losses(outputs, empty)
    assert all(bool(value.isfinite()) for value in found.values())
    assert float(found["dice"]) == 0
    assert float(found["class"]) > 0


def test_empty_boxes_overlap_nothing() -> None:
    assert float(box_iou(torch.zeros(4), torch.zeros(4))) == 0


SMALL = UninextConfig(
    backbone=ConvNextSizes((1, 1, 1, 1), (4, 4, 8, 8)),
    text=TextSizes(30, 8, 1, 2, 8, 16),
    width=32,
    heads=2,
    encoder_layers=1,
    decoder_layers=2,
    feed_forward=16,
    queries=5,
    fusion_width=16,
    fusion_heads=2,
)


def run_small(network: Uninext, targets: ClipTargets, *, denoise: bool = True) -> TrainingOutputs:
    torch.manual_seed(1)
    frames = torch.randn(FRAMES - 1, 3, 64, 64)
    padding = torch.zeros(FRAMES - 1, 64, 64, dtype=torch.bool)
    padding[:, HEIGHT:] = True
    ids = torch.tensor([[0, 5, 6, 2], [0, 7, 2, 1], [0, 8, 9, 2]])
    noisy = noisy_boxes(targets.boxes.flatten(0, 1), 2) if denoise else None
    sizes = torch.tensor([[HEIGHT, WIDTH]]).expand(FRAMES - 1, -1)
    owners = torch.tensor([0, 0, 1])
    result: TrainingOutputs = network(frames, padding, ids, (ids != 1).long(), sizes, owners, noisy)
    return result


def padded(targets: ClipTargets) -> ClipTargets:
    return dataclasses.replace(targets, masks=torch.nn.functional.pad(targets.masks, (0, 0, 0, 64 - HEIGHT)))


def small_network() -> Uninext:
    torch.manual_seed(0)
    network = Uninext(SMALL, auxiliary=True)
    network.reset_parameters()
    return network


def test_every_parameter_but_dead_ones_gets_a_gradient(targets: ClipTargets) -> None:
    network = small_network().train()
    with torch.no_grad():
        # Zeroed box layers would hide the gradient behind them.
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    UninextCriterion()(run_small(network, targets), padded(targets))["total"].backward()
    without = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert without == set()
    still = {name for name, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0}  # type: ignore[union-attr]
    # A bias that is added to all scores of a softmax changes nothing.
    assert all(name.endswith(("attention.self.key.bias", "l_proj.bias")) for name in still)
    assert all(
        bool(parameter.grad.isfinite().all()) for parameter in network.parameters() if parameter.grad is not None
    )


def test_boxes_look_forward_twice(targets: ClipTargets) -> None:
    network = small_network().train()
    with torch.no_grad():
        for parameter in network.detr.detr.bbox_embed.parameters():
            parameter.normal_(std=0.1)
    outputs = run_small(network, targets, denoise=False)
    outputs.boxes[1].sum().backward()
    first = network.detr.detr.bbox_embed[0].layers[2].bias
    assert float(first.grad.abs().sum()) > 0


def test_denoising_queries_do_not_change_the_matching_ones(targets: ClipTargets) -> None:
    network = small_network().train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    network.text_encoder.eval()
    plain, noisy = (run_small(network, targets, denoise=denoise) for denoise in (False, True))
    assert plain.denoising_logits is None
    assert noisy.denoising_logits is not None
    assert noisy.denoising_logits.shape == (2, FRAMES, 4)
    torch.testing.assert_close(plain.class_logits, noisy.class_logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(plain.boxes, noisy.boxes, atol=1e-5, rtol=1e-5)


def test_a_step_in_the_gradients_direction_lowers_the_loss(targets: ClipTargets) -> None:
    network = small_network().train()
    network.text_encoder.eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    criterion, totals = UninextCriterion(), []
    for _ in range(8):
        total = criterion(run_small(network, targets), padded(targets))["total"]
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.8 * totals[0]
