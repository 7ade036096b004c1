"""The pre-trainings of small networks: words of pixels, and many expressions of a frame."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_videos import SIZE, write_small_videos
from torch import nn

from runners.checkpoints.loading import read_checkpoint
from runners.networks.backbones.table import BackboneConfig
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.network import ReferFormer
from runners.networks.text.text_encoder import TextConfig
from runners.networks.text.tokenizers import SmallTokens
from rvos.errors import ConfigError, InputError
from rvos_fusion.training.config import InitialWeights
from rvos_fusion.training.data.clips import stack_alike
from rvos_fusion.training.data.videos import VideoFolder
from rvos_fusion.training.pretraining.grounding import GroundingBatch, GroundingData, GroundingTask, choice_loss
from rvos_fusion.training.pretraining.words import WordData, WordNetwork, WordNetworkConfig, WordTask
from rvos_fusion.training.running.checkpoints import start_from

BACKBONE = BackboneConfig("resnet", 8, (1, 1, 1, 1), norm="group")
CONFIG = ReferFormerConfig(
    backbone="small",
    backbone_sizes=BACKBONE,
    text=TextConfig(vocab_size=160, hidden=32, layers=1, heads=2, intermediate=32, max_tokens=32, dropout=0.0),
    hidden_dim=32,
    heads=2,
    encoder_layers=1,
    decoder_layers=1,
    feedforward=32,
    points=1,
    queries=2,
    mask_dim=8,
    dropout=0.0,
)


@pytest.fixture
def folder(tmp_path: Path) -> VideoFolder:
    return VideoFolder(write_small_videos(tmp_path / "data"), in_memory=True)


def test_pixels_are_told_the_words_of_their_object(folder: VideoFolder) -> None:
    torch.manual_seed(0)
    task = WordTask(WordNetwork(WordNetworkConfig(BACKBONE, channels=16, words=160)), WordData(folder, folder))
    frame = 3
    batch = task.batch([frame], [0])
    assert batch.objects.shape == (1, SIZE[0] // 4, SIZE[1] // 4)
    ids, _ = SmallTokens().encode(["the red square on the left", "the red square on the right"])
    words = set(torch.nonzero(batch.words[1]).flatten().tolist())
    # Mirrored frames exchange the sides.
    assert words in [set(row[1:-1].tolist()) for row in ids]
    assert not batch.words[0].any()
    losses = task.losses(batch, 0.0)
    losses["total"].backward()
    assert all(value.grad is not None for value in task.network.parameters())
    assert 0 <= task.validate(Path("unused"))[task.score] <= 100


def test_choice_is_a_cross_entropy_over_objects_and_background() -> None:
    objects = torch.zeros(1, 16, 16, dtype=torch.int64)
    objects[0, :8, :8] = 1
    objects[0, 8:, 8:] = 2
    empty = torch.zeros(0)
    batch = GroundingBatch(empty, torch.tensor([0, 0]), empty, empty, empty, objects, torch.tensor([1, 2]))
    logits = torch.tensor([[[3.0, 0.5], [-0.5, 1.0]], [[3.0, 0.5], [-0.5, 1.0]]])
    # Cells: object 1, background, background, object 2; their scores 3, 0 (the mean) and 1.
    total = math.log(math.exp(3) + math.exp(0) + math.exp(1))
    assert float(choice_loss(logits, batch)) == pytest.approx(((total - 3) + (total - 1)) / 2, rel=1e-5)


def test_objects_of_other_frames_cannot_be_chosen() -> None:
    objects = torch.zeros(2, 8, 16, dtype=torch.int64)
    objects[0, :, :8] = 1
    objects[1, :, 8:] = 1
    objects[1, :, :8] = 2
    empty = torch.zeros(0)
    batch = GroundingBatch(empty, torch.tensor([0]), empty, empty, empty, objects, torch.tensor([1]))
    found = choice_loss(torch.tensor([[[2.0, 1.0]]]), batch)
    assert float(found) == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-5)


def test_grounding_batches_hold_many_expressions_of_a_frame(folder: VideoFolder) -> None:
    torch.manual_seed(0)
    task = GroundingTask(CONFIG, GroundingData(folder, folder, expressions=6, short_side=96))
    batch = task.batch([2, 3], [0, 1])
    assert batch.owners.tolist() == [0, 0, 1, 1]
    for row in range(4):
        shown = batch.objects[batch.owners[row]] == batch.targets[row]
        assert torch.equal(shown, batch.masks[row].bool())
        assert bool(shown.any())
    losses = task.losses(batch, 0.0)
    losses["total"].backward()
    reached = {name.split(".")[1] for name, value in task.network.named_parameters() if value.grad is not None}
    assert {"backbone", "text_encoder", "resizer", "fusion_module", "input_proj", "transformer"} <= reached
    assert 0 <= task.validate(Path("unused"))[task.score] <= 100


def test_object_that_is_not_in_the_frame_is_left_out(folder: VideoFolder) -> None:
    task = GroundingTask(CONFIG, GroundingData(folder, folder, short_side=96))
    assert len(task.batch([0], [0]).targets) == 1


def test_exported_weights_start_a_referformer(folder: VideoFolder, tmp_path: Path) -> None:
    task = GroundingTask(CONFIG, GroundingData(folder, folder, short_side=96))
    task.export(tmp_path / "start.safetensors")
    network: nn.Module = ReferFormer(CONFIG)
    taken = start_from(network, InitialWeights(tmp_path / "start.safetensors", keep=r"^(backbone|text_encoder)\."))
    stored = read_checkpoint(tmp_path / "start.safetensors").state
    own = network.state_dict()
    equal = [name for name in own if np.array_equal(own[name].numpy(), stored[name].numpy())]
    assert taken == len([name for name in own if name.startswith(("backbone.", "text_encoder."))])
    assert {name for name in own if name.startswith("backbone.")} <= set(equal)
    assert "query_embed.weight" not in equal


def test_a_network_that_knows_fewer_words_than_the_tokeniser_is_refused(folder: VideoFolder) -> None:
    config = replace(CONFIG, text=replace(CONFIG.text, vocab_size=9))
    with pytest.raises(ConfigError, match=r"grounding: knows 9 word ids, the word list has \d+; give a network"):
        GroundingTask(config, GroundingData(folder, folder))


def test_frames_of_several_sizes_are_no_batch() -> None:
    with pytest.raises(InputError, match=r"frames of 8 x 8 and 8 x 12 pixels .*set loop\.batch to 1"):
        stack_alike([torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 12)])


def test_frames_that_cells_do_not_cover_are_refused(folder: VideoFolder) -> None:
    task = WordTask(WordNetwork(WordNetworkConfig(BACKBONE, channels=16, words=160)), WordData(folder, short_side=7))
    with pytest.raises(InputError, match=r"frames of 7 x \d+ pixels .*both are multiples of 4"):
        task.batch([0], [0])
