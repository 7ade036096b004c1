"""The count of live bytes behind the stated memory, and that memory grows with what runs at once only."""

from __future__ import annotations

import torch

from benchmarks.sharing_uninext import LiveBytes, count_memory, run
from runners.networks.text.bert import TextSizes
from runners.networks.uninext.config import ConvNextSizes, UninextConfig
from runners.networks.uninext.network import Uninext

SMALL = UninextConfig(
    backbone=ConvNextSizes((1, 1, 1, 1), (4, 4, 8, 8)),
    text=TextSizes(30, 8, 1, 2, 8, 16),
    width=64,
    heads=2,
    encoder_layers=1,
    decoder_layers=1,
    feed_forward=16,
    queries=5,
    fusion_width=16,
    fusion_heads=2,
)


def test_freed_tensors_and_views_do_not_count() -> None:
    counter = LiveBytes()
    with torch.device("meta"), counter:
        first = torch.zeros(1000)
        second = first + 1
        assert counter.now == 8000
        view = second.view(10, 100)
        del second
        assert counter.now == 8000
        del view
        assert counter.now == 4000
    assert counter.peak == 8000


def test_weights_are_counted_whole_and_activations_by_frame() -> None:
    weights, one = count_memory(SMALL, (64, 96))
    _, three = count_memory(SMALL, (64, 96), 3)
    assert weights == 4 * sum(value.numel() for value in Uninext(SMALL).state_dict().values())
    assert one > 64 * 96 * 3 * 4
    assert 2.5 * one < three < 3.5 * one


def test_the_benchmark_states_every_promised_row() -> None:
    rows = list(run(SMALL, (64, 96), (1, 2)))
    assert [row.name.split(" (")[0] for row in rows[:2]] == ["UNINEXT, 1 expressions", "UNINEXT, 2 expressions"]
    assert rows[2].passes
    assert rows[3].unit == "GiB"
    assert 2.8 < rows[3].ours < 8
    assert "against the official way" in rows[4].name
    assert rows[5].passes
