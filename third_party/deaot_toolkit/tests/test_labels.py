"""Label maps, groups of more objects than identities, and the size rule."""

from __future__ import annotations

import pytest
import torch

from deaot_toolkit import (
    Engine,
    EngineError,
    EngineGroup,
    build,
    merge_groups,
    network_size,
    prepare_image,
    resize_labels,
    split_labels,
)
from deaot_toolkit.identities import one_hot
from deaot_toolkit.transformer.attention import attend_heads, attend_wide
from deaot_toolkit.transformer.positions import sine_positions

TINY = {"embedding_dim": 32, "heads": 2, "feed_forward_dim": 64, "max_objects": 2}


def test_labels_above_the_identities_set_no_channel() -> None:
    shares = one_hot(torch.tensor([[[0, 1, 2, 255]]]), 2)
    assert shares[0, :, 0].tolist() == [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]


def test_labels_are_resized_to_the_cell_that_float32_picks() -> None:
    # 150 to 145 rows: exact arithmetic would take other source rows here and there.
    labels = torch.arange(150).view(1, 150, 1)
    scale = torch.tensor(150.0) / torch.tensor(145.0)
    expected = (torch.arange(145).float() * scale).floor().long()
    assert torch.equal(resize_labels(labels, (145, 1))[0, :, 0], expected)


def test_labels_are_split_and_renumbered() -> None:
    first, second = split_labels(torch.tensor([[[0, 1, 10, 11, 13, 255]]]), 2, 10)
    assert first.tolist() == [[[0, 1, 10, 0, 0, 0]]]
    assert second.tolist() == [[[0, 0, 0, 1, 3, 0]]]


def test_merged_probabilities_follow_the_rule() -> None:
    first = torch.tensor([0.5, 0.3, 0.2]).log().view(1, 3, 1, 1)
    second = torch.tensor([0.4, 0.6, 0.0]).clamp(1e-12).log().view(1, 3, 1, 1)
    merged = merge_groups([first, second]).sigmoid().flatten()
    torch.testing.assert_close(merged, torch.tensor([0.2, 0.3, 0.2, 0.6, 1e-5]), atol=1e-6, rtol=1e-4)


def test_a_group_gives_every_engine_its_own_objects() -> None:
    torch.manual_seed(0)
    network = build("small-aot", TINY)
    frames = [network.encode(torch.randn(1, 3, 49, 49)) for _ in range(3)]
    labels = torch.zeros(1, 49, 49, dtype=torch.long)
    labels[:, :20, :20], labels[:, :20, 25:], labels[:, 25:, :20] = 1, 2, 3
    group = EngineGroup(network)
    group.reference(frames[0], labels, 3)
    alone = Engine(network)
    alone.reference(frames[0], (labels == 3).long(), 1)
    logits = group.propagate(frames[1])
    assert len(logits) == 2
    torch.testing.assert_close(logits[1], alone.propagate(frames[1]))
    assert group.merge(logits, (40, 40)).shape == (1, 5, 40, 40)
    other = group.copy()
    group.remember(labels)
    alone.remember((labels == 3).long())
    torch.testing.assert_close(group.propagate(frames[2])[1], alone.propagate(frames[2]))
    assert other.engines[0].n_memory_frames == 1


def test_an_object_that_appears_may_need_another_engine() -> None:
    network = build("small-deaot", TINY)
    frames = [network.encode(torch.randn(1, 3, 49, 49)) for _ in range(2)]
    labels = torch.zeros(1, 49, 49, dtype=torch.long)
    labels[:, :20] = 1
    group = EngineGroup(network)
    group.reference(frames[0], labels, 1)
    labels[:, 30:] = 3
    group.propagate(frames[1])
    group.reference(frames[1], labels, 3)
    group.remember(labels)
    assert [engine.n_memory_frames for engine in group.engines] == [2, 1]
    group.reset()
    with pytest.raises(EngineError, match="no reference"):
        group.propagate(frames[0])
    with pytest.raises(EngineError, match="at least one"):
        group.reference(frames[0], labels, 0)


@pytest.mark.parametrize(
    ("size", "scale", "align_corners", "expected"),
    [
        ((720, 1280), 0.8, True, (465, 833)),
        ((720, 1280), 1.0, True, (577, 1041)),
        ((720, 1280), 1.2, True, (705, 1249)),
        ((720, 1280), 1.0, False, (592, 1040)),
        ((480, 854), 1.0, True, (481, 849)),
        ((480, 854), 1.2, True, (577, 1025)),
        ((480, 854), 0.8, False, (384, 688)),
        ((360, 640), 0.8, True, (289, 513)),
        ((360, 640), 1.2, False, (432, 768)),
        ((5, 7), 1.0, True, (17, 17)),
    ],
)
def test_size_rule(size: tuple[int, int], scale: float, align_corners: bool, expected: tuple[int, int]) -> None:
    assert network_size(size, scale=scale, align_corners=align_corners) == expected


def test_images_are_normalised_after_the_resize() -> None:
    frame = torch.full((4, 6, 3), 255, dtype=torch.uint8)
    image = prepare_image(frame, (17, 33))
    assert image.shape == (1, 3, 17, 33)
    expected = torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225])
    torch.testing.assert_close(image.mean(dim=(0, 2, 3)), expected)
    with pytest.raises(EngineError, match="give RGB"):
        prepare_image(torch.zeros(3, 4, 6), (17, 33))


@pytest.mark.parametrize("n_memory", [1, 40, 3000])
def test_wide_attention_equals_the_explicit_softmax(n_memory: int) -> None:
    query, key = torch.randn(1, 300, 8), torch.randn(1, n_memory, 8)
    values = [torch.randn(1, n_memory, 5), torch.randn(2, n_memory, 3)]
    weights = (query @ key.transpose(1, 2) / 8**0.5).softmax(dim=2)
    for found, value in zip(attend_wide(query, key, values), values, strict=True):
        torch.testing.assert_close(found, weights @ value, atol=1e-5, rtol=1e-5)


def test_fused_attention_equals_the_explicit_softmax() -> None:
    query, key, value = torch.randn(1, 7, 8), torch.randn(1, 9, 8), torch.randn(3, 9, 8)
    found = attend_heads(query, key, value, heads=2)
    for head in (slice(0, 4), slice(4, 8)):
        weights = (query[..., head] @ key[..., head].transpose(1, 2) / 2).softmax(dim=2)
        torch.testing.assert_close(found[..., head], weights @ value[..., head], atol=1e-5, rtol=1e-5)


def test_positions_start_at_zero_and_end_at_a_full_turn() -> None:
    grid = sine_positions(3, 5, 16, torch.device("cpu")).view(3, 5, 16)
    assert grid[0, 0].tolist() == [0.0, 1.0] * 8
    torch.testing.assert_close(grid[2, 0, :2], torch.tensor([0.0, 1.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(grid[0, 1, 8:10], torch.tensor([1.0, 0.0]), atol=1e-4, rtol=0)
    assert torch.equal(grid[0, 3, :8], grid[0, 1, :8])
