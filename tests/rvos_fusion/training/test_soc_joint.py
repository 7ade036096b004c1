"""SOC's joint training: its settings, its mixture of images and videos, its first weights, one epoch of it."""

from __future__ import annotations

import csv
import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_data import write_split
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rvos.errors import ConfigError, InputError
from rvos_fusion.training.config import InitialWeights, TrainingConfig, read_config
from rvos_fusion.training.data.clip_augmentation import Augmentation
from rvos_fusion.training.data.clips import VideoClips, VideoClipSettings
from rvos_fusion.training.data.videos import VideoFolder
from rvos_fusion.training.members.referring import MemberTask, read_member_settings
from rvos_fusion.training.run import run_training
from rvos_fusion.training.running.checkpoints import start_from
from rvos_fusion.training.running.distributed import Ranks
from rvos_fusion.training.running.loop import Trainer
from rvos_fusion.training.running.optimiser import build_optimiser, set_rates
from rvos_fusion.training.tasks import build_task

JOINT = Path(__file__).resolve().parents[3] / "rvos_fusion" / "training" / "configs" / "soc_joint.yaml"
SIZE = (40, 48)
SMALL = """
name: small
task: soc
network:
  backbone: {kind: video_swin, width: 8, depths: [1, 1, 1, 1], heads: [1, 2, 4, 8], drop_path: 0.0}
  text: {vocab_size: 400, hidden: 16, layers: 1, heads: 2, intermediate: 16, max_tokens: 16}
  channels: 32
  heads: 4
  queries: 3
  encoder_layers: 1
  decoder_layers: 2
  feedforward: 16
  voc_encoder_layers: 1
  voc_decoder_layers: 1
  pyramid_widths: [16, 16, 8, 8, 8]
data:
  multiple: 1
  images:
    - refer: [{root: ROOT, images: ROOT}]
      frames: 2
      augmentation: {flip: 0.309, short_sides: [32], longest: 64}
  videos:
    - folder: {root: ROOT/data, split: valid}
      frames: 2
      sampling: windows
      augmentation: {flip: 0.309, short_sides: [32], longest: 64}
optimiser:
  rate: 1e-4
  rules:
    - {match: backbone, rate: 1e-5}
    - {match: text_encoder, rate: 5e-6}
loop: {epochs: 2, batch: 2, each_epoch: true, save_every: 0, log_every: 1}
validation:
  folder: {root: ROOT/data, split: valid, videos: 1}
  options: {short_side: 32, long_side: 64}
"""


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    write_split(tmp_path, 2)
    references = [{"ann_id": 1, "split": "train", "sentences": [{"sent": "the left thing"}, {"sent": "a thing"}]}]
    (tmp_path / "refs(unc).p").write_bytes(pickle.dumps(references, protocol=2))
    instances = {
        "images": [{"id": 3, "file_name": "one.jpg", "height": SIZE[0], "width": SIZE[1]}],
        "annotations": [{"id": 1, "image_id": 3, "segmentation": [[5, 5, 30, 5, 30, 30, 5, 30]]}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(instances))
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)).save(tmp_path / "one.jpg")
    path = tmp_path / "small.yaml"
    path.write_text(SMALL.replace("ROOT", str(tmp_path)))
    return read_config(path)


def task_of(config: TrainingConfig) -> MemberTask[object]:
    torch.manual_seed(0)
    task = build_task(config)
    assert isinstance(task, MemberTask)
    return task


def test_the_joint_configuration_is_that_of_the_winners(config: TrainingConfig) -> None:
    joint = read_config(JOINT)
    data = read_member_settings(joint).data
    assert [folder.root.name for folder in data.images[0].refer] == ["refcoco", "refcoco+", "refcocog"]
    assert [folder.splitter for folder in data.images[0].refer] == ["unc", "unc", "umd"]
    assert (data.images[0].frames, data.videos[0].frames, data.videos[0].sampling) == (8, 8, "windows")
    assert data.images[0].augmentation == data.videos[0].augmentation == Augmentation(flip=0.309, short_sides=(360,))
    assert (joint.loop.epochs, joint.loop.batch, joint.loop.precision, joint.loop.seed) == (30, 1, "float32", 42)
    network = task_of(config).network
    optimiser = build_optimiser(network, joint.optimiser)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    for name, parameter in network.named_parameters():
        expected = 1e-5 if "backbone" in name else 5e-6 if "text_encoder" in name else 1e-4
        assert rates[id(parameter)] == expected, name
    assert {group["weight_decay"] for group in optimiser.param_groups} == {1e-4}
    for epoch, rate in ((0.5, 1e-4), (19.9, 1e-4), (20.1, 1e-5)):
        assert set_rates(optimiser, joint.schedule, epoch / 30, length=30) == pytest.approx(rate)


