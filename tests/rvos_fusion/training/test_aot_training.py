"""Training of AOT and DeAOT: identities, memory, gradients."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import deaot_toolkit
import pytest
import torch
from deaot_toolkit import EncoderConfig, Engine, VosNetwork, upsample_logits
from small_videos import write_small_videos

from rvos_fusion.training.data.sequences import SequenceBatch, Sequences, SequenceSettings
from rvos_fusion.training.data.videos import VideoFolder
from rvos_fusion.training.engines.aot import VosOptions, VosTask, propagate_batch
from rvos_fusion.training.scores.propagation import PropagationValidation, propagation_scores
from rvos_fusion.training.scores.starts import read_toolkit

TINY = {
    "encoder": EncoderConfig("compact", depths=(1, 1, 1), widths=(8, 8, 16, 16)),
    "embedding_dim": 32,
    "heads": 2,
    "feed_forward_dim": 32,
    "layers": 2,
    "local_radius": 1,
    "max_objects": 4,
    "drop_path": 0.0,
    "channel_dropout": 0.0,
}


def network_of(family: str) -> VosNetwork:
    torch.manual_seed(0)
    network = deaot_toolkit.build(f"small-{family}", TINY)
    # The official start makes the ID bank nearly silent; here labels shall matter.
    with torch.no_grad():
        network.patch_wise_id_bank.weight.mul_(300)
    return network.train()


@pytest.fixture
def sequences(tmp_path: Path) -> Sequences:
    folder = VideoFolder(write_small_videos(tmp_path / "data"), in_memory=True)
    settings = SequenceSettings(
        (folder,), frames=4, size=(33, 49), short_edge=48, least_reference=20, least_object=10, most_objects=4
    )
    return Sequences(settings)


def test_identities_in_their_own_order_equal_the_plain_engine(sequences: Sequences) -> None:
    network = network_of("aot")
    batch = sequences.batch([0, 1], [1, 2])
    plain = replace(batch, orders=torch.arange(5).expand(2, -1))
    reference, frames = propagate_batch(network, plain, with_predictions=False)
    engine = Engine(network, active_objects=None)
    engine.reference(network.encode(batch.frames[:, 0]), batch.labels[:, 0])
    used = int(batch.n_objects.max()) + 1
    expected = [engine.decode()]
    for index in range(1, 4):
        expected.append(engine.propagate(network.encode(batch.frames[:, index])))
        engine.remember(batch.labels[:, index])
    for found, logits in zip([reference, *frames], expected, strict=True):
        whole = upsample_logits(logits[:, :used], (33, 49), align_corners=True)
        torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-4)


def test_the_memory_reads_the_reference(sequences: Sequences) -> None:
    network = network_of("aot")
    batch = sequences.batch([0, 1], [1, 2])
    assert torch.equal(batch.references, batch.labels[:, 0])
    rough = replace(batch, references=batch.references * (torch.arange(49) % 2))
    _, fine = propagate_batch(network, batch, with_predictions=False)
    _, coarse = propagate_batch(network, rough, with_predictions=False)
    assert not torch.allclose(fine[0], coarse[0])


@pytest.mark.parametrize("family", ["aot", "deaot"])
def test_shuffled_identities_come_back_in_order(sequences: Sequences, family: str) -> None:
    network = network_of(family)
    batch = sequences.batch([0, 1], [1, 2])
    mixed = replace(batch, orders=torch.tensor([[0, 3, 1, 4, 2], [0, 2, 4, 3, 1]]))
    # Shuffling the network's own identities the other way must give the same logits.
    for row in range(2):
        one = SequenceBatch(*(getattr(mixed, field.name)[row : row + 1] for field in fields(mixed)))
        found, _ = propagate_batch(network, one, with_predictions=False)
        renamed = network_of(family)
        order = one.orders[0]
        with torch.no_grad():
            renamed.patch_wise_id_bank.weight.copy_(network.patch_wise_id_bank.weight[:, order])
            renamed.decoder.conv_out.weight.copy_(network.decoder.conv_out.weight[order])
            renamed.decoder.conv_out.bias.copy_(network.decoder.conv_out.bias[order])
        plain = replace(one, orders=torch.arange(5)[None])
        expected, _ = propagate_batch(renamed, plain, with_predictions=False)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["aot", "deaot"])
def test_gradients_reach_every_parameter_of_the_first_half(sequences: Sequences, family: str) -> None:
    network = network_of(family)
    task = VosTask(network, sequences, VosOptions())
    task.losses(task.batch([0, 1], [1, 2]), 0.1)["total"].backward()
    untouched = {name for name, value in network.named_parameters() if value.grad is None}
    assert untouched <= {"LSTT.mask_token"}


def test_second_half_feeds_predictions_and_rests_the_id_bank(sequences: Sequences) -> None:
    network = network_of("aot")
    task = VosTask(network, sequences, VosOptions(predictions_from=0.5))
    batch = task.batch([0, 1], [1, 2])
    task.losses(batch, 0.6)["total"].backward()
    assert network.patch_wise_id_bank.weight.grad is None
    assert network.decoder.conv_out.weight.grad is not None
    true, predicted = (propagate_batch(network, batch, with_predictions=flag)[1] for flag in (False, True))
    torch.testing.assert_close(true[0], predicted[0])
    assert not torch.allclose(true[2], predicted[2], atol=1e-3)
    task.losses(batch, 0.4)["total"].backward()
    assert network.patch_wise_id_bank.weight.grad is not None


def test_weight_of_the_reference_frame_falls(sequences: Sequences) -> None:
    task = VosTask(network_of("aot"), sequences, VosOptions(reference_until=0.1))
    batch = task.batch([0], [1])
    early, late = task.losses(batch, 0.05), task.losses(batch, 0.3)
    assert float(early["total"]) == pytest.approx(float(early["propagated"] + 0.5 * early["reference"]), rel=1e-5)
    assert float(late["total"]) == pytest.approx(float(late["propagated"]), rel=1e-5)


def test_exported_network_scores_the_same(sequences: Sequences, tmp_path: Path) -> None:
    network = network_of("deaot")
    VosTask(network, sequences, VosOptions()).export(tmp_path / "deaot.safetensors")
    folder = VideoFolder(tmp_path / "data", videos=1)
    settings = PropagationValidation(folder)
    scores = propagation_scores(partial(read_toolkit, network.eval()), settings)
    exported = deaot_toolkit.load(tmp_path / "deaot.safetensors")
    assert scores == propagation_scores(partial(read_toolkit, exported), settings)
    assert set(scores) == {"J", "F", "J&F"}
    assert scores["J&F"] == pytest.approx((scores["J"] + scores["F"]) / 2)
