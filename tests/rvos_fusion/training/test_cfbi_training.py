"""Training of CFBI and CFBI+: colours, memory, gradients."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from small_videos import write_small_videos

from propagate.engines.cfbi.checkpoints import load_weights
from propagate.engines.cfbi.configs import CONFIGS
from propagate.engines.cfbi.engine import prepare_frame
from propagate.engines.cfbi.memory import CfbiMemory, MatchingRules
from propagate.engines.cfbi.network import Cfbi
from rvos.errors import ConfigError
from rvos_fusion.training.config import LoopSettings, OptimiserSettings, TrainingConfig
from rvos_fusion.training.data.clips import normalise
from rvos_fusion.training.data.sequences import Sequences, SequenceSettings
from rvos_fusion.training.data.videos import VideoFolder
from rvos_fusion.training.engines.cfbi import (
    CfbiOptions,
    CfbiTask,
    blue_first,
    build,
    propagate_frames,
    shrink_embeddings,
)
from rvos_fusion.training.scores.propagation import PropagationValidation, propagation_scores
from rvos_fusion.training.scores.starts import read_cfbi

NAME = "compact-cfbi+"


def make_network(name: str = NAME) -> Cfbi:
    torch.manual_seed(0)
    network = Cfbi(CONFIGS[name])
    shrink_embeddings(network)
    return network.train()


@pytest.fixture
def folder(tmp_path: Path) -> VideoFolder:
    return VideoFolder(write_small_videos(tmp_path / "data"), in_memory=True)


@pytest.fixture
def sequences(folder: VideoFolder) -> Sequences:
    settings = SequenceSettings(
        (folder,), frames=4, size=(33, 49), short_edge=48, least_reference=20, least_object=10, most_objects=4
    )
    return Sequences(settings)


def test_training_sees_the_colours_that_the_engine_sees() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (33, 49, 3), dtype=np.uint8)
    expected = prepare_frame(pixels, (33, 49), mirrored=False, device=torch.device("cpu"))
    torch.testing.assert_close(blue_first(normalise(pixels[None])), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [NAME, "small-cfbi"])
def test_gradients_reach_every_parameter_that_is_read(sequences: Sequences, name: str) -> None:
    network = make_network(name)
    task = CfbiTask(network, sequences, CfbiOptions())
    task.losses(task.batch([0, 1], [1, 2]), 0.1)["total"].backward()
    untouched = {name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()}
    # The encoder's last convolution is AOT's, for its transformer; a fresh channel transformation is shut by its gamma.
    unread = {name for name in untouched if ".encoder.last." not in name and not name.endswith(".alpha")}
    assert not unread


def test_the_loss_falls(sequences: Sequences) -> None:
    task = CfbiTask(make_network(), sequences, CfbiOptions())
    batch = task.batch([0, 1], [1, 2])
    optimiser = torch.optim.AdamW(task.network.parameters(), 1e-3)
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        loss = task.losses(batch, 0.0)["total"]
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_predictions_are_remembered_from_the_stated_progress_on(sequences: Sequences) -> None:
    batch = sequences.batch([0, 1], [1, 2])
    network = make_network()
    first, second = (CfbiTask(network, sequences, CfbiOptions(predictions_from=start)) for start in (0.5, 0.7))
    for progress, is_equal in ((0.4, True), (0.6, False), (0.8, True)):
        found = (task.losses(batch, progress)["total"] for task in (first, second))
        assert torch.equal(*found) is is_equal


@pytest.mark.parametrize("with_predictions", [True, False])
@torch.inference_mode()
def test_true_labels_are_remembered_unless_predictions_are(sequences: Sequences, *, with_predictions: bool) -> None:
    network = make_network()
    batch = sequences.batch([0], [1])
    features = network.encode_all(blue_first(batch.frames[0]))
    found = []
    for labels in (batch.labels[0], torch.zeros_like(batch.labels[0])):
        memory = CfbiMemory(network, MatchingRules())
        memory.refer(features[0], batch.references, n_objects=int(batch.n_objects[0]))
        found.append(propagate_frames(memory, features[1:], labels[1:], with_predictions=with_predictions))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1]) is with_predictions


def test_the_reference_is_what_the_batch_feeds(sequences: Sequences) -> None:
    task = CfbiTask(make_network(), sequences, CfbiOptions())
    batch = task.batch([0, 1], [1, 2])
    rough = replace(batch, references=batch.references * (torch.arange(49) % 2))
    assert not torch.equal(task.losses(batch, 0.0)["total"], task.losses(rough, 0.0)["total"])


def test_exported_network_scores_the_same(sequences: Sequences, folder: VideoFolder, tmp_path: Path) -> None:
    network = make_network()
    CfbiTask(network, sequences, CfbiOptions()).export(tmp_path / "c.safetensors")
    other = Cfbi(CONFIGS[NAME])
    load_weights(other, tmp_path / "c.safetensors", name=NAME)
    settings = PropagationValidation(replace(folder, videos=1))
    with torch.inference_mode():
        scores = propagation_scores(partial(read_cfbi, network.eval()), settings)
        assert scores == propagation_scores(partial(read_cfbi, other.eval()), settings)
    assert scores["J&F"] == pytest.approx((scores["J"] + scores["F"]) / 2)


def test_a_size_that_is_not_the_grids_is_refused() -> None:
    config = TrainingConfig(
        "mine",
        "cfbi",
        OptimiserSettings(rate=1e-3),
        LoopSettings(steps=1),
        network={"name": NAME},
        data={"folders": [{"root": "x"}], "size": [96, 160]},
    )
    with pytest.raises(ConfigError, match=r"mine: data\.size \[96, 160\]; compact-cfbi\+ takes \[97, 161\], set it"):
        build(config)
