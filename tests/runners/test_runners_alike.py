"""The four runners behave alike where it is not the network that speaks."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from runners.base import ModelSettings, Runner
from runners.checkpoints.saving import save_network
from runners.networks.backbones.table import BACKBONES
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.mutr import Mutr, MutrConfig
from runners.networks.referformer.network import ReferFormer
from runners.networks.soc.network import SOC
from runners.networks.soc.types import SOCConfig
from runners.networks.text.bert import TextSizes
from runners.networks.text.text_encoder import TextConfig
from runners.networks.uninext.config import ConvNextSizes, UninextConfig
from runners.networks.uninext.network import Uninext
from runners.registry import RUNNERS, build_runner
from rvos.errors import ConfigError, InputError
from rvos.videos import Expression, Video

EXPRESSIONS = (Expression("0", "the red circle"), Expression("1", "the star"))
TEXT = TextConfig(vocab_size=256, hidden=32, layers=1, heads=2, intermediate=32, max_tokens=16)
REFERRING: dict[str, Any] = {
    "backbone": "resnet_tiny",
    "text": TEXT,
    "hidden_dim": 32,
    "heads": 4,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "feedforward": 32,
    "mask_dim": 16,
}
CONFIGS: dict[str, Any] = {
    "soc": SOCConfig(
        backbone=BACKBONES["resnet_tiny"],
        text=TEXT,
        channels=32,
        heads=4,
        queries=2,
        encoder_layers=1,
        decoder_layers=1,
        feedforward=32,
        pyramid_widths=(16, 16, 8, 8, 8),
    ),
    "mutr": MutrConfig(**REFERRING),
    "referformer": ReferFormerConfig(**REFERRING),
    "uninext": UninextConfig(
        backbone=ConvNextSizes((1, 1, 1, 1), (8, 8, 16, 16)),
        text=TextSizes(256, 32, 1, 2, 32, 64, 32),
        width=32,
        heads=2,
        encoder_layers=1,
        decoder_layers=1,
        feed_forward=32,
        queries=4,
        fusion_width=32,
        fusion_heads=2,
        short_side=64,
        long_side=96,
    ),
}
NETWORKS: dict[str, Any] = {"soc": SOC, "mutr": Mutr, "referformer": ReferFormer, "uninext": Uninext}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alike")
    torch.manual_seed(0)
    for name, config in CONFIGS.items():
        save_network(folder / f"{name}.safetensors", name, config, NETWORKS[name](config))
    for index in range(2):
        Image.new("RGB", (90, 61), (40 * index, 90, 20)).save(folder / f"{index}.png")
    return folder


def build(folder: Path, name: str, **changes: Any) -> Runner:
    settings = ModelSettings(name, folder / f"{name}.safetensors", **{"options": {"short_side": 64}, **changes})
    return build_runner(settings, device=torch.device("cpu"))


def video(folder: Path, n_frames: int = 2) -> Video:
    paths = tuple(folder / f"{index}.png" for index in range(n_frames))
    return Video("video", tuple(map(str, range(n_frames))), EXPRESSIONS, paths)


def test_every_runner_is_looked_at() -> None:
    assert set(CONFIGS) == set(RUNNERS)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "nonsense"}, "nonsense"),
        ({"backbone": "resnet50"}, "its backbone is"),
        ({"precision": "float64"}, "precision 'float64'; choose one of float32, float16, bfloat16"),
        ({"options": {"shortside": 64}}, "unknown key 'shortside'; did you mean 'short_side'"),
        ({"options": {"short_side": 0}}, "short_side 0 is not a whole number of at least 1"),
        ({"options": {"short_side": "64"}}, "short_side '64' is not a whole number"),
    ],
    ids=["unknown backbone", "another backbone", "precision", "unknown option", "range", "type"],
)
def test_settings_are_refused_alike(folder: Path, name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(folder, name, **changes)


@pytest.mark.parametrize("name", CONFIGS)
def test_no_memory_gives_advice(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runner: Any = build(folder, name)

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(runner.network, "look" if name == "uninext" else "encode_video", fail)
    with pytest.raises(ConfigError, match=r"not enough memory for .*`short_side`, or use precision bfloat16"):
        list(runner.segment(video(folder), EXPRESSIONS))


@pytest.mark.parametrize("name", CONFIGS)
def test_empty_input_is_met_alike(folder: Path, name: str) -> None:
    runner = build(folder, name)
    assert list(runner.segment(video(folder), ())) == []
    with pytest.raises(InputError, match="video: no frames"):
        list(runner.segment(video(folder, 0), EXPRESSIONS))
    blank = (dataclasses.replace(EXPRESSIONS[0], text=" "),)
    with pytest.raises(InputError, match=r"video/0: .*mend or drop it"):
        list(runner.segment(video(folder), blank))


@pytest.mark.parametrize("name", CONFIGS)
def test_expressions_do_not_change_each_other(folder: Path, name: str) -> None:
    runner = build(folder, name)
    together = list(runner.segment(video(folder), EXPRESSIONS))
    alone = [sequence for one in EXPRESSIONS for sequence in runner.segment(video(folder), (one,))]
    for first, second in zip(together, alone, strict=True):
        assert first.expression == second.expression
        torch.testing.assert_close(torch.tensor(first.scores), torch.tensor(second.scores), atol=1e-5, rtol=1e-4)
