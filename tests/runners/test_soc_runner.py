"""SOC as a member: one visual pass, one result an expression, and messages for what cannot work."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from runners.base import ModelSettings, OptionValue
from runners.checkpoints.saving import save_network
from runners.networks.backbones.table import BackboneConfig
from runners.networks.soc.network import SOC
from runners.networks.soc.types import SOCConfig
from runners.networks.text.text_encoder import TextConfig
from runners.networks.text.tokenizers import SmallTokens
from runners.passes.clip_runner import ClipRunner
from runners.registry import build_runner
from rvos.errors import CheckpointError, ConfigError, InputError
from rvos.videos import Expression, Video

CPU = torch.device("cpu")
EXPRESSIONS = (Expression("0", "the red circle"), Expression("1", "the square moving to the left side of the picture"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = SOCConfig(
        backbone=BackboneConfig("resnet", 16, (1, 1, 1, 1), norm="group"),
        text=TextConfig(SmallTokens().vocabulary_size, 32, 1, 2, 32, 20),
        channels=32,
        heads=4,
        queries=4,
        encoder_layers=1,
        decoder_layers=2,
        feedforward=32,
        voc_encoder_layers=1,
        voc_decoder_layers=1,
        pyramid_widths=(16, 16, 16, 8, 8),
    )
    path = tmp_path_factory.mktemp("soc") / "small.safetensors"
    network = SOC(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    save_network(path, "soc", config, network)
    return path


def make_video(folder: Path, n_frames: int = 5, size: tuple[int, int] = (60, 90)) -> Video:
    random = np.random.default_rng(0)
    paths = tuple(folder / f"{index:05}.png" for index in range(n_frames))
    for path in paths:
        Image.fromarray(random.integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)
    return Video("6031809500", tuple(path.stem for path in paths), EXPRESSIONS, paths)


def settings(checkpoint: Path, **changes: object) -> ModelSettings:
    options: dict[str, OptionValue] = {"short_side": 48, "long_side": 96}
    return dataclasses.replace(ModelSettings("soc", checkpoint, options=options), **changes)  # type: ignore[arg-type]


def build(checkpoint: Path, **changes: object) -> ClipRunner[Any]:
    runner = build_runner(settings(checkpoint, **changes), device=CPU)
    assert isinstance(runner, ClipRunner)
    return runner


def test_every_expression_gets_a_sequence_at_frame_size(checkpoint: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path)
    found = list(build(checkpoint).segment(video, EXPRESSIONS))
    assert [sequence.expression for sequence in found] == ["0", "1"]
    for sequence in found:
        assert sequence.masks().shape == (5, 60, 90)
        assert sequence.scores.shape == (5,)
        assert ((sequence.scores > 0) & (sequence.scores < 1)).all()
        assert sequence.soft is not None
        assert sequence.soft.values.shape == (5, 12, 18)


def test_expressions_share_one_visual_pass(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video, runner = make_video(tmp_path), build(checkpoint)
    alone = [next(iter(runner.segment(video, [expression]))) for expression in EXPRESSIONS]
    passes = []
    encode = runner.network.encode_video

    def counted(frames: torch.Tensor) -> object:
        passes.append(frames.shape)
        return encode(frames)

    monkeypatch.setattr(runner.network, "encode_video", counted)
    together = list(runner.segment(video, EXPRESSIONS))
    assert passes == [(1, 5, 3, 48, 72)]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        assert np.mean(one.masks() != other.masks()) < 1e-3


def test_grad_mode_is_untouched_between_results(checkpoint: Path, tmp_path: Path) -> None:
    results = build(checkpoint).segment(make_video(tmp_path), EXPRESSIONS)
    next(results)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("n_frames", [1, 5], ids=["one-frame", "short-last-window"])
def test_windows_cover_the_video(checkpoint: Path, tmp_path: Path, n_frames: int) -> None:
    runner = build(checkpoint, window=2, overlap=1)
    (sequence,) = runner.segment(make_video(tmp_path, n_frames), EXPRESSIONS[:1])
    assert sequence.n_frames == n_frames


def test_the_last_layer_is_an_option(checkpoint: Path, tmp_path: Path) -> None:
    options = {"short_side": 48, "long_side": 96}
    video = make_video(tmp_path)
    first, named, last = (
        next(iter(build(checkpoint, options=options | extra).segment(video, EXPRESSIONS)))
        for extra in ({}, {"output_layer": 0}, {"output_layer": -1})
    )
    np.testing.assert_array_equal(first.scores, named.scores)
    assert not np.array_equal(first.scores, last.scores)


def test_half_precision_stays_near(checkpoint: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path)
    exact, half = (
        next(iter(build(checkpoint, precision=precision).segment(video, EXPRESSIONS)))
        for precision in ("float32", "bfloat16")
    )
    np.testing.assert_allclose(exact.scores, half.scores, atol=0.05)


def test_no_expressions_give_nothing(checkpoint: Path, tmp_path: Path) -> None:
    assert list(build(checkpoint).segment(make_video(tmp_path), ())) == []


def test_an_empty_expression_is_named(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="6031809500/7: the expression is empty"):
        list(build(checkpoint).segment(make_video(tmp_path), [Expression("7", "  ")]))


def test_a_missing_frame_is_named(checkpoint: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path)
    video.image_paths[3].unlink()
    with pytest.raises(InputError, match=r"00003\.png: frame is missing"):
        list(build(checkpoint).segment(video, EXPRESSIONS))


def test_no_memory_gives_advice(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = build(checkpoint)

    def fail(_frames: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(runner.network, "encode_video", fail)
    with pytest.raises(ConfigError, match="set `window` to fewer frames"):
        list(runner.segment(make_video(tmp_path), EXPRESSIONS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shortside": 3}, "unknown key 'shortside'; did you mean 'short_side'"),
        ({"short_side": "360"}, "'360' is not a whole number"),
        ({"short_side": 700}, "1 <= short_side <= long_side"),
        ({"output_layer": 2}, "layers 0 to 1"),
    ],
    ids=["unknown", "type", "sides", "layer"],
)
def test_options_are_checked(checkpoint: Path, options: dict[str, OptionValue], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(checkpoint, options=options)


def test_another_backbone_than_the_recipe_names_is_refused(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="its backbone is resnet of width 16"):
        build(checkpoint, backbone="video_swin_b_p4w7")


def test_a_tokenizer_that_does_not_belong_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="small word list"):
        build(checkpoint, tokenizer=tmp_path)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.pth"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match=r"broken\.pth"):
        build(path)
