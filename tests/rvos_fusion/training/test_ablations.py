"""The switches of SOC's and ReferFormer's component tables: each trains, its checkpoint loads again, defaults stay."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_data import write_split
from small_videos import write_small_videos

from runners.base import ModelSettings
from runners.checkpoints.loading import read_checkpoint
from runners.networks.parts.dynamic_masks import count_parameters
from runners.networks.referformer.ablations import PlaceBlindFilters
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.network import ReferFormer
from runners.networks.soc.ablations import KMeans, MultiplicativeFusion, TimeConvolution
from runners.networks.soc.network import SOC
from runners.networks.soc.types import SOCConfig
from runners.registry import build_runner
from rvos.errors import ConfigError, InputError
from rvos_fusion.commands.cli import main
from rvos_fusion.training.config import TrainingConfig, read_config
from rvos_fusion.training.run import run_training
from rvos_fusion.training.tasks import build_task
from rvos_fusion.weights.identification import identify

SOC_NETWORK = """
  channels: 32
  heads: 4
  queries: 3
  encoder_layers: 1
  decoder_layers: 2
  feedforward: 16
  voc_encoder_layers: 1
  voc_decoder_layers: 1
  pyramid_widths: [16, 16, 8, 8, 8]
  backbone: {kind: resnet, width: 8, depths: [1, 1, 1, 1], norm: group}"""
REFERFORMER_NETWORK = """
  hidden_dim: 32
  heads: 4
  encoder_layers: 1
  decoder_layers: 2
  feedforward: 16
  queries: 3
  mask_dim: 8
  backbone: small
  backbone_sizes: {kind: resnet, width: 8, depths: [1, 1, 1, 1], norm: group}"""
SMALL = """
name: small
task: TASK
network:NETWORK
  text: {vocab_size: 200, hidden: 16, layers: 1, heads: 2, intermediate: 16, max_tokens: 32}
data:
  videos:
    - folder: {root: ROOT}
      frames: 2
      sampling: spread
      augmentation: {short_sides: [48]}
