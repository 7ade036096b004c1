"""Networks that take a file's tensors as they lie."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from deaot_toolkit.file_values import WithoutInitialValues, is_finite, take_values


class Tied(nn.Module):
    """A network with a parameter of two names, and a buffer that no file holds."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(4, 3)
        self.out = nn.Linear(3, 4, bias=False)
        self.out.weight = self.words.weight
        self.register_buffer("places", torch.arange(3), persistent=False)


def test_nothing_random_is_drawn_for_parameters_and_buffers_are_computed() -> None:
    torch.manual_seed(0)
    with WithoutInitialValues():
        network = nn.Sequential(nn.Linear(4, 4), nn.Conv2d(2, 2, 3), Tied())
        for parameter in network.parameters():
            nn.init.trunc_normal_(parameter)
    assert all(parameter.is_meta for parameter in network.parameters())
    drawn = torch.rand(3)
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(0)))
    assert network[2].places.tolist() == [0, 1, 2]
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_values_of_the_networks_own_type_are_taken_without_a_copy_and_others_are_converted() -> None:
    network = nn.Linear(2, 2)
    state = {"weight": torch.eye(2), "bias": torch.ones(2, dtype=torch.float16)}
    take_values(network, state)
    assert network.weight.data_ptr() == state["weight"].data_ptr()
    assert isinstance(network.weight, nn.Parameter)
    assert network.bias.dtype == torch.float32
    assert network.bias.tolist() == [1, 1]


def test_values_at_any_byte_are_moved_to_where_the_machine_reads_them() -> None:
    content = bytearray(torch.arange(5.0).numpy().tobytes())
    shifted = torch.frombuffer(bytearray(b"x" + content), dtype=torch.uint8)[1:]
    odd = torch.frombuffer(shifted.numpy().data, dtype=torch.float32, count=4)
    assert odd.data_ptr() % 4
    network = nn.Linear(2, 2, bias=False)
    take_values(network, {"weight": odd.view(2, 2)})
    assert network.weight.data_ptr() % 4 == 0
    assert network.weight.flatten().tolist() == [0, 1, 2, 3]


def test_a_shared_parameter_stays_shared() -> None:
    network = Tied()
    take_values(network, {name: torch.ones(4, 3) for name in ("words.weight", "out.weight")})
    assert network.out.weight is network.words.weight


def test_parameters_that_a_file_may_lack_become_zero() -> None:
    with WithoutInitialValues():
        network = nn.Linear(2, 2)
    take_values(network, {"weight": torch.eye(2)})
    assert network.bias.tolist() == [0, 0]


@pytest.mark.parametrize("values", [[3e38] * 4, [6e4] * 40, [], [1.0, -1.0]])
def test_finite_values_whose_sum_overflows_are_finite(values: list[float]) -> None:
    assert is_finite(torch.tensor(values))
    assert is_finite(torch.tensor(values).clamp(max=6e4).half())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_is_seen_among_others(value: float) -> None:
    assert not is_finite(torch.tensor([1.0, value, 3e38, 3e38]))
