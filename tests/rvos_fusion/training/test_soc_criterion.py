"""SOC's losses by plain loops in float64, its match by trying every query, and where the gradients go."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from runners.networks.backbones.table import BackboneConfig
from runners.networks.soc.network import SOC
from runners.networks.soc.types import LayerOutput, SOCConfig, SOCOutputs
from runners.networks.text.text_encoder import TextConfig
from rvos.settings import load
from rvos_fusion.training.criteria.soc import SOCCriterion, SOCWeights
from rvos_fusion.training.data.targets import ClipTargets, targets_of

CLIPS, FRAMES, QUERIES, CHANNELS = 2, 3, 4, 256
Array = NDArray[np.float64]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def focal(logit: float, target: float) -> float:
    p = sigmoid(logit)
    right = p if target else 1 - p
    return (0.25 if target else 0.75) * (1 - right) ** 2 * -math.log(right)


def dice(logits: Array, mask: Array) -> float:
    p = [sigmoid(value) for value in logits.flatten()]
    y = mask.flatten()
    return (2 * sum(a * b for a, b in zip(p, y, strict=True)) + 1) / (sum(p) + sum(y) + 1)


def giou(one: Array, two: Array) -> float:
    (ax, ay, aw, ah), (bx, by, bw, bh) = one, two
    left, right = max(ax - aw / 2, bx - bw / 2), min(ax + aw / 2, bx + bw / 2)
    top, bottom = max(ay - ah / 2, by - bh / 2), min(ay + ah / 2, by + bh / 2)
    intersection = max(right - left, 0) * max(bottom - top, 0)
    union = aw * ah + bw * bh - intersection
    hull = (max(ax + aw / 2, bx + bw / 2) - min(ax - aw / 2, bx - bw / 2)) * (
        max(ay + ah / 2, by + bh / 2) - min(ay - ah / 2, by - bh / 2)
    )
    return (intersection + 1e-6) / (union + 1e-6) - (hull - union + 1e-6) / (hull + 1e-6)


def upsampled(logits: Array, height: int, width: int) -> Array:
    """Bilinear, pixel centres at halves, edges repeated."""
    rows, columns = logits.shape
    out = np.zeros((height, width))
    for i, j in itertools.product(range(height), range(width)):
        y = min(max((i + 0.5) * rows / height - 0.5, 0), rows - 1)
        x = min(max((j + 0.5) * columns / width - 0.5, 0), columns - 1)
        y0, x0 = int(y), int(x)
        y1, x1 = min(y0 + 1, rows - 1), min(x0 + 1, columns - 1)
        upper = logits[y0, x0] * (1 - x + x0) + logits[y0, x1] * (x - x0)
        lower = logits[y1, x0] * (1 - x + x0) + logits[y1, x1] * (x - x0)
        out[i, j] = upper * (1 - y + y0) + lower * (y - y0)
    return out


def make_batch(classes: int, frames: int = FRAMES) -> tuple[SOCOutputs, ClipTargets]:
    torch.manual_seed(classes + frames)
    layers = tuple(
        LayerOutput(
            torch.randn(CLIPS, frames, QUERIES, classes),
            torch.rand(CLIPS, frames, QUERIES, 4),
            torch.randn(CLIPS, frames, QUERIES, 3, 4),
            torch.randn(CLIPS, QUERIES, CHANNELS),
        )
        for _ in range(2)
    )
    masks = torch.rand(CLIPS, frames, 6, 9) > 0.6
    if frames > 1:
        masks[0, 1] = False
    labels = torch.arange(CLIPS) % classes
    return SOCOutputs(layers, torch.randn(CLIPS, CHANNELS)), targets_of(masks, torch.tensor([[6, 9]] * CLIPS), labels)


def expected_terms(layer: LayerOutput, sentence: Array, targets: ClipTargets, match: list[int]) -> dict[str, float]:
    logits, boxes, masks, clip_queries = (
        value.double().numpy() for value in (layer.class_logits, layer.boxes, layer.mask_logits, layer.clip_queries)
    )
    given, given_boxes = targets.masks.double().numpy(), targets.boxes.double().numpy()
    clips, frames, queries, classes = logits.shape
    terms = dict.fromkeys(("loss_sigmoid_focal", "loss_dice", "loss_con", "loss_cls", "loss_bbox", "loss_giou"), 0.0)
    for b, t in itertools.product(range(clips), range(frames)):
        resized = upsampled(masks[b, t, match[b]], 6, 9)
        pixels = [focal(logit, y) for logit, y in zip(resized.flatten(), given[b, t].flatten(), strict=True)]
        terms["loss_sigmoid_focal"] += sum(pixels) / len(pixels)
        terms["loss_dice"] += 1 - dice(resized, given[b, t])
        terms["loss_bbox"] += float(np.abs(boxes[b, t, match[b]] - given_boxes[b, t]).sum())
        terms["loss_giou"] += 1 - giou(boxes[b, t, match[b]], given_boxes[b, t])
        for q, k in itertools.product(range(queries), range(classes)):
            label = int(targets.labels[b]) if classes > 1 else 0
            positive = q == match[b] and k == label and bool(targets.visible[b, t])
            terms["loss_cls"] += focal(logits[b, t, q, k], float(positive))
    terms = {name: value / (clips * frames) for name, value in terms.items()}
    for b in range(clips):
        similar = [float(clip_queries[b, q] @ sentence[b]) / 256 for q in range(queries)]
        terms["loss_con"] -= (similar[match[b]] - math.log(sum(math.exp(value) for value in similar))) / clips
    return terms


def expected_cost(layer: LayerOutput, targets: ClipTargets, clip: int, query: int) -> float:
    frames = targets.visible.shape[1]
    seen = [t for t in range(frames) if targets.visible[clip, t] or frames == 1]
    label = int(targets.labels[clip]) if layer.class_logits.shape[-1] > 1 else 0
    classes = 0.0
    for t in seen:
        p = sigmoid(float(layer.class_logits[clip, t, query, label]))
        classes += 0.25 * (1 - p) ** 2 * -math.log(p + 1e-8) - 0.75 * p**2 * -math.log(1 - p + 1e-8)
    cost = 2 * classes / len(seen)
    for t in range(frames):
        resized = upsampled(layer.mask_logits[clip, t, query].double().numpy(), 6, 9)
        box, given = layer.boxes[clip, t, query].double().numpy(), targets.boxes[clip, t].double().numpy()
        cost += (-5 * dice(resized, targets.masks[clip, t].double().numpy())) / frames
        cost += (2 * np.abs(box - given).sum() - 2 * giou(box, given)) / frames
    return float(cost)


@pytest.mark.parametrize(("classes", "frames"), [(1, 3), (5, 3), (1, 1)], ids=["one-class", "classes", "image"])
def test_every_loss_term_agrees_with_plain_loops(classes: int, frames: int) -> None:
    outputs, targets = make_batch(classes, frames)
    criterion = SOCCriterion()
    found = criterion.losses(outputs, targets)
    for index, suffix in ((1, ""), (0, "_0")):
        layer = outputs.layers[index]
        costs = [[expected_cost(layer, targets, b, q) for q in range(QUERIES)] for b in range(CLIPS)]
        match = [int(np.argmin(row)) for row in costs]
        assert criterion.match(layer, targets).tolist() == match
        expected = expected_terms(layer, outputs.sentence.double().numpy(), targets, match)
        for name, value in expected.items():
            assert found[f"{name}{suffix}"].item() == pytest.approx(value, rel=2e-5), f"{name}{suffix}"


def test_total_is_the_sum_with_the_stated_coefficients() -> None:
    outputs, targets = make_batch(1)
    criterion = SOCCriterion()
    plain, weighted = criterion.losses(outputs, targets), criterion(outputs, targets)
    coefficients = {"focal": 2, "dice": 5, "con": 1, "cls": 2, "bbox": 2, "giou": 2}
    total = 0.0
    for name, value in plain.items():
        factor = next(factor for part, factor in coefficients.items() if part in name)
        assert weighted[name].item() == pytest.approx(factor * value.item(), rel=1e-6)
        total += factor * value.item()
    assert weighted["total"].item() == pytest.approx(total, rel=1e-6)
    assert len(plain) == 12


def test_queries_of_frames_meet_the_sentence_one_frame_at_a_time() -> None:
    outputs, targets = make_batch(1)
    frames = torch.randn(CLIPS, FRAMES, QUERIES, CHANNELS)
    criterion = SOCCriterion()
    plain = dataclasses.replace(outputs.layers[0], clip_queries=frames)
    match = torch.arange(CLIPS) % QUERIES
    alone = [
        criterion.layer_losses(dataclasses.replace(plain, clip_queries=frames[:, t]), outputs.sentence, targets, match)[
            "loss_con"
        ]
        for t in range(FRAMES)
    ]
    found = criterion.layer_losses(plain, outputs.sentence, targets, match)["loss_con"]
    torch.testing.assert_close(found, torch.stack(alone).mean())


def test_the_papers_weights_go_by_name_and_single_ones_go_before_them() -> None:
    def focal_and_dice(**weights: Any) -> tuple[float, float]:
        losses = load(SOCWeights, weights, where="test").losses()
        return losses["loss_sigmoid_focal"], losses["loss_dice"]

    assert focal_and_dice() == (2, 5)
    assert focal_and_dice(published="paper") == (5, 2)
    assert focal_and_dice(published="paper", mask_dice=3) == (5, 3)


def test_a_clip_without_its_object_has_finite_losses() -> None:
    outputs, targets = make_batch(1)
    empty = targets_of(torch.zeros_like(targets.masks), torch.tensor([[6, 9]] * CLIPS))
    assert all(value.isfinite() for value in SOCCriterion()(outputs, empty).values())


def small_network() -> SOC:
    torch.manual_seed(0)
    config = SOCConfig(
        backbone=BackboneConfig("video_swin", 8, (1, 1, 1, 1), (1, 2, 4, 8), drop_path=0.0),
        text=TextConfig(vocab_size=20, hidden=16, layers=1, heads=2, intermediate=32, max_tokens=10, dropout=0.0),
        channels=32,
        heads=4,
        queries=3,
        encoder_layers=1,
        decoder_layers=2,
        feedforward=32,
        dropout=0.0,
        voc_encoder_layers=1,
        voc_decoder_layers=1,
        pyramid_widths=(16, 16, 16, 8, 8),
    )
    return SOC(config)


@pytest.mark.parametrize("frozen", [False, True], ids=["all", "frozen-text"])
def test_gradients_reach_every_trainable_parameter_and_no_frozen_one(frozen: bool) -> None:
    network = small_network().train()
    with torch.no_grad():
        # As after the first steps: heads and biases start at zero, which stops the gradients around them.
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    if frozen:
        network.text_encoder.requires_grad_(False)
    masks = torch.zeros(1, 2, 72, 100, dtype=torch.bool)
    masks[:, :, 8:30, 10:35] = True
    ids = torch.tensor([[0, 7, 9, 2]])
    sizes = torch.tensor([[72, 100]])
    outputs = network(torch.randn(1, 2, 3, 72, 100), None, ids, torch.ones_like(ids), sizes)
    SOCCriterion()(outputs, targets_of(masks, sizes))["total"].backward()
    idle = {name for name, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())}
    # The queries of the first decoder layer start at zero: there only rounding reaches the weights.
    assert idle <= {"transformer.decoder.layers.0.self_attn.in_proj_weight"}
    untouched = {name for name, p in network.named_parameters() if p.grad is None}
    assert untouched == {name for name, _ in network.named_parameters() if frozen and name.startswith("text_encoder.")}