optimiser: {rate: 1e-3}
loop: {steps: 1, batch: 2, save_every: 0}
"""
SOC_SWITCHES = [
    *(f"network.clustering={name}" for name in ("both", "encoder", "decoder", "none")),
    *(f"network.clustering={name}" for name in ("kmeans", "convolution", "average")),
    *(f"network.fusion={name}" for name in ("none", "l2v", "v2l", "both")),
    "options.weights.contrast=0",
    "network.queries=5",
    "data.videos.0.frames=3",
]
REFERFORMER_SWITCHES = [
    "network.conditional_queries=false",
    "network.relative_coordinates=false",
    "network.pyramid_fusion=false",
    "network.concatenated=true",
    "network.queries=1",
    "data.videos.0.frames=1",
    "options.weights.match_dice=2",
]
CLASSES = ["network.classes=2", "data.videos.0.categories=[circle, square]"]


def small(tmp_path: Path, task: str, *changes: str) -> TrainingConfig:
    if not (tmp_path / "train").is_dir():
        write_small_videos(tmp_path)
    network = SOC_NETWORK if task == "soc" else REFERFORMER_NETWORK
    path = tmp_path / f"{task}.yaml"
    path.write_text(SMALL.replace("TASK", task).replace("NETWORK", network).replace("ROOT", str(tmp_path)))
    return read_config(path, changes)


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        *(("soc", [switch]) for switch in SOC_SWITCHES),
        *(("referformer", [switch]) for switch in REFERFORMER_SWITCHES),
        ("soc", CLASSES),
        ("referformer", CLASSES),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_a_switch_trains_and_its_checkpoint_loads_again(tmp_path: Path, task: str, changes: list[str]) -> None:
    config = small(tmp_path, task, *changes)
    made = build_task(config)
    losses = made.losses(made.batch([0, 1], [1, 2]), 0.0)
    assert all(torch.isfinite(value) for value in losses.values())
    checkpoint = tmp_path / "final.safetensors"
    run_training(config, tmp_path / "out", export=checkpoint, device="cpu", quiet=True)
    # The settings travel with the file: the recipe states none of them.
    runner = build_runner(ModelSettings(task, checkpoint), device=torch.device("cpu"))
    for name, value in runner.network.state_dict().items():  # type: ignore[attr-defined]
        assert value.isfinite().all(), name
    found = identify(read_checkpoint(checkpoint))
    assert found is not None
    assert (found.network, found.layout, found.report.is_complete) == (task, "own", True)


def test_a_checkpoint_of_an_ablation_segments_in_a_recipe(tmp_path: Path) -> None:
    write_split(tmp_path, 1)
    for task, switch in (("soc", "network.clustering=average"), ("referformer", "network.concatenated=true")):
        config = small(tmp_path / task, task, switch)
        run_training(config, tmp_path / f"{task}-out", export=tmp_path / f"{task}.safetensors", quiet=True)
    recipe = tmp_path / "ablated.yaml"
    recipe.write_text(
        "dataset: {format: ref-youtube-vos, root: data, split: valid}\nworkspace: runs\ngroups: {by: none}\nmodels:\n"
        "  soc: {runner: soc, checkpoint: soc.safetensors, options: {short_side: 32}}\n"
        "  referformer: {runner: referformer, checkpoint: referformer.safetensors, options: {short_side: 32}}\n"
        "stages:\n  stage1:\n    both: {fuse: [soc, referformer], threshold: 1}\nsubmission: {node: both}\n"
    )
    assert main(["run", str(recipe), "--quiet"]) == 0


def test_defaults_have_the_official_keys_and_no_other() -> None:
    with torch.device("meta"):
        soc, referformer = SOC(SOCConfig()), ReferFormer(ReferFormerConfig())
    parts = {name.split(".")[0] for name in soc.state_dict()}
    assert {"voc", "vlf", "lvf", "controller"} <= parts
    assert not parts & {"query_start", "trajectories"}
    assert isinstance(soc.vlf, MultiplicativeFusion)
    assert not any(name.startswith("query_start") for name in referformer.state_dict())
    assert referformer.controller.layers[-1].out_features == count_parameters(256, 8)


def test_without_the_pyramids_fusion_its_attention_has_no_weights() -> None:
    with torch.device("meta"):
        plain, whole = (ReferFormer(ReferFormerConfig(pyramid_fusion=is_kept)) for is_kept in (False, True))
    missing = whole.state_dict().keys() - plain.state_dict().keys()
    assert {name.split(".")[1] for name in missing} == {f"cross_attn_{stage}" for stage in (1, 2, 3, 4)}
    assert plain.state_dict().keys() < whole.state_dict().keys()


def test_filters_without_coordinates_have_zeros_in_their_place() -> None:
    torch.manual_seed(0)
    filters = PlaceBlindFilters(6, 2, features=3, channels=2)(torch.randn(4, 6))
    assert filters.shape == (4, count_parameters(3, 2))
    first = filters[:, :10].view(4, 2, 5)
    assert (first[..., 3:] == 0).all()
    assert (first[..., :3] != 0).all()


def test_without_clustering_frames_stay_alone_and_the_sentence_meets_their_queries(tmp_path: Path) -> None:
    task = build_task(small(tmp_path, "soc", "network.clustering=none"))
    network = task.network
    batch = task.batch([0, 1], [1, 2])
    ids = torch.tensor([[0, 5, 2], [0, 6, 2]])
    layer = network(batch.frames, batch.padding_mask, ids, torch.ones_like(ids), batch.sizes).layers[-1]
    # (B, T, Q, C): what the heads read, with nothing added.
    assert layer.clip_queries.shape == (2, 2, 3, 32)
    assert torch.equal(network.class_embed[-1](layer.clip_queries), layer.class_logits)


def test_k_means_finds_the_means_of_what_lies_together_and_keeps_slots_in_place() -> None:
    # Two slots in three frames; in the last frame they have changed places.
    frames = torch.tensor([[[0.0, 1.0], [9.0, 1.0]], [[0.0, 2.0], [9.0, 2.0]], [[9.0, 3.0], [0.0, 3.0]]])
    centres = KMeans()(frames[None], torch.zeros(1, 2))
    assert centres.tolist() == [[[0.0, 2.0], [9.0, 2.0]]]


def test_the_convolution_is_the_only_clustering_that_knows_the_order_of_frames() -> None:
    torch.manual_seed(0)
    queries, sentence = torch.randn(1, 4, 3, 8), torch.randn(1, 8)
    for module, knows in ((TimeConvolution(8), True), (KMeans(), False)):
        there, back = module(queries, sentence), module(queries.flip(1), sentence)
        assert torch.allclose(there, back, atol=1e-6) != knows


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        ("soc", "network.clustering=k-means", "'k-means'.*kmeans"),
        ("soc", "network.fusion=vision", "fusion"),
        ("soc", "options.weights.contrast=-1", "contrast.*at least 0"),
        ("referformer", "network.relative_coordinates=maybe", "relative_coordinates"),
        ("referformer", "options.weights.match_box=1", "unknown key 'match_box'; did you mean 'match_boxes'"),
        ("mutr", "network.conditional_queries=false", "remove conditional_queries"),
        ("mutr", "network.concatenated=true", "remove conditional_queries and concatenated"),
    ],
)
def test_a_wrong_switch_is_one_line(tmp_path: Path, task: str, change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build_task(small(tmp_path, task, change))
    assert "\n" not in str(caught.value)


def test_categories_must_fit_the_class_logits_and_the_videos(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"2 categories for a network of 1 classes; set network\.classes"):
        build_task(small(tmp_path, "referformer", CLASSES[1]))
    only = ["network.classes=1", "data.videos.0.categories=[circle]"]
    task = build_task(small(tmp_path, "referformer", *only))
    with pytest.raises(InputError, match=r"object 1 is 'square', data\.videos has 1"):
        task.batch([0], [0])


def test_categories_become_labels_in_their_order(tmp_path: Path) -> None:
    task = build_task(small(tmp_path, "referformer", *CLASSES))
    assert task.batch([0, 1], [1, 2]).targets.labels.tolist() == [1, 1]


def test_the_baseline_has_no_queries_and_every_frame_of_it_is_alone_with_the_words(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = build_task(small(tmp_path, "referformer", "network.concatenated=true"))
    network = task.network.eval()
    parts = {name.split(".")[0] for name in network.state_dict()}
    assert not parts & {"query_embed", "controller", "class_embed", "bbox_embed", "transformer", "fusion_module"}
    batch = task.batch([0, 1], [1, 2])
    ids, other = torch.tensor([[0, 5, 2]]), torch.tensor([[0, 9, 2]])

    def masks(frames: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        drawn = network.segment(network.encode_video(frames), network.encode_text(words, torch.ones_like(words)))
        return drawn.masks

    clip = batch.frames[:1]
    whole = masks(clip, ids)
    torch.testing.assert_close(whole[:, :1], masks(clip[:, [0, 0]], ids)[:, :1], atol=1e-5, rtol=1e-4)
    assert (whole - masks(clip, other)).abs().max() > 1e-4
    # Several sentences of one clip are answered as each alone.
    both = masks(clip, torch.cat([ids, other]))
    torch.testing.assert_close(both[:1], whole, atol=1e-5, rtol=1e-4)


def test_padding_changes_nothing_of_the_baseline(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_task(small(tmp_path, "referformer", "network.concatenated=true")).network.eval()
    clip, ids = torch.randn(1, 2, 3, 64, 64), torch.tensor([[0, 5, 2]])
    padded_ids, words = torch.tensor([[0, 5, 2, 1]]), torch.tensor([[1, 1, 1, 0]])
    alone = network(clip, None, ids, torch.ones_like(ids))
    assert torch.allclose(alone, network(clip, None, padded_ids, words), atol=1e-5)
