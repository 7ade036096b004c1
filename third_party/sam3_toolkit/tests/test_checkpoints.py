"""Official names have their place, and a file loads whole or not at all."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from deaot_toolkit.checkpoints import check_fit
from deaot_toolkit.errors import CheckpointError, NetworkConfigError
from safetensors.torch import save_file
from torch import Tensor

from sam3_toolkit.checkpoints import list_entries, list_expected, load_weights, read_weights, recognise
from sam3_toolkit.configs import CONFIGS, NetworkConfig, find_config
from sam3_toolkit.detector import Detector
from sam3_toolkit.key_names import OFFICIAL_KEY, UNUSED, convert_official, rename_official
from sam3_toolkit.tracker import Tracker

SIDE = 56
LAYOUT = json.loads((Path(__file__).parent / "official_layout.json").read_text())
"""Names and shapes of `sam3.pt`, one block or layer standing for all alike."""
MINI = CONFIGS["sam3-mini"]
TABLE = {
    "detector.backbone.vision_backbone.trunk.blocks.7.mlp.fc1.bias": (
        "detector_model.vision_encoder.backbone.layers.7.mlp.fc1.bias",
    ),
    "detector.backbone.vision_backbone.trunk.blocks.7.attn.qkv.bias": tuple(
        f"detector_model.vision_encoder.backbone.layers.7.attention.{one}_proj.bias" for one in "qkv"
    ),
    "detector.backbone.vision_backbone.sam2_convs.0.dconv_2x2_1.bias": (
        "tracker_neck.fpn_layers.0.scale_layers.2.bias",
    ),
    "detector.transformer.decoder.layers.5.norm1.weight": (
        "detector_model.detr_decoder.layers.5.vision_cross_attn_layer_norm.weight",
    ),
    "detector.transformer.decoder.layers.5.norm2.weight": (
        "detector_model.detr_decoder.layers.5.self_attn_layer_norm.weight",
    ),
    "tracker.maskmem_backbone.out_proj.weight": ("tracker_model.memory_encoder.projection.weight",),
    "tracker.sam_prompt_encoder.point_embeddings.2.weight": ("tracker_model.prompt_encoder.point_embed.weight",),
    "something.else": ("something.else",),
}


def list_official() -> dict[str, Tensor]:
    """Return the official entries without values."""
    counts = {".blocks.": 32, ".resblocks.": 24}
    names: dict[str, list[int]] = {}
    for name, shape in LAYOUT.items():
        part = next((part for part in counts if f"{part}N." in name), "")
        for number in range(counts.get(part, 1)):
            names[name.replace("N.", f"{number}.")] = shape
    return {name: torch.empty(shape, device="meta") for name, shape in names.items()}


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    torch.manual_seed(0)
    return Tracker(MINI, SIDE)


@pytest.fixture(scope="module")
def whole(tracker: Tracker) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return list_entries(Detector(MINI, SIDE)) | list_entries(tracker)


def save(state: dict[str, Tensor], path: Path) -> Path:
    torch.save({"model": state}, path)
    return path


@pytest.mark.parametrize("official", TABLE)
def test_official_names_are_those_of_the_table(official: str) -> None:
    assert rename_official(official) == TABLE[official]


def test_every_official_key_has_its_place() -> None:
    state = list_official()
    assert len(state) == 1465
    found = convert_official(state)
    expected = list_expected(found, NetworkConfig())
    check_fit(expected, found, source="sam3.pt", name="sam3", advice="")
    # 845 of the tracker and 1,468 of the detector, which share a trunk.
    assert len(found) == 845 + 1468 - sum("vision_encoder.backbone." in name for name in found)
    assert recognise(found) == "sam3"


@pytest.mark.parametrize("place", [*range(0, 1465, 97), -1])
def test_an_official_file_that_lacks_any_entry_is_refused(place: int) -> None:
    state = list_official()
    lost = sorted(name for name in state if name not in UNUSED)[place % (len(state) - len(UNUSED))]
    found = convert_official({name: value for name, value in state.items() if name != lost})
    with pytest.raises(CheckpointError, match=r"nothing was loaded; \d+ missing"):
        check_fit(list_expected(found, NetworkConfig()), found, source="sam3.pt", name="sam3", advice="")


def test_values_are_split_cut_turned_and_joined() -> None:
    trunk = "detector.backbone.vision_backbone.trunk."
    state = {
        f"{trunk}blocks.0.attn.qkv.weight": torch.arange(12.0).reshape(6, 2),
        f"{trunk}pos_embed": torch.arange(5.0).reshape(1, 5, 1),
        "detector.backbone.language_backbone.encoder.text_projection": torch.arange(6.0).reshape(2, 3),
        **{
            f"tracker.sam_prompt_encoder.point_embeddings.{n}.weight": torch.full((1, 4), float(n))
            for n in (2, 0, 3, 1)
        },
        "tracker.sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": torch.ones(2, 3),
        f"{trunk}blocks.0.attn.freqs_cis": torch.zeros(1),
    }
    found = convert_official(state)
    layers = "detector_model.vision_encoder.backbone.layers.0.attention."
    assert found[f"{layers}k_proj.weight"].tolist() == [[4, 5], [6, 7]]
    assert found["detector_model.vision_encoder.backbone.embeddings.position_embeddings"].flatten().tolist() == [
        1,
        2,
        3,
        4,
    ]
    assert found["detector_model.text_encoder.text_projection.weight"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["tracker_model.prompt_encoder.point_embed.weight"][:, 0].tolist() == [0, 1, 2, 3]
    assert found["tracker_model.shared_image_embedding.positional_embedding"].shape == (2, 3)
    assert not any("freqs_cis" in name for name in found)


def test_both_parts_load_from_one_file_and_share_the_trunk(whole: dict[str, Tensor], tmp_path: Path) -> None:
    path = save(whole, tmp_path / "sam3.pt")
    for part in (Tracker(MINI, SIDE), Detector(MINI, SIDE)):
        load_weights(part, path, network="sam3-mini")
        assert all(torch.equal(value, whole[name]) for name, value in list_entries(part).items())


def test_a_folder_of_the_hub_is_read(whole: dict[str, Tensor], tmp_path: Path) -> None:
    save_file({name: value.clone() for name, value in whole.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "sam3_video"}')
    target = Tracker(MINI, SIDE)
    load_weights(target, tmp_path, network="sam3-mini")
    assert all(torch.equal(value, whole[name]) for name, value in list_entries(target).items())
    (tmp_path / "config.json").write_text('{"model_type": "sam2_video"}')
    with pytest.raises(CheckpointError, match=r"model of type 'sam2_video', expected 'sam3_video'; give SAM 3"):
        read_weights(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no folder of the hub .* official sam3\.pt"):
        read_weights(tmp_path)


def test_a_file_of_the_tracker_alone_serves_the_tracker_alone(tracker: Tracker, tmp_path: Path) -> None:
    path = save(list_entries(tracker), tmp_path / "tracker.pt")
    load_weights(Tracker(MINI, SIDE), path, network="sam3-mini")
    with pytest.raises(CheckpointError, match="missing: detector_model"):
        load_weights(Detector(MINI, SIDE), path, network="sam3-mini")


@pytest.mark.parametrize(
    "lost",
    ["tracker_model.no_object_pointer", "tracker_neck.fpn_layers.3.proj1.bias", "detector_model.text_projection.bias"],
)
def test_a_file_that_lacks_an_entry_of_any_part_is_refused_whole(
    whole: dict[str, Tensor], tmp_path: Path, lost: str
) -> None:
    path = save({name: value for name, value in whole.items() if name != lost}, tmp_path / "x.pt")
    target = Tracker(MINI, SIDE)
    target.model.no_memory_embedding.data.fill_(7)
    with pytest.raises(CheckpointError, match=rf"nothing was loaded; 1 missing: {lost}; it looks like sam3-mini"):
        load_weights(target, path, network="sam3-mini")
    assert (target.model.no_memory_embedding == 7).all()


def test_unknown_entries_and_other_shapes_are_refused(whole: dict[str, Tensor], tmp_path: Path) -> None:
    path = save(
        {**whole, "extra": torch.zeros(1), "tracker_model.no_object_pointer": torch.zeros(2)}, tmp_path / "x.pt"
    )
    message = r"1 unexpected: extra; 1 of another shape: tracker_model\.no_object_pointer \(2,\), expected \(1, 256\)"
    with pytest.raises(CheckpointError, match=message):
        load_weights(Tracker(MINI, SIDE), path, network="sam3-mini")


def test_points_that_the_library_cannot_take_still_belong_to_an_official_file(tmp_path: Path) -> None:
    state = {OFFICIAL_KEY: torch.zeros(1), **{name: torch.zeros(1) for name in UNUSED[:-1]}}
    with pytest.raises(CheckpointError, match=rf"1 missing: {UNUSED[-1]}"):
        read_weights(save(state, tmp_path / "x.pt"))


def test_values_that_are_not_finite_are_refused(whole: dict[str, Tensor], tmp_path: Path) -> None:
    path = save({**whole, "tracker_model.no_object_pointer": torch.full((1, 256), torch.nan)}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"NaN or infinity in tracker_model\.no_object_pointer"):
        load_weights(Tracker(MINI, SIDE), path, network="sam3-mini")


def test_sam_2_and_sam_3_1_are_named(tmp_path: Path) -> None:
    other = save({"image_encoder.trunk.patch_embed.proj.weight": torch.zeros(1)}, tmp_path / "sam2.pt")
    with pytest.raises(CheckpointError, match="it looks like SAM 2; name a network of SAM 2"):
        load_weights(Tracker(MINI, SIDE), other, network="sam3-mini")
    newer = save({"tracker.model.interactive_obj_ptr_proj.layers.0.weight": torch.zeros(1)}, tmp_path / "sam3.1.pt")
    with pytest.raises(CheckpointError, match=r"is of SAM 3\.1 \(multiplex\)"):
        load_weights(Tracker(MINI, SIDE), newer, network="sam3-mini")


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


def test_unknown_networks_list_the_choices() -> None:
    with pytest.raises(NetworkConfigError, match=r"'sam3\.1' is unknown; choose one of sam3, sam3-mini"):
        find_config("sam3.1")


@pytest.mark.parametrize("side", [0, 42, 100, 1000])
def test_inputs_that_do_not_fit_are_refused(side: int) -> None:
    with pytest.raises(NetworkConfigError, match=f"image_size {side}; give a multiple of 14 from 56, best one of 336"):
        NetworkConfig().vision(side)
