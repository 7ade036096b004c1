"""SAM 2's weights, from official `.pt` files and from the hub's folders: every key is accounted for, or none is loaded.

Source: docs/specs/sam2.md, sections 1 and 4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from deaot_toolkit.checkpoints import check_fit, read_state
from deaot_toolkit.file_values import take_values
from deaot_toolkit.hub_folders import check_hub_folder, read_hub_weights
from sam3_toolkit.key_names import HUB_KEY as HUB_SAM3_KEY
from sam3_toolkit.key_names import OFFICIAL_KEY as OFFICIAL_SAM3_KEY
from torch import Tensor, nn

from propagate.engines.inputs import translated
from propagate.engines.sam2.sizes import SIZES

OFFICIAL_KEY = "image_encoder.trunk.patch_embed.proj.weight"
_POINTS = "sam_prompt_encoder.point_embeddings."
_GAUSSIAN = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"

# Each rule is tried on what the rules before it left; the order matters where one name is part of another.
_MLP = {"0": "proj_in", "1": "proj_out"}
_DEEP_MLP = {"0": "proj_in", "1": "layers.0", "2": "proj_out"}
_HEADS = r"mask_decoder\.(?:output_hypernetworks_mlps\.\d|iou_prediction_head|pred_obj_score_head)|object_pointer_proj"
_RULES: tuple[tuple[str, str], ...] = (
    (r"^image_encoder\.trunk\.patch_embed\.proj\.", "vision_encoder.backbone.patch_embed.projection."),
    (r"^image_encoder\.trunk\.(blocks\.\d+\.)norm(\d)\.", r"vision_encoder.backbone.\1layer_norm\2."),
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^(memory_attention\..*)out_proj\.", r"\1o_proj."),
    (r"^(memory_attention\.layers\.\d\.)norm(\d)\.", r"\1layer_norm\2."),
    (r"^memory_attention\.norm\.", "memory_attention.layer_norm."),
    (r"^memory_encoder\.mask_downsampler\.encoder\.12\.", "memory_encoder.mask_downsampler.final_conv."),
    (r"^memory_encoder\.pix_feat_proj\.", "memory_encoder.feature_projection."),
    (r"^memory_encoder\.out_proj\.", "memory_encoder.projection."),
    (r"^(memory_encoder\.)fuser(\.layers\.\d)\.gamma$", r"\1memory_fuser\2.scale"),
    (r"^(memory_encoder\.)fuser(\.layers\.\d)\.dwconv\.", r"\1memory_fuser\2.depthwise_conv."),
    (r"^(memory_encoder\.)fuser(\.layers\.\d)\.pwconv(\d)\.", r"\1memory_fuser\2.pointwise_conv\3."),
    (r"^(memory_encoder\.)fuser(\.layers\.\d)\.norm\.", r"\1memory_fuser\2.layer_norm."),
    (r"^sam_prompt_encoder\.mask_downscaling\.0\.", "prompt_encoder.mask_embed.conv1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.1\.", "prompt_encoder.mask_embed.layer_norm1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.3\.", "prompt_encoder.mask_embed.conv2."),
    (r"^sam_prompt_encoder\.mask_downscaling\.4\.", "prompt_encoder.mask_embed.layer_norm2."),
    (r"^sam_prompt_encoder\.mask_downscaling\.6\.", "prompt_encoder.mask_embed.conv3."),
    (r"^sam_prompt_encoder\.point_embeddings\.\d\.", "prompt_encoder.point_embed."),
    (r"^sam_prompt_encoder\.pe_layer\..*", "prompt_encoder.shared_embedding.positional_embedding"),
    (r"^sam_prompt_encoder\.", "prompt_encoder."),
    (r"^sam_mask_decoder\.(transformer\..*)out_proj\.", r"mask_decoder.\1o_proj."),
    (r"^sam_mask_decoder\.(transformer\.layers\.\d\.)norm(\d)\.", r"mask_decoder.\1layer_norm\2."),
    (r"^sam_mask_decoder\.transformer\.norm_final_attn\.", "mask_decoder.transformer.layer_norm_final_attn."),
    (r"^sam_mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
    (r"^sam_mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
    (r"^sam_mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
    (r"^sam_mask_decoder\.", "mask_decoder."),
    (r"^obj_ptr_proj\.", "object_pointer_proj."),
    (r"^obj_ptr_tpos_proj\.", "temporal_positional_encoding_projection_layer."),
    (r"^maskmem_tpos_enc$", "memory_temporal_positional_encoding"),
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"^no_mem_pos_enc$", "no_memory_positional_encoding"),
    (r"^no_obj_ptr$", "no_object_pointer"),
    (r"^no_obj_embed_spatial$", "occlusion_spatial_embedding_parameter"),
)


def rename_official(name: str) -> str:
    """Return what `transformers` calls an official key; unknown keys keep their name."""
    for pattern, replacement in _RULES:
        name, n_hits = re.subn(pattern, replacement, name)
        if n_hits:
            break
    name = re.sub(
        r"^(memory_encoder\.mask_downsampler\.)encoder\.(\d+)\.",
        lambda found: f"{found[1]}layers.{int(found[2]) // 3}.{('conv', 'layer_norm')[int(found[2]) % 3]}.",
        name,
    )
    # Two-layer perceptrons of the trunk's blocks and the two-way layers, three-layer ones of the heads.
    name = re.sub(r"(\.mlp\.)layers\.([01])\.", lambda found: f"{found[1]}{_MLP[found[2]]}.", name)
    return re.sub(rf"^({_HEADS})\.layers\.([012])\.", lambda found: f"{found[1]}.{_DEEP_MLP[found[2]]}.", name)


def convert_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return an official state dict under the names of `transformers`; no value changes.

    The four point embeddings become one table, and the random matrix of the position encoding is stored twice.
    """
    points = {name: value for name, value in state.items() if name.startswith(_POINTS)}
    renamed = {rename_official(name): value for name, value in state.items() if name not in points}
    if set(points) == {f"{_POINTS}{number}.weight" for number in range(len(points))} and points:
        renamed["prompt_encoder.point_embed.weight"] = torch.cat([points[name] for name in sorted(points)])
    else:
        renamed |= points
    if _GAUSSIAN in state:
        renamed["shared_image_embedding.positional_embedding"] = state[_GAUSSIAN]
    return renamed


