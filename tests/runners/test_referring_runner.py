"""The runners of ReferFormer and MUTR on files: sequences, windows, options, and everything that users get wrong."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from referring_helpers import SIZES, small_network, write_roberta_folder, write_video

from runners.base import ModelSettings
from runners.checkpoints.saving import save_network
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.network import ReferFormer
from runners.networks.text.text_encoder import TextConfig
from runners.passes.clip_runner import ClipRunner
from runners.passes.referring_runner import find_surest
from runners.registry import build_runner
from rvos.errors import CheckpointError, ConfigError, InputError
from rvos.videos import Expression

CPU = torch.device("cpu")
KINDS = ("referformer", "mutr")


def write_network(folder: Path, kind: str) -> Path:
    network = small_network(kind)
    path = folder / f"{kind}.safetensors"
    save_network(path, kind, network.config, network, torch.float16)
    return path


def build(folder: Path, kind: str, **changes: Any) -> ClipRunner[Any]:
    options = {"short_side": 48} | changes.pop("options", {})
    settings = ModelSettings(kind, write_network(folder, kind), options=options, **changes)
    runner = build_runner(settings, device=CPU)
    assert isinstance(runner, ClipRunner)
    return runner


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_frames", "size"), [(3, (48, 64)), (1, (64, 40)), (2, (30, 90))], ids=str)
def test_a_video_gives_one_sequence_an_expression(
    tmp_path: Path, kind: str, n_frames: int, size: tuple[int, int]
) -> None:
    video = write_video(tmp_path / "frames", n_frames=n_frames, size=size)
    found = list(build(tmp_path, kind).segment(video, video.expressions))
    assert [sequence.expression for sequence in found] == ["0", "1"]
    for sequence in found:
        assert sequence.frames == video.frames
        assert sequence.masks().shape == (n_frames, *size)
        assert sequence.soft is not None
        assert sequence.soft.kind == "logit"
        assert ((sequence.scores > 0) & (sequence.scores < 1)).all()


def test_masks_are_those_of_the_network(tmp_path: Path) -> None:
    from runners.networks.text.tokenizers import SmallTokens
    from runners.passes.frames import read_clip

    video = write_video(tmp_path / "frames")
    runner = build(tmp_path, "referformer")
    (sequence,) = runner.segment(video, video.expressions[1:])
    network = runner.network
    with torch.inference_mode():
        frames = read_clip(video, range(3), short_side=48)[None]
        found = network(frames, None, *SmallTokens().encode([video.expressions[1].text]))
    probability = found.logits[-1, 0, ..., 0].sigmoid()
    query = int(probability.mean(0).argmax())
    resized = torch.nn.functional.interpolate(
        found.masks[-1, 0, :, query][None], size=(48, 64), mode="bilinear", align_corners=False
    )
    assert (sequence.masks() == (resized[0].sigmoid() > 0.5).numpy()).mean() > 0.999
    assert np.allclose(sequence.scores, probability[:, query].numpy(), atol=1e-6)


def test_windows_bound_the_clip_and_say_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    video = write_video(tmp_path / "frames", n_frames=7)
    runner = build(tmp_path, "referformer", window=3, overlap=1)
    seen: list[int] = []
    encode = runner.network.encode_video
    runner.network.encode_video = lambda frames: (seen.append(frames.shape[1]), encode(frames))[1]  # type: ignore[method-assign]
    with caplog.at_level(logging.INFO):
        (sequence, _) = runner.segment(video, video.expressions)
    assert seen == [3, 3, 3]
    assert sequence.n_frames == 7
    assert runner.protocol(video) == "3 windows of at most 3 frames, neighbours share 1"
    assert runner.protocol(video) in caplog.text


def test_text_is_encoded_once(tmp_path: Path) -> None:
    video = write_video(tmp_path / "frames")
    runner = build(tmp_path, "referformer", options={"lower_case": True})
    encode, calls = runner.network.encode_text, []
    runner.network.encode_text = lambda *ids: (calls.append(1), encode(*ids))[1]  # type: ignore[method-assign]
    expressions = [Expression(str(index), text) for index, text in enumerate(["a  Star", "a star", "the moon"])]
    first = list(runner.segment(video, expressions))
    again = list(runner.segment(video, expressions))
    assert len(calls) == 2
    assert first[0].runs == first[1].runs == again[1].runs


def test_batches_of_expressions_give_the_same_masks(tmp_path: Path) -> None:
    video = write_video(tmp_path / "frames")
    alone = list(build(tmp_path, "mutr").segment(video, video.expressions))
    batch = list(build(tmp_path, "mutr", options={"expressions_at_once": 2}).segment(video, video.expressions))
    for one, two in zip(alone, batch, strict=True):
        assert (one.masks() == two.masks()).mean() > 0.999


def test_half_precision_stays_near(tmp_path: Path) -> None:
    video = write_video(tmp_path / "frames")
    whole = list(build(tmp_path, "referformer").segment(video, video.expressions))
    half = list(build(tmp_path, "referformer", precision="bfloat16").segment(video, video.expressions))
    for one, two in zip(whole, half, strict=True):
        assert np.abs(one.scores - two.scores).max() < 0.05


def test_the_surest_frame_can_be_the_key_frame(tmp_path: Path) -> None:
    logits = torch.full((3, 4, 4), -5.0)
    logits[0, :2], logits[2, 0, 0] = 1.0, 4.0
    assert find_surest(logits) == 2
    assert find_surest(torch.full((3, 4, 4), -5.0)) == 0
    video = write_video(tmp_path / "frames")
    (sequence,) = build(tmp_path, "mutr", options={"key_frame": "confidence"}).segment(video, video.expressions[:1])
    (official,) = build(tmp_path, "mutr").segment(video, video.expressions[:1])
    assert sequence.key_frame is not None
    assert official.key_frame is None
    assert official.pick_key_frame() == 0


@pytest.mark.parametrize("text", ["", " \t "])
def test_an_empty_expression_is_named(tmp_path: Path, text: str) -> None:
    video = write_video(tmp_path / "frames")
    with pytest.raises(InputError, match="video/7: the expression is empty"):
        list(build(tmp_path, "referformer").segment(video, [Expression("7", text)]))


def test_a_very_long_expression_is_cut_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    video = write_video(tmp_path / "frames")
    (sequence,) = build(tmp_path, "referformer").segment(video, [Expression("0", "the red star " * 30)])
    assert sequence.n_frames == 3
    assert "92 tokens, cut to 24" in caplog.text


def test_text_that_is_not_english_runs_and_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    video = write_video(tmp_path / "frames")
    (sequence,) = build(tmp_path, "mutr").segment(video, [Expression("0", "红色的圆")])
    assert sequence.n_frames == 3
    assert "not in the small vocabulary" in caplog.text


def test_an_unreadable_frame_is_named(tmp_path: Path) -> None:
    video = write_video(tmp_path / "frames")
    video.image_paths[1].write_bytes(b"x")
    with pytest.raises(InputError, match=r"00001\.png"):
        list(build(tmp_path, "referformer").segment(video, video.expressions))


def test_a_missing_frame_is_named(tmp_path: Path) -> None:
    video = write_video(tmp_path / "frames")
    video.image_paths[2].unlink()
    with pytest.raises(InputError, match=r"00002\.png: frame is missing"):
        list(build(tmp_path, "referformer").segment(video, video.expressions))


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    settings = ModelSettings("referformer", write_network(tmp_path, "mutr"))
    with pytest.raises(CheckpointError, match="holds a mutr network; set runner: mutr"):
        build_runner(settings, device=CPU)


def official_file(folder: Path, kind: str) -> Path:
    path = folder / "official.pth"
    torch.save({"model": small_network(kind).state_dict()}, path)
    return path


def test_official_layouts_of_the_other_network_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds MUTR"):
        build_runner(ModelSettings("referformer", official_file(tmp_path, "mutr")), device=CPU)
    with pytest.raises(CheckpointError, match="not MUTR"):
        build_runner(ModelSettings("mutr", official_file(tmp_path, "referformer")), device=CPU)


def test_a_wrong_backbone_in_the_recipe_is_refused(tmp_path: Path) -> None:
    settings = ModelSettings("referformer", official_file(tmp_path, "referformer"), backbone="swin_l_p4w7")
    with pytest.raises(CheckpointError, match="its backbone is resnet_tiny, the recipe says swin_l_p4w7"):
        build_runner(settings, device=CPU)


def test_a_released_network_needs_the_tokeniser_of_roberta(tmp_path: Path) -> None:
    config = ReferFormerConfig(**{**SIZES, "text": TextConfig(hidden=8, layers=1, heads=1, intermediate=8)})
    path = tmp_path / "network.safetensors"
    save_network(path, "referformer", config, ReferFormer(config), torch.float16)
    with pytest.raises(ConfigError, match=r"vocab\.json and merges\.txt"):
        build_runner(ModelSettings("referformer", path), device=CPU)
    with pytest.raises(ConfigError, match="no tokeniser files"):
        build_runner(ModelSettings("referformer", path, tokenizer=tmp_path), device=CPU)
    folder = write_roberta_folder(tmp_path / "roberta")
    video = write_video(tmp_path / "frames")
    settings = ModelSettings("referformer", path, tokenizer=folder, options={"short_side": 48})
    (sequence, _) = build_runner(settings, device=CPU).segment(video, video.expressions)
    assert sequence.n_frames == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": {"shortside": 3}}, "did you mean 'short_side'"),
        ({"options": {"short_side": "360"}}, "'360' is not a whole number"),
        ({"options": {"short_side": 0}}, "not a whole number of at least 1"),
        ({"options": {"key_frame": "best"}}, "choose one of scores, confidence"),
        ({"window": 3, "overlap": 3}, "overlap < window"),
        ({"precision": "float8"}, "choose one of float32"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(tmp_path, "referformer", **changes)


def test_a_layer_that_mutr_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 decoder layers"):
        build(tmp_path, "mutr", options={"eval_layer": 2})


def test_no_expressions_give_nothing(tmp_path: Path) -> None:
    assert list(build(tmp_path, "mutr").segment(write_video(tmp_path / "frames"), [])) == []
