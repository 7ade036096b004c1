"""Deformable attention against the official module, and by hand on a map where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reference import assert_agrees, read_reference

from runners.networks.attention import deformable_attention
from runners.networks.attention.deformable_attention import DeformableAttention, sample_levels
from runners.networks.attention.deformable_transformer import (
    DeformableConfig,
    DeformableTransformer,
    inverse_sigmoid,
    pixel_references,
    refine,
    valid_ratio,
)
from runners.networks.parts.heads import Perceptron
from rvos_fusion.parity.filling import fill_state


@pytest.mark.parametrize("boxes", ["reference2", "reference4", "reference2_nomask"])
def test_agrees_with_the_official_module(boxes: str) -> None:
    case = read_reference("common/ms_deform_attn")
    module = DeformableAttention().eval()
    module.load_state_dict({name: torch.from_numpy(value) for name, value in fill_state(case.keys).items()})
    inputs = {name: torch.from_numpy(value) for name, value in case.inputs.items()}
    shapes = [(int(h), int(w)) for h, w in inputs["spatial_shapes"]]
    mask = None if boxes.endswith("nomask") else inputs["padding_mask"].bool()
    with torch.no_grad():
        found = module(inputs["query"], inputs[boxes.removesuffix("_nomask")], inputs["input"], shapes, mask)
    assert_agrees(found, case.outputs[f"out_{boxes}"], atol=2e-6)


def test_sampling_at_pixel_centres_reads_the_pixels() -> None:
    value = torch.arange(6.0).reshape(1, 6, 1, 1)
    locations = torch.tensor([[0.25, 0.5 / 3], [0.75, 2.5 / 3], [-1.0, 0.5]]).reshape(1, 3, 1, 1, 1, 2)
    found = sample_levels(value, [(3, 2)], locations, torch.ones(1, 3, 1, 1, 1))
    np.testing.assert_allclose(found.flatten().numpy(), [0.0, 5.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("rows", [1, 100, 1 << 19], ids=["single", "some", "all"])
def test_gathering_in_pieces_gives_the_same_as_sampling(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    torch.manual_seed(3)
    shapes = [(4, 5), (2, 3), (1, 1)]
    value, weights = torch.randn(3, 27, 2, 4), torch.rand(3, 7, 2, 3, 3)
    locations = 1.6 * torch.rand(3, 7, 2, 3, 3, 2) - 0.3
    expected = sample_levels(value, shapes, locations, weights)
    monkeypatch.setattr(deformable_attention, "_GATHERED_ROWS", rows)
    with torch.no_grad():
        found = deformable_attention.sample(value, shapes, locations, weights)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_padded_pixels_count_as_zero_not_as_the_bias() -> None:
    module = DeformableAttention(channels=8, levels=1, heads=2, points=1)
    torch.nn.init.ones_(module.value_proj.bias)
    torch.nn.init.ones_(module.output_proj.bias)
    padded = torch.ones(1, 4, dtype=torch.bool)
    found = module(torch.rand(1, 3, 8), torch.full((1, 3, 1, 2), 0.5), torch.rand(1, 4, 8), [(2, 2)], padded)
    np.testing.assert_allclose(found.detach().numpy(), np.ones((1, 3, 8)), atol=1e-6)


def test_first_points_of_the_star_lie_one_pixel_away() -> None:
    module = DeformableAttention(channels=16, levels=2, heads=4, points=3)
    star = module.sampling_offsets.bias.detach().reshape(4, 2, 3, 2).numpy()
    np.testing.assert_allclose(star[:, 1, 0], [[1, 0], [0, 1], [-1, 0], [0, -1]], atol=1e-6)
    np.testing.assert_allclose(star[0, 0, :, 0], [1, 2, 3], atol=1e-6)


def test_valid_ratio_and_pixel_references_of_a_padded_map() -> None:
    mask = torch.ones(1, 2, 4, dtype=torch.bool)
    mask[:, :1, :2] = False
    ratios = valid_ratio(mask)[:, None]
    np.testing.assert_allclose(ratios.numpy(), [[[0.5, 0.5]]])
    points = pixel_references([(2, 4)], ratios)
    assert points.shape == (1, 8, 1, 2)
    np.testing.assert_allclose(points[0, 5, 0].numpy(), [1.5 / 4, 1.5 / 2])


def test_inverse_sigmoid_is_finite_at_the_ends() -> None:
    values = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0])
    found = inverse_sigmoid(values)
    assert found.isfinite().all()
    assert found[2] == 0
    assert found[0] == found[1] == -found[3]


def test_a_point_reference_moves_the_centre_only() -> None:
    found = refine(torch.zeros(1, 4), torch.tensor([[0.2, 0.9]]))
    np.testing.assert_allclose(found.numpy(), [[0.2, 0.9, 0.5, 0.5]], rtol=1e-5)


def test_small_transformer_trains_every_parameter() -> None:
    torch.manual_seed(0)
    config = DeformableConfig(
        channels=16, heads=2, encoder_layers=1, decoder_layers=2, feedforward=32, levels=2, dropout=0.0
    )
    heads = torch.nn.ModuleList(Perceptron(16, 16, 4) for _ in range(2))
    transformer = DeformableTransformer(config, heads)
    maps = [torch.rand(3, 16, 4, 6), torch.rand(3, 16, 2, 3)]
    masks = [torch.zeros(3, 4, 6, dtype=torch.bool), torch.zeros(3, 2, 3, dtype=torch.bool)]
    memory = transformer.encode(maps, masks, [torch.rand_like(level) for level in maps])
    states = transformer.decode(memory, torch.zeros(3, 5, 16), torch.rand(5, 16))
    assert states.references.shape == (2, 3, 5, 4)
    assert not states.references.requires_grad
    (states.hidden.square().sum() + states.deltas.sum()).backward()
    assert all(parameter.grad is not None for parameter in transformer.parameters())
    assert [level.shape for level in memory.maps()] == [level.shape for level in maps]
