"""The toolkit's engine and the shared propagation give what the networks written out plainly give."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from deaot_toolkit import EncoderConfig, Engine, build

from benchmarks import propagation
from benchmarks.harness import difference_row
from benchmarks.plain_propagation import PlainEngine

CHANGES = {
    "embedding_dim": 32,
    "heads": 2,
    "feed_forward_dim": 64,
    "layers": 3,
    "long_term_gap": 2,
    "local_radius": 2,
}
SWIN = EncoderConfig("swin", width=16, depths=(1, 2, 1), heads=(1, 2, 4), window=3)


@pytest.mark.parametrize("family", ["small-aot", "small-deaot"])
@pytest.mark.parametrize("encoder", [None, SWIN], ids=["compact", "swin"])
def test_engine_equals_the_plain_one(family: str, encoder: EncoderConfig | None) -> None:
    torch.manual_seed(0)
    changes = CHANGES if encoder is None else {**CHANGES, "encoder": encoder, "align_corners": False}
    network = build(family, changes)
    with torch.no_grad():
        network.patch_wise_id_bank.weight.mul_(1000)
    # More cells than one tile of local attention, and not a multiple of it.
    size = (305, 321) if encoder is None else (304, 320)
    images = torch.randn(6, 1, 3, *size)
    labels = (torch.rand(6, 1, *size) > 0.5).long()
    engine, plain = Engine(network), PlainEngine(network)
    with torch.inference_mode():
        engine.reference(network.encode(images[0]), labels[0], 1)
        plain.reference(images[0], labels[0, 0])
        for image, label in zip(images[1:], labels[1:], strict=True):
            found, expected = engine.propagate(network.encode(image))[0, :2], plain.propagate(image)[:2]
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
            engine.remember(label)
            plain.remember(label[0])
    assert engine.n_memory_frames == len(plain.long) == 3


@pytest.mark.parametrize("network", ["small-aot", "small-deaot"])
def test_shared_propagation_gives_the_plain_masks(network: str, tmp_path: Path) -> None:
    row, difference = propagation.measure(propagation.Case(network, (96, 150), 1.0), tmp_path)
    assert row.ratio == row.baseline / row.ours
    assert difference.ours == 0


def test_the_feature_cache_keeps_its_bound(tmp_path: Path) -> None:
    row = propagation.measure_memory(propagation.Case("small-deaot", (96, 150), 1.0), tmp_path)
    assert row.passes
    assert row.ours > 0


def test_sources_together_are_compared_with_the_same_masks(tmp_path: Path) -> None:
    row, difference = propagation.measure_sources(propagation.Case("small-deaot", (96, 150), 1.0), tmp_path)
    assert row.ours > 0
    assert row.ratio == pytest.approx(row.baseline / row.ours)
    assert difference.ours == 0


def test_masks_that_differ_are_a_row_that_fails() -> None:
    row = difference_row("masks", 3, 1000)
    assert not row.passes
    assert difference_row("masks", 1, 10000).passes
