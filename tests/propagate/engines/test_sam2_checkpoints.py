"""Weights of SAM 2: official files and the hub's folders, every key accounted for, nothing executed."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from hub_parts import split_weights
from reference import read_reference
from sam2_weights import NETWORK, SIDE, make_network
from sam3_toolkit.key_names import HUB_KEY, OFFICIAL_KEY
from torch import Tensor

from propagate.engines.sam2.checkpoints import (
    convert_official,
    load_weights,
    read_weights,
    recognise,
    rename_official,
)
from propagate.engines.sam2.network import Sam2Network
from propagate.engines.sam2.settings import Sam2Settings
from propagate.engines.sam2.sizes import SIZES, find_config
from propagate.engines.table import build_engine
from rvos.errors import CheckpointError, ConfigError

CPU = torch.device("cpu")
# One of each row of the specification's table.
NAMES = {
    "image_encoder.trunk.patch_embed.proj.bias": "vision_encoder.backbone.patch_embed.projection.bias",
    "image_encoder.trunk.blocks.3.norm1.weight": "vision_encoder.backbone.blocks.3.layer_norm1.weight",
    "image_encoder.trunk.blocks.3.mlp.layers.1.bias": "vision_encoder.backbone.blocks.3.mlp.proj_out.bias",
    "image_encoder.trunk.blocks.1.attn.qkv.weight": "vision_encoder.backbone.blocks.1.attn.qkv.weight",
    "image_encoder.trunk.pos_embed_window": "vision_encoder.backbone.pos_embed_window",
    "image_encoder.neck.convs.2.conv.bias": "vision_encoder.neck.convs.2.bias",
    "memory_attention.layers.0.self_attn.out_proj.weight": "memory_attention.layers.0.self_attn.o_proj.weight",
    "memory_attention.layers.0.linear1.weight": "memory_attention.layers.0.linear1.weight",
    "memory_attention.layers.1.norm3.bias": "memory_attention.layers.1.layer_norm3.bias",
    "memory_attention.norm.weight": "memory_attention.layer_norm.weight",
    "memory_encoder.mask_downsampler.encoder.9.weight": "memory_encoder.mask_downsampler.layers.3.conv.weight",
    "memory_encoder.mask_downsampler.encoder.4.bias": "memory_encoder.mask_downsampler.layers.1.layer_norm.bias",
    "memory_encoder.mask_downsampler.encoder.12.bias": "memory_encoder.mask_downsampler.final_conv.bias",
    "memory_encoder.out_proj.weight": "memory_encoder.projection.weight",
    "memory_encoder.pix_feat_proj.weight": "memory_encoder.feature_projection.weight",
    "memory_encoder.fuser.layers.1.gamma": "memory_encoder.memory_fuser.layers.1.scale",
    "memory_encoder.fuser.layers.1.norm.bias": "memory_encoder.memory_fuser.layers.1.layer_norm.bias",
    "memory_encoder.fuser.layers.0.pwconv2.bias": "memory_encoder.memory_fuser.layers.0.pointwise_conv2.bias",
    "sam_prompt_encoder.mask_downscaling.4.weight": "prompt_encoder.mask_embed.layer_norm2.weight",
    "sam_prompt_encoder.no_mask_embed.weight": "prompt_encoder.no_mask_embed.weight",
    "sam_mask_decoder.transformer.layers.0.norm4.bias": "mask_decoder.transformer.layers.0.layer_norm4.bias",
    "sam_mask_decoder.transformer.layers.1.mlp.layers.0.bias": "mask_decoder.transformer.layers.1.mlp.proj_in.bias",
    "sam_mask_decoder.transformer.norm_final_attn.bias": "mask_decoder.transformer.layer_norm_final_attn.bias",
    "sam_mask_decoder.output_upscaling.1.bias": "mask_decoder.upscale_layer_norm.bias",
    "sam_mask_decoder.output_hypernetworks_mlps.3.layers.1.bias": (
        "mask_decoder.output_hypernetworks_mlps.3.layers.0.bias"
    ),
    "sam_mask_decoder.iou_prediction_head.layers.2.weight": "mask_decoder.iou_prediction_head.proj_out.weight",
    "sam_mask_decoder.conv_s0.weight": "mask_decoder.conv_s0.weight",
    "obj_ptr_proj.layers.0.weight": "object_pointer_proj.proj_in.weight",
    "obj_ptr_tpos_proj.bias": "temporal_positional_encoding_projection_layer.bias",
    "maskmem_tpos_enc": "memory_temporal_positional_encoding",
    "mask_downsample.weight": "mask_downsample.weight",
    "no_obj_embed_spatial": "occlusion_spatial_embedding_parameter",
}


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return dict(make_network().model.state_dict())


@pytest.fixture(scope="module")
def target() -> Sam2Network:
    return Sam2Network(find_config(NETWORK, SIDE))


def wrap(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


def write_folder(folder: Path, state: dict[str, Tensor], model_type: str = "sam2_video") -> Path:
    from safetensors.torch import save_file

    folder.mkdir()
    save_file({name: value.clone() for name, value in state.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    return folder


@pytest.mark.parametrize("official", NAMES)
def test_official_names_are_those_of_the_table(official: str) -> None:
    assert rename_official(official) == NAMES[official]


@pytest.mark.parametrize(("case", "network"), [("tiny20_box", "sam2"), ("tiny21_occlusion", "sam2.1")])
def test_every_official_key_has_its_place(case: str, network: str) -> None:
    listed = read_reference(f"sam2/{case}").keys["keys"]
    given = {name: torch.zeros(shape) for name, shape, _ in listed}
    with torch.device("meta"):
        expected = Sam2Network(find_config(f"{network}-hiera-tiny")).model.state_dict()
    found = convert_official(given)
    assert {name: value.shape for name, value in found.items()} == {n: value.shape for n, value in expected.items()}


@pytest.mark.parametrize("network", ["sam2.1-hiera-tiny", "sam2-hiera-small", "sam2.1-hiera-base-plus", "sam2-mini"])
def test_networks_are_told_by_their_keys(network: str) -> None:
    with torch.device("meta"):
        made = Sam2Network(find_config(network))
    assert recognise(made.model.state_dict()) == network


def test_keys_of_something_else_are_no_network() -> None:
    assert recognise({"image_encoder.trunk.pos_embed": torch.zeros(1)}) is None


def test_point_embeddings_become_one_table_in_order() -> None:
    points = {f"sam_prompt_encoder.point_embeddings.{n}.weight": torch.full((1, 4), float(n)) for n in (2, 0, 3, 1)}
    table = convert_official(points)["prompt_encoder.point_embed.weight"]
    assert table[:, 0].tolist() == [0, 1, 2, 3]


def test_a_folder_of_the_hub_is_read(state: dict[str, Tensor], target: Sam2Network, tmp_path: Path) -> None:
    load_weights(target.model, write_folder(tmp_path / "hub", state), network=NETWORK)
    assert all(torch.equal(value, state[name]) for name, value in target.model.state_dict().items())


@pytest.mark.parametrize("envelope", ["model", None])
def test_torch_files_are_read_with_and_without_envelope(
    state: dict[str, Tensor], target: Sam2Network, tmp_path: Path, envelope: str | None
) -> None:
    path = tmp_path / "sam2.pt"
    torch.save({envelope: state} if envelope else state, path)
    load_weights(target.model, path, network=NETWORK)


@pytest.mark.parametrize("prefix", ["model.", "module.", "_forward_module.", "_forward_module.model."])
@pytest.mark.parametrize("envelope", ["state_dict", "module"])
def test_what_trainers_put_around_the_network_is_taken_away(
    state: dict[str, Tensor], target: Sam2Network, tmp_path: Path, prefix: str, envelope: str
) -> None:
    torch.save({envelope: wrap(state, prefix), "epoch": 3}, tmp_path / "last.ckpt")
    load_weights(target.model, tmp_path / "last.ckpt", network=NETWORK)
    load_weights(target.model, write_folder(tmp_path / "hub", wrap(state, prefix)), network=NETWORK)
    assert all(torch.equal(value, state[name]) for name, value in target.model.state_dict().items())


def test_a_folder_whose_weights_lie_in_parts_is_read(
    state: dict[str, Tensor], target: Sam2Network, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "hub", state)
    split_weights(folder)
    load_weights(target.model, folder, network=NETWORK)
    assert all(torch.equal(value, state[name]) for name, value in target.model.state_dict().items())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("model-00001-of-00002.safetensors", "part 1 of 2 of a checkpoint, not the whole; give the folder"),
        ("model.safetensors.index.json", "the index of weights that lie in several parts, .*; give the folder"),
    ],
)
def test_one_part_and_the_index_say_to_give_the_folder(
    state: dict[str, Tensor], tmp_path: Path, name: str, reason: str
) -> None:
    folder = write_folder(tmp_path / "hub", state)
    split_weights(folder)
    with pytest.raises(CheckpointError, match=f"{name}: {reason}"):
        read_weights(folder / name)


def test_a_packed_file_is_named(state: dict[str, Tensor], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "sam2.pt", "w") as archive:
        archive.writestr("inner.pt", b"")
    with pytest.raises(CheckpointError, match=r"a zip archive around inner\.pt, not a checkpoint; unpack it first"):
        read_weights(tmp_path / "sam2.pt")


def test_a_missing_and_an_unknown_key_load_nothing(
    state: dict[str, Tensor], target: Sam2Network, tmp_path: Path
) -> None:
    torch.save(
        {**{n: v for n, v in state.items() if n != "no_object_pointer"}, "extra": torch.zeros(1)}, tmp_path / "x.pt"
    )
    with torch.no_grad():
        target.model.no_memory_embedding.fill_(7)
    with pytest.raises(CheckpointError, match=r"1 missing: no_object_pointer; 1 unexpected: extra"):
        load_weights(target.model, tmp_path / "x.pt", network=NETWORK)
    assert (target.model.no_memory_embedding == 7).all()


def test_the_newer_version_is_named_where_the_older_is_asked_for(state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(state, tmp_path / "x.pt")
    older = Sam2Network(find_config("sam2-mini", SIDE))
    with pytest.raises(CheckpointError, match=r"it looks like sam2\.1-mini; name that network"):
        load_weights(older.model, tmp_path / "x.pt", network="sam2-mini")


@pytest.mark.parametrize("key", [OFFICIAL_KEY, HUB_KEY])
def test_sam_3_is_named_where_sam_2_is_asked_for(target: Sam2Network, tmp_path: Path, key: str) -> None:
    torch.save({key: torch.zeros(1)}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"it looks like sam3; name that network"):
        load_weights(target.model, tmp_path / "x.pt", network=NETWORK)


def test_values_that_are_not_finite_are_refused(state: dict[str, Tensor], target: Sam2Network, tmp_path: Path) -> None:
    torch.save({**state, "no_object_pointer": torch.full((1, 256), torch.nan)}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="NaN or infinity in no_object_pointer"):
        load_weights(target.model, tmp_path / "x.pt", network=NETWORK)


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)

    path = Path()


def test_nothing_is_executed(tmp_path: Path) -> None:
    _Runs.path = tmp_path / "made"
    (tmp_path / "x.pt").write_bytes(pickle.dumps({"model": _Runs()}))
    with pytest.raises(CheckpointError):
        read_weights(tmp_path / "x.pt")
    assert not (tmp_path / "made").exists()


def test_folders_of_other_models_are_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds a model of type 'sam3'"):
        read_weights(write_folder(tmp_path / "sam3", {"x": torch.zeros(1)}, "sam3"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"no folder of the hub .* official \.pt file"):
        read_weights(tmp_path / "empty")


def test_the_table_of_engines_builds_it(state: dict[str, Tensor], tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "hub", state)
    engine = build_engine(Sam2Settings(NETWORK, folder, image_size=SIDE), device=CPU)
    assert not engine.carries_memory
    with pytest.raises(CheckpointError, match=r"nothing\.pt"):
        build_engine(Sam2Settings(NETWORK, tmp_path / "nothing.pt", image_size=SIDE), device=CPU)


@pytest.mark.parametrize("network", ["sam2.2-hiera-tiny", "sam2-hiera-huge", "sam2"])
def test_unknown_networks_list_the_choices(network: str) -> None:
    with pytest.raises(ConfigError, match=r"sam2\.1-hiera-base-plus"):
        find_config(network)


@pytest.mark.parametrize("side", [0, 32, 100, 1000])
def test_input_sizes_that_do_not_fit_are_refused(side: int) -> None:
    with pytest.raises(ConfigError, match=f"image_size {side}; give a multiple of 32"):
        find_config(NETWORK, side)


def test_parameters_are_as_many_as_published() -> None:
    millions = {}
    for name in SIZES:
        with torch.device("meta"):
            made = Sam2Network(find_config(f"sam2.1-{name}"))
        millions[name] = sum(parameter.numel() for parameter in made.parameters()) / 1e6
    published = {"hiera-tiny": 38.96, "hiera-small": 46, "hiera-base-plus": 80.8, "hiera-large": 224.4}
    assert {name: millions[name] for name in published} == pytest.approx(published, abs=0.1)