def test_samples_of_images_and_videos_stand_in_one_list(config: TrainingConfig) -> None:
    task = task_of(config)
    # Two sentences of one image; three expressions in two windows of each of two videos.
    assert task.n_samples == 2 + 12
    batch = task.batch([0, 13], [1, 2])
    assert batch.frames.shape[:3] == (2, 2, 3)
    assert batch.texts[1] == "the other thing"
    assert batch.targets.visible.any(1).all()


def test_an_epoch_trains_validates_and_saves(config: TrainingConfig, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    summary = run_training(config, folder, device="cpu", quiet=True)
    assert summary.complete
    assert summary.steps == 14
    assert 0 <= summary.best <= 100
    assert (folder / "last.safetensors").is_file()
    assert (folder / "best.safetensors").is_file()
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert all(name.startswith("validation/") for name in events.Tags()["images"])
    assert events.Tags()["images"]
    curves = [row for path in folder.glob("*.csv") for row in csv.reader(path.open())]
    assert curves


def test_a_training_cut_in_an_epoch_goes_on_with_the_same_losses(config: TrainingConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(config, validation=None, loop=dataclasses.replace(config.loop, epochs=1))
    ranks = Ranks(0, 1, torch.device("cpu"))

    def losses(folder: Path) -> dict[str, str]:
        rows = csv.DictReader((folder / "curve.csv").open())
        return {row["step"]: row["value"] for row in rows if row["name"] == "train/total"}

    def trainer(folder: Path) -> Trainer:
        task = task_of(config)
        torch.manual_seed(3)
        return Trainer(task, config, folder, ranks=ranks, quiet=True)

    trainer(tmp_path / "whole").run()
    trainer(tmp_path / "cut").run(until=3)
    resumed = trainer(tmp_path / "cut")
    torch.manual_seed(99)
    assert resumed.resume()
    resumed.run()
    whole = losses(tmp_path / "whole")
    assert len(whole) == 7
    assert losses(tmp_path / "cut") == whole


def test_video_swin_files_start_the_backbone(config: TrainingConfig, tmp_path: Path) -> None:
    network = task_of(config).network
    kinetics = {}
    for name, value in network.state_dict().items():
        if name.startswith("backbone.0.body."):
            stock = name.replace("backbone.0.body.", "backbone.")
            parts = stock.split(".")
            if parts[1] == "downsamples":
                stock = ".".join(["backbone.layers", parts[2], "downsample", *parts[3:]])
            kinetics[stock] = torch.randn_like(value)
    kernel = torch.randn(8, 3, 2, 4, 4)
    kinetics["backbone.patch_embed.proj.weight"] = kernel
    kinetics["backbone.norm.weight"] = torch.ones(64)
    path = tmp_path / "swin.pth"
    torch.save({"state_dict": kinetics}, path)
    first = read_config(JOINT).initial[0]
    start_from(network, dataclasses.replace(first, path=path))
    state = network.state_dict()
    torch.testing.assert_close(state["backbone.0.body.patch_embed.proj.weight"], kernel.sum(2, keepdim=True))
    expected = kinetics["backbone.layers.1.downsample.reduction.weight"]
    assert torch.equal(state["backbone.0.body.downsamples.1.reduction.weight"], expected)


def test_roberta_starts_the_text_encoder_without_its_pooler(config: TrainingConfig, tmp_path: Path) -> None:
    network = task_of(config).network
    pooler = network.state_dict()["text_encoder.pooler.dense.weight"].clone()
    prefix = "text_encoder."
    roberta = {
        f"roberta.{name.removeprefix(prefix)}": torch.randn_like(value)
        for name, value in network.state_dict().items()
        if name.startswith(prefix) and "pooler" not in name
    }
    roberta["lm_head.bias"] = torch.zeros(3)
    path = tmp_path / "roberta.pth"
    torch.save(roberta, path)
    second: InitialWeights = read_config(JOINT).initial[1]
    start_from(network, dataclasses.replace(second, path=path))
    state = network.state_dict()
    words = "embeddings.word_embeddings.weight"
    assert torch.equal(state[f"text_encoder.{words}"], roberta[f"roberta.{words}"])
    assert torch.equal(state["text_encoder.pooler.dense.weight"], pooler)


def test_a_training_without_any_source_is_refused(config: TrainingConfig) -> None:
    with pytest.raises(ConfigError, match="neither videos nor images"):
        build_task(dataclasses.replace(config, data={"multiple": 1}))


def test_videos_whose_objects_never_appear_are_refused(config: TrainingConfig, tmp_path: Path) -> None:
    for path in (tmp_path / "data" / "valid" / "Annotations").rglob("*.png"):
        Image.fromarray(np.zeros((32, 48), np.uint8)).save(path)
    settings = VideoClipSettings(VideoFolder(tmp_path / "data", "valid"), 2, "windows", Augmentation())
    with pytest.raises(InputError, match="no expression has a visible object"):
        VideoClips(settings)
