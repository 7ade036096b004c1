"""Training and answers for single annotated frames: the backbone sees a window, everything behind it one frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sample_folders import make_mask, write_a2d

from runners.base import ModelSettings
from runners.mutr import MutrOptions
from runners.registry import build_runner
from runners.test_time import TestTime
from rvos.errors import ConfigError
from rvos.formats import open_dataset
from rvos.settings import load
from rvos_fusion.training.config import read_config
from rvos_fusion.training.data.clip_augmentation import Augmentation
from rvos_fusion.training.data.clips import VideoClips, VideoClipSettings, collate
from rvos_fusion.training.data.videos import VideoFolder
from rvos_fusion.training.run import run_training
from rvos_fusion.training.tasks import build_task

PROJECT = Path(__file__).resolve().parents[3]
CONFIGS = PROJECT / "rvos_fusion/training/configs"
NETWORKS = {
    "soc": """
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
""",
    "referformer": """
  backbone: small
  backbone_sizes: {kind: video_swin, width: 8, depths: [1, 1, 1, 1], heads: [1, 2, 4, 8], drop_path: 0.0}
  text: {vocab_size: 400, hidden: 16, layers: 1, heads: 2, intermediate: 16, max_tokens: 16}
  hidden_dim: 32
  heads: 4
  encoder_layers: 1
  decoder_layers: 2
  feedforward: 16
  points: 2
  queries: 3
  mask_dim: 8
""",
}


def write_config(folder: Path, task: str) -> Path:
    """Write a training of a tiny network on the annotated frames of a small set."""
    data = write_a2d(folder / "data")
    path = folder / "training.yaml"
    path.write_text(
        f"name: small\ntask: {task}\nnetwork:{NETWORKS[task]}"
        f"data:\n  videos:\n    - folder: {{root: {data}, split: test, layout: a2d-sentences}}\n      frames: 4\n"
        "      sampling: annotated\n      augmentation: {flip: 0.5}\n"
        "optimiser: {rate: 1e-3}\nloop: {steps: 2, batch: 2, save_every: 0, log_every: 1}\n"
    )
    return path


@pytest.fixture
def clips(tmp_path: Path) -> VideoClips:
    folder = VideoFolder(write_a2d(tmp_path), "test", "a2d-sentences")
    return VideoClips(VideoClipSettings(folder, 4, "annotated", Augmentation()))


def test_a_sample_is_a_sentence_and_its_window(clips: VideoClips) -> None:
    assert len(clips) == 3
    clip = clips.clip(2, np.random.default_rng(0))
    assert clip.annotated == 2
    assert np.array_equal(clip.masks[2], make_mask(0, 4))
    assert not clip.masks[[0, 1, 3]].any()


def test_a_batch_has_targets_in_the_annotated_frame_alone(clips: VideoClips) -> None:
    batch = collate([clips.clip(index, np.random.default_rng(index)) for index in range(2)])
    assert batch.frames.shape[:2] == (2, 4)
    assert batch.targets.masks.shape[:2] == (2, 1)
    assert batch.annotated is not None
    assert batch.annotated.tolist() == [2, 2]
    assert torch.equal(batch.targets.masks[0, 0, :32, :48], torch.from_numpy(make_mask(0, 1)))


@pytest.mark.parametrize("task", NETWORKS)
def test_a_network_answers_for_the_annotated_frame_that_the_backbone_saw_among_others(
    tmp_path: Path, task: str
) -> None:
    torch.manual_seed(0)
    trained = build_task(read_config(write_config(tmp_path, task)))
    batch = trained.batch([0, 2], [0, 1])
    network = trained.network.eval()
    ids, mask = torch.tensor([[0, 5, 2], [0, 6, 2]]), torch.ones(2, 3, dtype=torch.int64)
    frames, padding, sizes = batch.frames, batch.padding_mask, batch.sizes
    with torch.no_grad():
        outputs = network(frames, padding, ids, mask, sizes, torch.tensor([2, 0]))
        other = frames.clone()
        other[0, 1] += 1
        moved = network(other, padding, ids, mask, sizes, torch.tensor([2, 0]))
    masks, moved_masks = (one.layers[-1].mask_logits if task == "soc" else one.masks[-1] for one in (outputs, moved))
    assert masks.shape[:2] == (2, 1)
    assert not torch.equal(masks[0], moved_masks[0])
    assert torch.allclose(masks[1], moved_masks[1], atol=1e-5)


@pytest.mark.parametrize("task", NETWORKS)
def test_training_runs_and_its_checkpoint_answers_for_the_middle_frame(tmp_path: Path, task: str) -> None:
    path = tmp_path / "final.safetensors"
    run_training(read_config(write_config(tmp_path, task)), tmp_path / "out", export=path, quiet=True)
    settings = ModelSettings(task, path, options={"centre_only": True, "short_side": 64})
    video = open_dataset("a2d-sentences", tmp_path / "data", "test", window=5).videos[0]
    found = list(build_runner(settings, device=torch.device("cpu")).segment(video, video.expressions))
    for one in found:
        assert not one.masks()[[0, 1, 3, 4]].any()
        assert one.pick_key_frame() == 2
        assert one.scores[2] > 0


@pytest.mark.parametrize("task", NETWORKS)
def test_all_queries_of_the_middle_frame_are_kept_and_the_surest_is_its_mask(tmp_path: Path, task: str) -> None:
    path = tmp_path / "final.safetensors"
    run_training(read_config(write_config(tmp_path, task)), tmp_path / "out", export=path, quiet=True)
    video = open_dataset("a2d-sentences", tmp_path / "data", "test", window=5).videos[0]
    options = {"centre_only": True, "short_side": 64, "output_layer": -1}
    options = options if task == "soc" else {"centre_only": True, "short_side": 64}
    one, other = (
        list(build_runner(ModelSettings(task, path, options=own), device=torch.device("cpu")).segment(video, texts))
        for texts in [video.expressions]
        for own in (options, options | {"all_queries": True})
    )
    for plain, full in zip(one, other, strict=True):
        assert full.queries is not None
        assert (full.queries.frame, len(full.queries.runs)) == (2, 3)
        best = int(full.queries.scores.argmax())
        assert full.queries.runs[best] == full.runs[2]
        assert full.scores.tolist() == pytest.approx(plain.scores.tolist(), abs=1e-5)
        assert (full.masks() != plain.masks()).mean() < 1e-3
        assert len(set(full.queries.runs)) > 1


def test_queries_are_those_of_one_frame_that_is_looked_at_once(tmp_path: Path) -> None:
    for changes in ({"options": {"all_queries": True}}, {"window": 2}, {"test_time": TestTime(flip=True)}):
        options = {"all_queries": True, "centre_only": True}
        with pytest.raises(ConfigError, match="soc: all_queries are those of one frame"):
            build_runner(
                replace(ModelSettings("soc", tmp_path, options=options), **changes), device=torch.device("meta")
            )


def test_settings_that_do_not_belong_together_are_one_line(tmp_path: Path) -> None:
    folder = VideoFolder(tmp_path, "train", "a2d-sentences")
    with pytest.raises(ConfigError, match="belong together"):
        VideoClipSettings(folder, 5, "windows", Augmentation())
    with pytest.raises(ConfigError, match="MUTR has no such protocol"):
        load(MutrOptions, {"centre_only": True}, where="mutr", part="options")


@pytest.mark.parametrize("name", ["soc_a2d.yaml", "referformer_a2d.yaml"])
def test_the_published_trainings_can_be_read(name: str) -> None:
    config = read_config(CONFIGS / name)
    assert config.data["videos"][0]["sampling"] == "annotated"
