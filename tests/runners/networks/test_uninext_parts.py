"""Fusion, proposals, heads and mask painting of UNINEXT against plain formulas."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from runners.networks.text.bert import Text, TextSizes
from runners.networks.uninext.association import follow
from runners.networks.uninext.config import ResNetSizes, UninextConfig
from runners.networks.uninext.denoising import DenoisingQueries, noisy_boxes
from runners.networks.uninext.fusion import BiAttention
from runners.networks.uninext.heads import LanguageMatch
from runners.networks.uninext.masks import double_aligned, full_size_logits, paint
from runners.networks.uninext.proposals import anchor_boxes, anchor_logits, usable_anchors

CONFIG = UninextConfig(
    backbone=ResNetSizes((1, 1, 1, 1), 4),
    text=TextSizes(20, 12, 1, 2, 8, 16),
    width=32,
    heads=2,
    fusion_width=24,
    fusion_heads=3,
    mask_channels=4,
)


def plain_fusion(layer: BiAttention, image: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """Return both directions for one frame `(S, C)` and real tokens only `(n, D)`, projection by projection."""
    heads, size = layer.heads, layer.v_proj.out_features // layer.heads
    q = (layer.v_proj(image) * size**-0.5).view(-1, heads, size)
    k = layer.l_proj(words).view(-1, heads, size)
    image_values = layer.values_v_proj(image).view(-1, heads, size)
    word_values = layer.values_l_proj(words).view(-1, heads, size)
    to_image, to_words = torch.zeros_like(q), torch.zeros_like(k)
    for head in range(heads):
        scores = q[:, head] @ k[:, head].T
        to_image[:, head] = scores.softmax(1) @ word_values[:, head]
        to_words[:, head] = scores.T.softmax(1) @ image_values[:, head]
    return layer.out_v_proj(to_image.flatten(1)), layer.out_l_proj(to_words.flatten(1))


def test_folded_fusion_equals_the_projections_one_by_one() -> None:
    torch.manual_seed(0)
    layer = BiAttention(CONFIG).eval()
    image, words = torch.randn(2, 7, 32), torch.randn(2, 5, 12)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    to_image, to_words = layer(image, Text(words, mask))
    for index, length in enumerate((5, 3)):
        expected_image, expected_words = plain_fusion(layer, image[index], words[index, :length])
        torch.testing.assert_close(to_image[index], expected_image, atol=2e-6, rtol=1e-5)
        torch.testing.assert_close(to_words[index, :length], expected_words, atol=2e-6, rtol=1e-5)


def test_pooled_text_is_the_mean_of_real_tokens() -> None:
    tokens = torch.tensor([[[1.0], [3.0], [50.0]]])
    assert Text(tokens, torch.tensor([[True, True, False]])).mean().item() == 2.0


def test_class_logit_follows_the_formula() -> None:
    torch.manual_seed(0)
    head = LanguageMatch(4, 6)
    for parameter in head.parameters():
        parameter.requires_grad_(False).normal_()
    queries, sentence = torch.randn(1, 3, 4), torch.randn(1, 6)
    unit = (sentence[0] / math.sqrt(float((sentence**2).sum()))).tolist()
    weight, bias = head.dot_product_projection_text.weight.tolist(), head.dot_product_projection_text.bias.tolist()
    direction = [
        sum(w * u / 2 for w, u in zip(row, unit, strict=True)) + b for row, b in zip(weight, bias, strict=True)
    ]
    for found, query in zip(head(queries, sentence)[0].tolist(), queries[0].tolist(), strict=True):
        match = sum(a * b for a, b in zip(query, direction, strict=True)) / math.exp(float(head.log_scale))
        shift = sum(a * b for a, b in zip(unit, head.bias_lang.tolist(), strict=True)) + float(head.bias0)
        assert found == pytest.approx(match + shift, abs=1e-5)


def test_class_logit_is_clamped() -> None:
    head = LanguageMatch(1, 1)
    with torch.no_grad():
        head.bias0.fill_(1e6)
    assert head(torch.zeros(1, 1, 1), torch.ones(1, 1)).item() == 50000.0


def test_anchors_start_at_pixel_centres_of_the_valid_part() -> None:
    # Level 0: 2 x 4 map of which 2 rows and 3 columns are valid.
    boxes = anchor_boxes(((2, 4), (1, 2)), torch.tensor([[[3.0, 2.0], [2.0, 1.0]]]))[0]
    torch.testing.assert_close(boxes[0], torch.tensor([0.5 / 3, 0.25, 0.05, 0.05]))
    torch.testing.assert_close(boxes[5], torch.tensor([0.5, 0.75, 0.05, 0.05]))
    torch.testing.assert_close(boxes[8], torch.tensor([0.25, 0.5, 0.1, 0.1]))


def test_padded_and_border_anchors_are_infinite() -> None:
    anchors = torch.tensor([[[0.5, 0.5, 0.05, 0.05], [0.005, 0.5, 0.05, 0.05], [0.5, 0.5, 0.05, 0.05]]])
    usable = usable_anchors(anchors, torch.tensor([[False, False, True]]))
    assert usable.tolist() == [[True, False, False]]
    logits = anchor_logits(anchors, usable)
    torch.testing.assert_close(logits[0, 0].sigmoid(), anchors[0, 0])
    assert torch.isinf(logits[0, 1:]).all()
    assert (logits[0, 1].sigmoid() == 1).all()


def test_painted_mask_follows_the_formula() -> None:
    torch.manual_seed(0)
    features, filters = torch.randn(1, 4, 3, 2), torch.randn(1, 2, 4 * 6 + 16 + 4 + 4 + 4 + 1)
    centres, sizes = torch.tensor([[[0.5, 0.25], [1.0, 0.0]]]), torch.tensor([[24.0, 15.0]])
    found = paint(features, filters, centres, sizes)
    for query, i, j in itertools.product(range(2), range(3), range(2)):
        numbers = filters[0, query].numpy().astype(np.float64)
        first, second, third = numbers[:24].reshape(4, 6), numbers[24:40].reshape(4, 4), numbers[40:44]
        biases = numbers[44:48], numbers[48:52], numbers[52]
        x = float(centres[0, query, 0]) * 15 - (8 * j + 4)
        y = float(centres[0, query, 1]) * 24 - (8 * i + 4)
        values = np.array([x, y, *features[0, :, i, j].tolist()])
        hidden = np.maximum(first @ values + biases[0], 0)
        hidden = np.maximum(second @ hidden + biases[1], 0)
        assert float(found[0, query, i, j]) == pytest.approx(third @ hidden + biases[2], rel=1e-4, abs=1e-4)


def test_doubling_keeps_the_stated_alignment() -> None:
    # Padded to (a, b, b), aligned to five samples (a, (a+b)/2, b, b, b), shifted by one and cut to four.
    logits = torch.tensor([[[[2.0, 6.0]]]])
    assert double_aligned(logits)[0, 0].tolist() == [[2.0, 2.0, 4.0, 6.0], [2.0, 2.0, 4.0, 6.0]]


def test_full_size_is_cropped_to_the_unpadded_frame() -> None:
    assert full_size_logits(torch.zeros(1, 1, 8, 16), (30, 53)).shape == (1, 1, 30, 53)


def test_denoising_groups_are_blind_to_each_other_and_matching_queries_to_all() -> None:
    queries = DenoisingQueries(torch.zeros(1, 4, 8), torch.zeros(1, 4, 4), group=2)
    hidden = queries.hidden(6)
    assert hidden.int().tolist() == [
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0, 0],
    ]


def test_noise_moves_corners_by_the_stated_amounts() -> None:
    box = torch.tensor([[0.5, 0.5, 0.2, 0.4]])
    noisy = noisy_boxes(box, 200, torch.Generator().manual_seed(0))[0]
    assert noisy.shape == (200, 2, 4)
    lower, upper = noisy[..., :2] - noisy[..., 2:] / 2, noisy[..., :2] + noisy[..., 2:] / 2
    half = torch.tensor([0.1, 0.2])
    for moved in ((lower - torch.tensor([0.4, 0.3])).abs() / half, (upper - torch.tensor([0.6, 0.7])).abs() / half):
        assert moved[:, 0].max() <= 1 + 1e-5
        assert moved[:, 0].max() > 0.9
        # Negatives may be clamped at the border of the frame only.
        inside = ((lower > 0) & (upper < 1))[:, 1]
        assert moved[:, 1][inside].min() >= 1 - 1e-5


def test_linking_follows_the_object_of_the_best_frame() -> None:
    scores = np.array([[0.6, 0.5], [0.9, 0.1], [0.7, 0.6]], np.float32)
    one, other = [1.0, 0.0], [-1.0, 0.1]
    embeddings = np.array([[other, one], [one, other], [other, one]], np.float32)
    assert follow(scores, embeddings).tolist() == [1, 0, 1]


def test_linking_without_rivals_keeps_the_best() -> None:
    scores = np.array([[0.6], [0.2]], np.float32)
    assert follow(scores, np.zeros((2, 1, 3), np.float32)).tolist() == [0, 0]
