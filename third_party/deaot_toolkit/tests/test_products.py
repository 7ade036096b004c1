"""Layers by the faster library: the same numbers, and torch's own layers wherever it cannot serve."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from deaot_toolkit import products as module
from deaot_toolkit.products import (
    DirectConvolution,
    DirectLinear,
    direct_convolution,
    direct_linear,
    use_direct_products,
)

LARGE = (3, 500, 128)  # times 128 outputs: above the least number of products


@pytest.fixture
def plain_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The output widths of the calls that went to torch's own function."""
    seen: list[int] = []
    own = module.linear

    def counted(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        seen.append(len(weight))
        return own(inputs, weight, bias)

    monkeypatch.setattr(module, "linear", counted)
    return seen


@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("layout", ["plain", "transposed", "part of a larger weight"])
def test_large_products_are_the_same_by_the_other_library(
    plain_calls: list[int], layout: str, *, with_bias: bool
) -> None:
    torch.manual_seed(0)
    inputs, weight = torch.randn(LARGE), torch.randn(128, 256)[:, :128].contiguous()
    if layout == "transposed":
        inputs = torch.randn(3, 128, 500).transpose(1, 2)
    if layout == "part of a larger weight":
        weight = torch.randn(128, 256)[:, 64:192]
    bias = torch.randn(128) if with_bias else None
    with torch.inference_mode():
        found = direct_linear(inputs, weight, bias)
    expected = inputs.double() @ weight.double().t() + (0 if bias is None else bias.double())
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=1e-4)
    assert plain_calls == ([] if module._has_operators() else [128])


def test_small_products_stay_with_torch(plain_calls: list[int]) -> None:
    with torch.inference_mode():
        direct_linear(torch.randn(4, 16), torch.randn(8, 16))
    assert plain_calls == [8]


def test_gradients_and_half_precision_stay_with_torch(plain_calls: list[int]) -> None:
    inputs, weight = torch.randn(LARGE), torch.randn(128, 128, requires_grad=True)
    direct_linear(inputs, weight).sum().backward()
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad[0], inputs.sum((0, 1)), atol=1e-3, rtol=1e-3)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert direct_linear(inputs, weight).dtype == torch.bfloat16
    with torch.inference_mode():
        assert direct_linear(inputs.double(), weight.double()).dtype == torch.float64
    assert plain_calls == [128, 128, 128]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["rows", "channels last"])
def test_pointwise_convolutions_are_the_same_by_the_other_library(layout: torch.memory_format, stride: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(256, 256, 1, stride)
    inputs, weight = torch.randn(2, 256, 17, 31).contiguous(memory_format=layout), torch.randn(256, 512, 1, 1)
    with torch.inference_mode():
        found = direct_convolution(inputs, weight[:, 128:384], layer.bias, layer)
    expected = nn.functional.conv2d(inputs.double(), weight[:, 128:384].double(), layer.bias.double(), stride)  # type: ignore[union-attr]
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=1e-4)


def test_convolutions_that_the_library_cannot_serve_stay_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "mkldnn_convolution", lambda *_: pytest.fail("was called"))
    large = torch.randn(1, 64, 64, 64)
    for layer in (nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, 64, 1, groups=2)):
        with torch.inference_mode():
            found = direct_convolution(large, layer.weight, layer.bias, layer)
            torch.testing.assert_close(found, layer(large))
    layer = nn.Conv2d(64, 64, 1)
    direct_convolution(large, layer.weight, layer.bias, layer).sum().backward()
    assert layer.weight.grad is not None


def test_only_plain_layers_are_changed_and_their_names_stay() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.MultiheadAttention(4, 2), nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 3))
    names, inputs, image = list(network.state_dict()), torch.randn(2, 4), torch.randn(1, 1, 5, 5)
    expected = network[0](inputs), network[2](image)
    use_direct_products(network)
    assert list(network.state_dict()) == names
    assert [type(layer) for layer in network] == [DirectLinear, nn.MultiheadAttention, DirectConvolution, nn.Conv2d]
    assert type(network[1].out_proj) is not DirectLinear
    torch.testing.assert_close((network[0](inputs), network[2](image)), expected)
