"""Dynamic mask convolutions against the official head, and by plain loops in float64."""

from __future__ import annotations

import numpy as np
import torch
from reference import assert_agrees, read_reference

from runners.networks.parts.dynamic_masks import count_parameters, dynamic_masks


def test_agrees_with_the_official_head() -> None:
    case = read_reference("common/dynamic_mask_head")
    inputs = {name: torch.from_numpy(value) for name, value in case.inputs.items()}
    frames = inputs["mask_features"].shape[1]
    sizes = inputs["size"].reshape(1, 2).expand(frames, 2)
    found = dynamic_masks(inputs["mask_features"][0], inputs["params"][0], inputs["references"][0], sizes)
    assert_agrees(found[None], case.outputs["mask_logits"], atol=1e-5)


def test_agrees_with_loops_over_every_pixel() -> None:
    torch.manual_seed(1)
    features, filters = torch.rand(1, 3, 2, 4, dtype=torch.float64), torch.randn(1, 2, 2 * 5 + 4 + 2 + 5).double()
    references, size = torch.rand(1, 2, 2, dtype=torch.float64), torch.tensor([[7, 15]])
    found = dynamic_masks(features, filters, references, size, channels=2)
    for query, row, column in np.ndindex(2, 2, 4):
        w0, w1, w2, b0, b1, b2 = np.split(filters[0, query].numpy(), np.cumsum([10, 4, 2, 2, 2]))
        x, y = references[0, query].numpy() * (15, 7) - (4 * column + 2, 4 * row + 2)
        pixel = np.array([*features[0, :, row, column].numpy(), x, y])
        hidden = np.maximum(w0.reshape(2, 5) @ pixel + b0, 0)
        hidden = np.maximum(w1.reshape(2, 2) @ hidden + b1, 0)
        np.testing.assert_allclose(found[0, query, row, column].item(), (w2 @ hidden + b2).item(), rtol=1e-12)


def test_a_subset_of_queries_gives_the_same_masks() -> None:
    torch.manual_seed(2)
    features, filters = torch.rand(2, 8, 5, 6), torch.randn(2, 4, count_parameters(8))
    references, sizes = torch.rand(2, 4, 2), torch.tensor([[20, 24], [18, 22]])
    everything = dynamic_masks(features, filters, references, sizes)
    chosen = dynamic_masks(features, filters[:, 2:3], references[:, 2:3], sizes)
    torch.testing.assert_close(chosen, everything[:, 2:3], rtol=1e-5, atol=1e-4)


def test_official_filters_have_169_and_2153_numbers() -> None:
    assert count_parameters(8) == 169
    assert count_parameters(256) == 2153
