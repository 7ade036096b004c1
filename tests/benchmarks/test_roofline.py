"""Multiply-adds of a pass by its parts, against counts by hand."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.roofline import count_products, observe
from benchmarks.roofline_networks import Pass


def test_products_are_counted_by_part() -> None:
    first, second = nn.Linear(3, 5), nn.Conv2d(1, 2, 3, padding=1)

    def call() -> None:
        first(torch.zeros(7, 3))
        first(torch.zeros(1, 3))
        second(torch.zeros(1, 1, 4, 6))
        torch.zeros(2, 3) @ torch.zeros(3, 4)

    with torch.inference_mode():
        counted = count_products(Pass(call, {"first": first, "second": second}))
    parts = {"first": 8 * 3 * 5, "second": 2 * 9 * 24, "rest": 2 * 3 * 4}
    assert counted == {"all": sum(parts.values()), **parts}


def test_attention_is_counted_once_with_and_without_the_fast_path() -> None:
    heads = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    query, key = torch.zeros(1, 2, 5, 4), torch.zeros(1, 2, 6, 4)

    def call() -> None:
        scaled_dot_product_attention(query, key, key)
        heads(torch.zeros(1, 3, 8), torch.zeros(1, 3, 8), torch.zeros(1, 3, 8), need_weights=False)

    with torch.inference_mode():
        counted = count_products(Pass(call, {"heads": heads}))
    assert counted["rest"] == 2 * 2 * (5 * 6 * 4)
    assert counted["heads"] == 4 * (3 * 8 * 8) + 2 * 2 * (3 * 3 * 4)
    assert torch.backends.mha.get_fastpath_enabled()


def test_readings_of_nested_calls_add_up() -> None:
    ticks = iter(range(100))
    inner = nn.Identity()

    def call() -> None:
        inner(1)
        inner(2)

    found = observe(Pass(call, {"inner": inner}), lambda: next(ticks))
    assert found == {"all": 5, "inner": 2, "rest": 3}
