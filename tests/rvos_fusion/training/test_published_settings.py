"""Published trainings: what their configurations say, and that each of them learns on small data."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
import torch
from small_images import write_refer
from small_language_models import MODELS
from small_videos import write_small_mevis, write_small_videos

from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.network import ReferFormer
from rvos.settings import load
from rvos_fusion.training.config import TrainingConfig, read_config
from rvos_fusion.training.running.checkpoints import start_from
from rvos_fusion.training.running.optimiser import build_optimiser
from rvos_fusion.training.tasks import build_task

CONFIGS = Path(__file__).parents[3] / "rvos_fusion" / "training" / "configs"
STEPS = 6
SMALL_BACKBONE = "{kind: resnet, width: 8, depths: [1, 1, 1, 1], norm: group}"
SMALL_TEXT = "{vocab_size: 400, hidden: 16, layers: 1, heads: 2, intermediate: 16, max_tokens: 32, dropout: 0.0}"
SMALL_SOC = (
    f"network={{backbone: {SMALL_BACKBONE}, text: {SMALL_TEXT}, channels: 32, heads: 4, queries: 3, encoder_layers: 1, "
    "decoder_layers: 2, feedforward: 16, dropout: 0.0, voc_encoder_layers: 1, voc_decoder_layers: 1, "
    "pyramid_widths: [16, 16, 8, 8, 8]}"
)
SMALL_REFERFORMER = (
    f"network={{backbone: small, backbone_sizes: {SMALL_BACKBONE}, text: {SMALL_TEXT}, hidden_dim: 32, heads: 4, "
    "encoder_layers: 1, decoder_layers: 2, feedforward: 16, queries: 3, mask_dim: 8, dropout: 0.0}"
)
SMALL_TRACKLETS = (
    "network={backbone: resnet_tiny, text: TEXT, width: 16, layers: 1, heads: 2, feed_forward: 16, dropout: 0.0}"
)
VIDEOS = ("data.videos.0.folder={root: ROOT/videos}", "data.videos.0.augmentation={short_sides: [32]}")
MEVIS = "data.videos.0.folder={root: ROOT/mevis, layout: mevis}"
IMAGES = ("data.images.0.refer=[{root: ROOT, images: ROOT}]", "data.images.0.augmentation={short_sides: [32]}")


def small_tracklets(model: str) -> tuple[str, ...]:
    """Return the sizes of a grounding network with a language model of transformers."""
    text = f"{{model: {model}, sizes: {json.dumps(MODELS[model].sizes)}}}"
    return (SMALL_TRACKLETS.replace("TEXT", text), "data.candidates={faults: 1, found: 1.0, lost: 0.0, loose: 0.0}")


def read_small(root: Path, name: str, *changes: str) -> TrainingConfig:
    """Return a shipped configuration with small sizes and data, and a rate at which a few steps show."""
    common = ("initial=[]", "options={}", "loop.workers=0")
    assignments = [change.replace("ROOT", str(root)) for change in (*changes, *common)]
    return read_config(CONFIGS / f"{name}.yaml", assignments)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_small_videos(tmp_path / "videos")
    write_small_mevis(tmp_path / "mevis")
    write_refer(tmp_path)
    return tmp_path


def losses_of(config: TrainingConfig) -> list[float]:
    """Return the total loss of the same samples before and after a few steps of the configuration's own optimiser."""
    torch.manual_seed(0)
    task = build_task(config)
    optimiser = build_optimiser(task.network, config.optimiser)
    indices = [index % task.n_samples for index in range(min(config.loop.batch, 4))]
    batch = task.batch(indices, indices)
    found = []
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = task.losses(batch, 0.0)["total"]
        loss.backward()
        optimiser.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("soc_images", (SMALL_SOC, *IMAGES)),
        ("soc", (SMALL_SOC, *VIDEOS)),
        ("soc", (SMALL_SOC, *VIDEOS, "options.weights.published=paper")),
        ("referformer_scratch", (SMALL_REFERFORMER, *VIDEOS, "network.concatenated=true")),
        ("mutr_mevis", (SMALL_REFERFORMER, MEVIS, VIDEOS[1])),
        ("tracklets_images", (*small_tracklets("bert"), "data.refer=[{root: ROOT, images: ROOT}]")),
        ("tracklets", (*small_tracklets("bart"), "data.folder={root: ROOT/videos}")),
    ],
    ids=["soc_images", "soc", "soc-paper-weights", "concatenating-baseline", "mutr_mevis", "images", "tracklets"],
)
def test_a_configuration_learns_on_small_data(data: Path, name: str, changes: tuple[str, ...]) -> None:
    losses = losses_of(read_small(data, name, *changes, "optimiser.rate=1e-3"))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("name", "epochs", "milestones", "batch", "rates"),
    [
        ("soc_images", 30, (15, 20), 8, {"backbone": 1e-5, "text_encoder": 5e-6, "": 1e-4}),
        ("soc", 20, (10,), 1, {"backbone": 1e-5, "text_encoder": 5e-6, "": 1e-4}),
        ("tracklets_images", 20, (), 6, {"": 4e-5}),
        ("tracklets", 5, (), 1, {"": 1e-5}),
        ("mutr_mevis", 3, (), 2, {"^backbone\\.": 6e-6, "^text_encoder\\.": 1e-5, "": 1e-4}),
    ],
)
def test_lengths_batches_and_rates_are_the_published_ones(
    name: str, epochs: int, milestones: tuple[int, ...], batch: int, rates: dict[str, float]
) -> None:
    config = read_config(CONFIGS / f"{name}.yaml")
    assert (config.loop.epochs, config.schedule.milestones, config.loop.batch) == (epochs, milestones, batch)
    rules = {rule.match: rule.rate for rule in config.optimiser.rules}
    assert {**rules, "": config.optimiser.rate} == rates


