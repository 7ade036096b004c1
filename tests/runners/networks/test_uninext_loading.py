"""Released key lists load whole, tied copies and unread keys are named, and foreign files are refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from reference import read_list
from torch import Tensor

from runners.checkpoints.loading import CheckpointFile, match_keys, read_checkpoint
from runners.networks.text.bert import TextSizes
from runners.networks.uninext.checkpoints import backbone_renames, load_network, recognise_backbone, unread_keys, untie
from runners.networks.uninext.config import RELEASED, ResNetSizes, UninextConfig
from runners.networks.uninext.network import Uninext
from rvos.errors import CheckpointError
from rvos_fusion.parity.networks.uninext import network_config

SMALL = UninextConfig(
    backbone=ResNetSizes((1, 1, 1, 1), 4),
    text=TextSizes(20, 8, 1, 2, 8, 16),
    width=32,
    heads=2,
    encoder_layers=1,
    decoder_layers=2,
    feed_forward=16,
    queries=5,
    fusion_width=16,
    fusion_heads=2,
)


@pytest.mark.parametrize(
    ("name", "backbone", "unread"),
    [
        ("video_joint_r50", "resnet50", 398),
        ("video_joint_convnext_large", "convnext_large", 479),
        ("video_joint_vit_huge", "vit_huge", 586),
    ],
)
def test_released_key_lists_fit_with_nothing_missing_or_unexpected(name: str, backbone: str, unread: int) -> None:
    keys = read_list(f"uninext_{name}")
    config = network_config({**keys["config"], "test_resize": {"short_side": 480, "max_side": 1333}})
    assert config == UninextConfig(backbone=RELEASED[backbone])
    with torch.device("meta"):
        network = Uninext(config)
        state = {key: torch.empty(shape) for key, shape, _ in keys["keys"]}
        state["text_encoder.body.model.embeddings.position_ids"] = torch.empty(1, 512)
    assert recognise_backbone(state) == backbone
    untied, copies = untie(CheckpointFile(Path(name), state))
    _, report = match_keys(network, untied.state, renames=backbone_renames(config), ignored=unread_keys(config))
    assert report.is_complete
    earlier_copies = [key for key in copies if "class_embed" in key and ".class_embed.5." not in key]
    earlier_copies = [key for key in earlier_copies if ".class_embed.6." not in key]
    assert len(report.ignored) + len(earlier_copies) == unread + 1
    assert len(report.matched) + len(report.renamed) + len(report.ignored) + len(copies) == len(state)


def test_linking_reads_the_released_embedding_head() -> None:
    keys = read_list("uninext_video_joint_r50")
    config = UninextConfig(association_layers=2)
    with torch.device("meta"):
        network = Uninext(config)
        state = {key: torch.empty(shape) for key, shape, _ in keys["keys"]}
    untied, _ = untie(CheckpointFile(Path("x"), state))
    _, report = match_keys(network, untied.state, renames=backbone_renames(config), ignored=unread_keys(config))
    assert report.is_complete
    assert not any(key.startswith("detr.reid_embed_head.") for key in report.ignored)


def official_state(network: Uninext) -> dict[str, Tensor]:
    """Return a small network's weights under official names, tied copies and other tasks' keys included."""
    state = {}
    for name, value in network.state_dict().items():
        official = name
        for ours, theirs in (("conv1.", "stem.conv1."), ("bn1.", "stem.conv1.norm.")):
            official = official.replace(f"backbone.0.backbone.{ours}", f"backbone.0.backbone.{theirs}")
        for layer in range(1, 5):
            official = official.replace(f"layer{layer}.", f"res{layer + 1}.")
        official = official.replace("downsample.0.", "shortcut.").replace("downsample.1.", "shortcut.norm.")
        for index in (1, 2, 3):
            official = official.replace(f".bn{index}.", f".conv{index}.norm.")
        state[official] = value.clone()
        if official.startswith(("detr.detr.class_embed.", "detr.detr.bbox_embed.")):
            state[official.replace("detr.detr.", "detr.detr.transformer.decoder.")] = value.clone()
    return {"criterion._iter": torch.zeros(1), "detr.adjust_layer.bias": torch.zeros(3), **state}


def test_official_names_load_and_everything_else_is_named() -> None:
    torch.manual_seed(0)
    source, target = Uninext(SMALL), Uninext(SMALL)
    state = official_state(source)
    report = load_network(target, SMALL, CheckpointFile(Path("x.pth"), state))
    for name, value in source.state_dict().items():
        torch.testing.assert_close(target.state_dict()[name], value)
    assert {"criterion._iter", "detr.adjust_layer.bias"} <= set(report.ignored)
    assert "detr.detr.transformer.decoder.bbox_embed.0.layers.0.weight" in report.ignored
    assert any(".stem.conv1.norm." in key for key in report.renamed)


@pytest.mark.parametrize("order", [1, -1], ids=["copy first", "copy last"])
def test_the_short_spelling_wins_where_tied_copies_differ(order: int) -> None:
    state = official_state(Uninext(SMALL))
    name = "detr.detr.bbox_embed.1.layers.0.bias"
    state[name] = torch.full((32,), 2.0)
    state[name.replace("detr.detr.", "detr.detr.transformer.decoder.")] = torch.full((32,), 9.0)
    network = Uninext(SMALL)
    load_network(network, SMALL, CheckpointFile(Path("x.pth"), dict(list(state.items())[::order])))
    assert (network.get_parameter(name) == 2).all()


def test_a_lone_tied_copy_is_enough() -> None:
    state = official_state(Uninext(SMALL))
    short = {key for key in state if key.startswith("detr.detr.bbox_embed.")}
    load_network(Uninext(SMALL), SMALL, CheckpointFile(Path("x"), {k: v for k, v in state.items() if k not in short}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("detr.controller.layers.0.bias"), "1 missing: detr.controller.layers.0.bias"),
        (lambda state: state.update({"detr.new.weight": torch.zeros(1)}), "1 unexpected: detr.new.weight"),
        (lambda state: state.update({"detr.mask_head.lay3.bias": torch.zeros(31)}), "1 of another shape"),
        (lambda state: state["detr.mask_head.lay3.bias"].fill_(torch.nan), "NaN or infinity"),
    ],
    ids=["missing", "unexpected", "shape", "not finite"],
)
def test_a_file_that_does_not_fit_is_refused(change: object, message: str) -> None:
    state = official_state(Uninext(SMALL))
    change(state)  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=message):
        load_network(Uninext(SMALL), SMALL, CheckpointFile(Path("x.pth"), state))


class _Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_pickle_that_wants_to_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"model": {"weight": np.zeros(3)}, "x": _Payload()}, protocol=protocol))
    with pytest.raises(CheckpointError, match=r"model\.pkl: refused, it holds (pathlib|builtins|__builtin__)"):
        read_checkpoint(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_plain_pickle_of_arrays_loads(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "zoo.pkl"
    state = {name: value.numpy() for name, value in official_state(Uninext(SMALL)).items()}
    path.write_bytes(pickle.dumps({"model": state, "__author__": "somebody"}, protocol=protocol))
    load_network(Uninext(SMALL), SMALL, read_checkpoint(path))


def test_a_cut_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zoo.pkl"
    path.write_bytes(pickle.dumps({"model": {"weight": np.zeros(300)}})[:200])
    with pytest.raises(CheckpointError, match=r"not a readable pickle|refused"):
        read_checkpoint(path)


def test_a_torch_file_of_arrays_loads(tmp_path: Path) -> None:
    path = tmp_path / "zoo.pkl"
    state = {name: value.numpy() for name, value in official_state(Uninext(SMALL)).items()}
    torch.save({"model": state, "__author__": "somebody"}, path)
    load_network(Uninext(SMALL), SMALL, read_checkpoint(path))
