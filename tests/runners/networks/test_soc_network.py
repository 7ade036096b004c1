"""The SOC network: loading of both key layouts, sharing of the visual pass, the choice of the output layer."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from runners.checkpoints.loading import CheckpointFile, load_strict, read_checkpoint
from runners.checkpoints.saving import save_network
from runners.networks.backbones.table import BACKBONES, BackboneConfig
from runners.networks.soc.checkpoints import IGNORED, RENAMES, infer_config, load_soc, read_config
from runners.networks.soc.network import SOC, Trajectories
from runners.networks.soc.types import SOCConfig
from runners.networks.text.text_encoder import TextConfig
from rvos.errors import CheckpointError, ConfigError

SMALL = SOCConfig(
    backbone=BackboneConfig("video_swin", 32, (1, 1, 2, 1), (1, 2, 4, 8), drop_path=0.2),
    text=TextConfig(vocab_size=30, hidden=64, layers=1, heads=1, intermediate=32, max_tokens=12),
    channels=64,
    queries=5,
    encoder_layers=1,
    decoder_layers=2,
    feedforward=48,
    voc_encoder_layers=1,
    voc_decoder_layers=2,
    pyramid_widths=(32, 24, 16, 16, 8),
)


def make_network(config: SOCConfig = SMALL) -> SOC:
    torch.manual_seed(0)
    network = SOC(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return network


def as_file(state: dict[str, Tensor]) -> CheckpointFile:
    return CheckpointFile(Path("soc.pth.tar"), state, "model_state_dict")


def challenge_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {("vita." + name[4:] if name.startswith("voc.") else name): value for name, value in state.items()}


@pytest.mark.parametrize(("backbone", "entries"), [("t", 697), ("s", 865), ("b", 865)])
def test_state_dict_has_as_many_entries_as_the_released_files(backbone: str, entries: int) -> None:
    config = SOCConfig(backbone=BACKBONES[f"video_swin_{backbone}_p4w7"])
    with torch.device("meta"):
        state = SOC(config).state_dict()
    index_buffers, position_ids = sum(config.backbone.depths), 1
    assert len(state) + index_buffers + position_ids == entries
    assert infer_config(as_file(state)) == config


@pytest.mark.parametrize("layout", ["voc", "vita"])
def test_both_key_layouts_load(layout: str) -> None:
    network = make_network()
    state = network.state_dict()
    extra = {
        "text_encoder.embeddings.position_ids": torch.arange(14)[None],
        "backbone.0.body.layers.0.blocks.0.attn.relative_position_index": torch.zeros(4, 4, dtype=torch.int64),
        "backbone.0.total_params": torch.zeros(1),
    }
    found = load_soc(as_file((challenge_names(state) if layout == "vita" else dict(state)) | extra), SMALL)
    for name, value in found.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_sizes_are_read_off_the_shapes() -> None:
    config = dataclasses.replace(SMALL, classes=65, queries=7)
    assert infer_config(as_file(challenge_names(make_network(config).state_dict()))) == config


def test_a_missing_clip_transformer_is_an_error() -> None:
    state = {name: value for name, value in make_network().state_dict().items() if not name.startswith("voc.")}
    with pytest.raises(CheckpointError, match=r"missing: voc\."):
        load_strict(make_network(), as_file(state), renames=RENAMES, ignored=IGNORED)


def test_another_networks_file_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no SOC checkpoint"):
        infer_config(as_file({"decoder.weight": torch.zeros(2)}))


def test_our_own_file_carries_its_sizes(tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, heads=4, backbone=BackboneConfig("resnet", 16, (1, 1, 1, 1), norm="group"))
    network = make_network(config)
    save_network(tmp_path / "soc.safetensors", "soc", config, network, torch.float16)
    file = read_checkpoint(tmp_path / "soc.safetensors")
    assert read_config(file) == config
    torch.testing.assert_close(load_soc(file).query_embed.weight, network.query_embed.weight, atol=2e-3, rtol=1e-3)


def test_a_file_of_another_runner_is_refused(tmp_path: Path) -> None:
    save_network(tmp_path / "other.safetensors", "mutr", SMALL, torch.nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match="holds a mutr network"):
        read_config(read_checkpoint(tmp_path / "other.safetensors"))


@pytest.mark.parametrize("wrong", [{"channels": 48}, {"heads": 7}, {"pyramid_widths": (8, 8)}], ids=str)
def test_sizes_that_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="SOC"):
        dataclasses.replace(SMALL, **wrong)


def inputs(clips: int = 1, frames: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(4, 30, (clips, 6))
    return torch.randn(clips, frames, 3, 70, 90), ids, torch.ones_like(ids), torch.tensor([[70, 90]] * clips)


@torch.no_grad()
@pytest.mark.parametrize("layer", [0, -1], ids=["first", "last"])
def test_staged_inference_agrees_with_the_whole_pass(layer: int) -> None:
    network = make_network()
    frames, ids, mask, sizes = inputs()
    whole = network(frames, None, ids, mask, sizes).layers[layer]
    chosen = network.segment(network.encode_video(frames), network.encode_text(ids, mask), output_layer=layer)
    probabilities = whole.class_logits[0, :, :, 0].sigmoid()
    assert chosen.index == int(probabilities.mean(0).argmax())
    torch.testing.assert_close(chosen.scores, probabilities[:, chosen.index])
    torch.testing.assert_close(chosen.mask_logits, whole.mask_logits[0, :, chosen.index], atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_clips_of_a_batch_do_not_mix() -> None:
    network = make_network()
    frames, ids, mask, sizes = inputs(clips=2)
    together = network(frames, None, ids, mask, sizes).layers[0]
    for clip in range(2):
        row = slice(clip, clip + 1)
        alone = network(frames[row], None, ids[row], mask[row], sizes[row]).layers[0]
        torch.testing.assert_close(together.boxes[row], alone.boxes, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(together.clip_queries[row], alone.clip_queries, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_expressions_of_a_batch_can_share_clips() -> None:
    network = make_network()
    frames, ids, mask, sizes = inputs(clips=2)
    ids = torch.cat([ids, ids.flip(1)])
    shared = network(frames, None, ids, mask.repeat(2, 1), sizes.repeat(2, 1)).layers[0]
    repeated = network(frames.repeat_interleave(2, 0), None, ids, mask.repeat(2, 1), sizes.repeat(2, 1)).layers[0]
    torch.testing.assert_close(shared.boxes, repeated.boxes, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(shared.mask_logits, repeated.mask_logits, atol=1e-2, rtol=1e-2)
    assert not torch.allclose(shared.boxes[0], shared.boxes[1])


@torch.no_grad()
def test_text_padding_changes_nothing() -> None:
    network = make_network()
    frames, ids, mask, sizes = inputs()
    padded = torch.nn.functional.pad(ids, (0, 3), value=1)
    padded_mask = torch.nn.functional.pad(mask, (0, 3), value=0)
    found, expected = (network(frames, None, i, m, sizes) for i, m in ((padded, padded_mask), (ids, mask)))
    torch.testing.assert_close(found.layers[0].boxes, expected.layers[0].boxes, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.sentence, expected.sentence, atol=1e-4, rtol=1e-4)


def test_training_pairs_every_layer_with_its_own_video_queries() -> None:
    network = make_network().train()
    frames, ids, mask, sizes = inputs(frames=1)
    layers = network(frames, None, ids, mask, sizes).layers
    assert not torch.equal(layers[0].clip_queries, layers[1].clip_queries)
    layers = network.eval()(frames, None, ids, mask, sizes).layers
    assert torch.equal(layers[0].clip_queries, layers[1].clip_queries)


def test_trajectories_are_a_setting_without_a_trace_where_it_is_off() -> None:
    plain, moving = SOC(SMALL), SOC(replace(SMALL, trajectories=True))
    new = set(moving.state_dict()) - set(plain.state_dict())
    assert new == {f"trajectories.layers.layers.{layer}.{part}" for layer in (0, 1) for part in ("weight", "bias")}


def test_trajectories_add_nothing_before_they_are_trained_and_tell_directions_after() -> None:
    torch.manual_seed(1)
    boxes = torch.rand(1, 5, 3, 4)
    trajectories = Trajectories(8)
    assert not trajectories(boxes).any()
    torch.nn.init.normal_(trajectories.layers.layers[-1].weight)
    forwards, backwards = trajectories(boxes), trajectories(boxes.flip(1)).flip(1)
    assert not torch.allclose(forwards, backwards)
    torch.testing.assert_close(forwards[:, 2], backwards[:, 2])
    assert trajectories(boxes[:, :1]).isfinite().all()


def test_an_untrained_trajectory_changes_no_mask() -> None:
    torch.manual_seed(2)
    plain, moving = SOC(SMALL).eval(), SOC(replace(SMALL, trajectories=True)).eval()
    moving.load_state_dict(plain.state_dict(), strict=False)
    ids, frames = torch.tensor([[0, 5, 2]]), torch.randn(1, 3, 3, 64, 64)
    chosen = []
    for network in (plain, moving):
        with torch.inference_mode():
            text = network.encode_text(ids, torch.ones_like(ids))
            chosen.append(network.segment(network.encode_video(frames), text))
    assert torch.equal(chosen[0].mask_logits, chosen[1].mask_logits)
    assert torch.equal(chosen[0].scores, chosen[1].scores)