@pytest.mark.parametrize(("name", "kind"), [("tracklets_images", torch.optim.Adam), ("soc", torch.optim.AdamW)])
def test_the_optimiser_is_the_published_one(name: str, kind: type[torch.optim.Optimizer]) -> None:
    settings = dataclasses.replace(read_config(CONFIGS / f"{name}.yaml").optimiser, rules=())
    assert type(build_optimiser(torch.nn.Linear(2, 2), settings)) is kind


def test_a_sentence_of_mevis_means_all_of_its_objects_and_one_about_nothing_is_no_sample(data: Path) -> None:
    config = read_small(data, "mutr_mevis", SMALL_REFERFORMER, MEVIS, VIDEOS[1], "data.videos.0.sampling=spread")
    task = build_task(config)
    assert task.n_samples == 2
    batch = task.batch([0, 1], [3, 3])
    assert batch.texts == ("the red square", "the squares")
    one, both = batch.targets.masks
    assert (both & one).sum() == one.sum()
    assert both.sum() > one.sum()


STOCK = {
    "video_swin": ("{kind: video_swin, width: 8, depths: [1, 1, 1, 1], heads: [1, 2, 4, 8]}", "backbone."),
    "swin": ("{kind: swin, width: 8, depths: [1, 1, 1, 1], heads: [1, 2, 4, 8]}", ""),
    "resnet": ("{kind: resnet, width: 8, depths: [1, 1, 1, 1]}", ""),
}


@pytest.mark.parametrize("name", ["referformer_images", "referformer_joint", "referformer_scratch"])
@pytest.mark.parametrize("kind", STOCK)
def test_files_of_every_backbone_start_referformer(tmp_path: Path, name: str, kind: str) -> None:
    sizes, prefix = STOCK[kind]
    config = read_config(CONFIGS / f"{name}.yaml", [SMALL_REFERFORMER, f"network.backbone_sizes={sizes}"])
    network = ReferFormer(load(ReferFormerConfig, config.network, where=name))
    wanted = {
        key.removeprefix("backbone.0.body."): torch.randn_like(value)
        for key, value in network.state_dict().items()
        if key.startswith("backbone.0.body.")
        and value.is_floating_point()
        and not re.match(r"backbone\.0\.body\.norm\d", key)
    }
    stock = {re.sub(r"^downsamples\.(\d)", r"layers.\1.downsample", key): value for key, value in wanted.items()}
    path = tmp_path / "stock.pth"
    # Their own norm and classes are of no use here.
    extra = {"norm.weight": torch.ones(64), "head.weight": torch.ones(9, 64), "fc.weight": torch.ones(9, 64)}
    torch.save({f"{prefix}{key}": value for key, value in (stock | extra).items()}, path)
    start_from(network, dataclasses.replace(config.initial[0], path=path))
    state = network.state_dict()
    for key, value in wanted.items():
        assert torch.equal(state[f"backbone.0.body.{key}"], value), key