def read_weights(path: Path, *, outline: bool = False) -> dict[str, Tensor]:
    """Return the state dict, under the names of `transformers`, of an official file or of a hub's folder.

    Args:
        outline: tensors without their values, on the device `meta`.

    Raises:
        CheckpointError: missing, damaged, of another model, or wanting to execute code.
    """
    with translated():
        if path.is_dir():
            check_hub_folder(path, model_type="sam2_video", network="SAM 2", file="an official .pt file")
            state = read_hub_weights(path, outline=outline)
        else:
            state, _ = read_state(path, outline=outline)
    return convert_official(state) if OFFICIAL_KEY in state else state


def load_weights(model: nn.Module, path: Path, *, network: str, outline: bool = False) -> None:
    """Load every key of a checkpoint, or nothing; for an outline nothing, and no value is read.

    Raises:
        CheckpointError: unreadable; keys missing, unexpected or of another shape; values that are not finite.
    """
    expected = model.state_dict()
    state = read_weights(path, outline=outline)
    likely = "sam3" if {OFFICIAL_SAM3_KEY, HUB_SAM3_KEY} & state.keys() else recognise(state)
    # Loading 2.1 as 2.0 is the commonest mistake.
    advice = "give a checkpoint of SAM 2" if likely is None else f"it looks like {likely}; name that network"
    with translated():
        check_fit(expected, state, source=str(path), name=network, advice=advice)
    if not outline:
        take_values(model, state)


def recognise(state: Mapping[str, Tensor]) -> str | None:
    """Return the network that keys under the names of `transformers` look like; None: no known one.

    The version shows in one key, the size in the width and the number of blocks of the trunk.
    """
    stem = state.get("vision_encoder.backbone.patch_embed.projection.weight")
    if stem is None:
        return None
    blocks = len({name.split(".")[3] for name in state if name.startswith("vision_encoder.backbone.blocks.")})
    version = "sam2.1" if "occlusion_spatial_embedding_parameter" in state else "sam2"
    fitting = (name for name, size in SIZES.items() if (size.widths[0], sum(size.blocks)) == (stem.shape[0], blocks))
    return next((f"{version}-{name}" for name in fitting), None)
