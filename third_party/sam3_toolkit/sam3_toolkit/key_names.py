"""What `transformers` calls the entries of an official file, and what becomes of their values.

Names are those of the library's video model, which the hub's folder has too: `detector_model.`, `tracker_model.`,
`tracker_neck.`. Source: docs/specs/sam3.md, section 4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

OFFICIAL_KEY = "detector.backbone.vision_backbone.trunk.patch_embed.proj.weight"
HUB_KEY = "detector_model.vision_encoder.backbone.embeddings.patch_embeddings.projection.weight"
UNUSED = tuple(
    f"detector.geometry_encoder.points_{part}_project.{kind}"
    for part in ("direct", "pool", "pos_enc")
    for kind in ("weight", "bias")
)
"""Entries of every official file that the library has no place for: its detector takes no points."""
COMPUTED = ".freqs_cis"
"""Ending of tables that are computed; a file may have them."""
_POINTS = "tracker.sam_prompt_encoder.point_embeddings."
_POINT_TABLE = "tracker_model.prompt_encoder.point_embed.weight"
_GAUSSIAN = "tracker_model.prompt_encoder.shared_embedding.positional_embedding"
_GAUSSIAN_AGAIN = "tracker_model.shared_image_embedding.positional_embedding"
_STACKED = re.compile(r"(.*\.)(?:qkv\.|in_proj_)(weight|bias)$")

Rules = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the network: its prefix in official files and in the library, and rules for the rest of the name.

    Args:
        rules: pattern and replacement; all that fit, one after the other.
    """

    official: str
    library: str
    rules: Rules = ()


_NECK: Rules = (
    (r"dconv_2x2(_0)?\.", "scale_layers.0."),
    (r"dconv_2x2_1\.", "scale_layers.2."),
    (r"conv_1x1\.", "proj1."),
    (r"conv_3x3\.", "proj2."),
)
_PROMPTED: Rules = (
    (r"out_proj\.", "o_proj."),
    (r"cross_attn_image\.", "cross_attn."),
    (r"(\d\.)norm(\d)\.", r"\1layer_norm\2."),
    (r"(\d\.)linear(\d)\.", r"\1mlp.fc\2."),
)
_THREE_LAYERS: Rules = ((r"layers\.0\.", "proj_in."), (r"layers\.1\.", "layers.0."), (r"layers\.2\.", "proj_out."))
PARTS: tuple[Part, ...] = (
    Part(
        "detector.backbone.vision_backbone.trunk.",
        "detector_model.vision_encoder.backbone.",
        (
            (r"^pos_embed$", "embeddings.position_embeddings"),
            (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
            (r"^ln_pre\.", "layer_norm."),
            (r"^blocks\.", "layers."),
            (r"\.norm(\d)\.", r".layer_norm\1."),
            (r"\.attn\.", ".attention."),
            (r"\.attention\.proj\.", ".attention.o_proj."),
        ),
    ),
    Part("detector.backbone.vision_backbone.convs.", "detector_model.vision_encoder.neck.fpn_layers.", _NECK),
    Part("detector.backbone.vision_backbone.sam2_convs.", "tracker_neck.fpn_layers.", _NECK),
    Part("detector.backbone.language_backbone.resizer.", "detector_model.text_projection."),
    Part(
        "detector.backbone.language_backbone.encoder.",
        "detector_model.text_encoder.",
        (
            (r"^text_projection$", "text_projection.weight"),
            (r"^token_embedding\.", "text_model.embeddings.token_embedding."),
            (r"^positional_embedding$", "text_model.embeddings.position_embedding.weight"),
            (r"^ln_final\.", "text_model.final_layer_norm."),
            (r"^transformer\.resblocks\.", "text_model.encoder.layers."),
            (r"\.attn\.", ".self_attn."),
            (r"\.ln_(\d)\.", r".layer_norm\1."),
            (r"\.mlp\.c_fc\.", ".mlp.fc1."),
            (r"\.mlp\.c_proj\.", ".mlp.fc2."),
        ),
    ),
    Part(
        "detector.geometry_encoder.",
        "detector_model.geometry_encoder.",
        (
            (r"^norm\.", "prompt_layer_norm."),
            (r"^img_pre_norm\.", "vision_layer_norm."),
            (r"^encode_norm\.", "output_layer_norm."),
            (r"^encode\.", "layers."),
            *_PROMPTED,
        ),
    ),
    Part("detector.transformer.encoder.", "detector_model.detr_encoder.", _PROMPTED),
    Part(
        "detector.transformer.decoder.",
        "detector_model.detr_decoder.",
        (
            (r"(_embed|_head)(_[xy])?\.layers\.0\.", r"\1\2.layer1."),
            (r"(_embed|_head)(_[xy])?\.layers\.1\.", r"\1\2.layer2."),
            (r"(_embed|_head)(_[xy])?\.layers\.2\.", r"\1\2.layer3."),
            (r"^bbox_embed\.", "box_head."),
            (r"^presence_token_head\.", "presence_head."),
            (r"^boxRPB_embed_", "box_rpb_embed_"),
            (r"^norm\.", "output_layer_norm."),
            (r"^presence_token_out_norm\.", "presence_layer_norm."),
            (r"\.cross_attn\.", ".vision_cross_attn."),
            (r"\.ca_text\.", ".text_cross_attn."),
            (r"\.norm1\.", ".vision_cross_attn_layer_norm."),
            (r"\.norm2\.", ".self_attn_layer_norm."),
            (r"\.norm3\.", ".mlp_layer_norm."),
            (r"\.catext_norm\.", ".text_cross_attn_layer_norm."),
            (r"\.linear(\d)\.", r".mlp.fc\1."),
            (r"\.out_proj\.", ".o_proj."),
        ),
    ),
    Part(
        "detector.dot_prod_scoring.",
        "detector_model.dot_product_scoring.",
        (
            (r"^prompt_mlp\.out_norm\.", "text_mlp_out_norm."),
            (r"^prompt_mlp\.layers\.0\.", "text_mlp.layer1."),
            (r"^prompt_mlp\.layers\.1\.", "text_mlp.layer2."),
            (r"^prompt_proj\.", "text_proj."),
            (r"^hs_proj\.", "query_proj."),
        ),
    ),
    Part(
        "detector.segmentation_head.",
        "detector_model.mask_decoder.",
        (
            (r"^mask_predictor\.mask_embed\.", "mask_embedder."),
            (r"^cross_attend_prompt\.", "prompt_cross_attn."),
            (r"^cross_attn_norm\.", "prompt_cross_attn_norm."),
            (r"^semantic_seg_head\.", "semantic_projection."),
            (r"^instance_seg_head\.", "instance_projection."),
            (r"\.out_proj\.", ".o_proj."),
        ),
    ),
    Part(
        "tracker.transformer.encoder.",
        "tracker_model.memory_attention.",
        ((r"\.out_proj\.", ".o_proj."), (r"(\d\.)norm(\d)\.", r"\1layer_norm\2."), (r"^norm\.", "layer_norm.")),
    ),
    Part(
        "tracker.maskmem_backbone.",
        "tracker_model.memory_encoder.",
        (
            (r"^mask_downsampler\.encoder\.12\.", "mask_downsampler.final_conv."),
            (r"^pix_feat_proj\.", "feature_projection."),
            (r"^out_proj\.", "projection."),
            (r"^fuser\.", "memory_fuser."),
            (r"\.gamma$", ".scale"),
            (r"\.dwconv\.", ".depthwise_conv."),
            (r"\.pwconv(\d)\.", r".pointwise_conv\1."),
            (r"(\d\.)norm\.", r"\1layer_norm."),
        ),
    ),
    Part(
        "tracker.sam_prompt_encoder.",
        "tracker_model.prompt_encoder.",
        (
            (r"^pe_layer\.positional_encoding_gaussian_matrix$", "shared_embedding.positional_embedding"),
            (r"^mask_downscaling\.0\.", "mask_embed.conv1."),
            (r"^mask_downscaling\.1\.", "mask_embed.layer_norm1."),
            (r"^mask_downscaling\.3\.", "mask_embed.conv2."),
            (r"^mask_downscaling\.4\.", "mask_embed.layer_norm2."),
            (r"^mask_downscaling\.6\.", "mask_embed.conv3."),
        ),
    ),
    Part(
        "tracker.sam_mask_decoder.transformer.",
        "tracker_model.mask_decoder.transformer.",
        (
            (r"\.out_proj\.", ".o_proj."),
            (r"(\d\.)norm(\d)\.", r"\1layer_norm\2."),
            (r"^norm_final_attn\.", "layer_norm_final_attn."),
            (r"\.mlp\.lin1\.", ".mlp.proj_in."),
            (r"\.mlp\.lin2\.", ".mlp.proj_out."),
        ),
    ),
    Part(
        "tracker.sam_mask_decoder.",
        "tracker_model.mask_decoder.",
        (
            (r"^output_upscaling\.0\.", "upscale_conv1."),
            (r"^output_upscaling\.1\.", "upscale_layer_norm."),
            (r"^output_upscaling\.3\.", "upscale_conv2."),
            *_THREE_LAYERS,
        ),
    ),
    Part("tracker.obj_ptr_proj.", "tracker_model.object_pointer_proj.", _THREE_LAYERS),
    Part("tracker.obj_ptr_tpos_proj.", "tracker_model.temporal_positional_encoding_projection_layer."),
    Part("tracker.maskmem_tpos_enc", "tracker_model.memory_temporal_positional_encoding"),
    Part("tracker.no_mem_embed", "tracker_model.no_memory_embedding"),
    Part("tracker.no_mem_pos_enc", "tracker_model.no_memory_positional_encoding"),
    Part("tracker.no_obj_ptr", "tracker_model.no_object_pointer"),
    Part("tracker.no_obj_embed_spatial", "tracker_model.occlusion_spatial_embedding_parameter"),
    Part("tracker.mask_downsample.", "tracker_model.mask_downsample."),
)
"""Tried in order: the first whose prefix fits."""


def rename_official(name: str) -> tuple[str, ...]:
    """Return what the library calls an official entry: one name, or three for stacked projections.

    Unknown names are kept. The four point embeddings have one name.
    """
    if name.startswith(_POINTS):
        return (_POINT_TABLE,)
    part = next((part for part in PARTS if name.startswith(part.official)), None)
    if part is None:
        return (name,)
    rest = name.removeprefix(part.official)
    for pattern, replacement in part.rules:
        rest = re.sub(pattern, replacement, rest)
    rest = re.sub(r"^mask_downsampler\.encoder\.(\d+)\.", _name_downsampler, rest)
    if stacked := _STACKED.fullmatch(rest):
        return tuple(f"{part.library}{stacked[1]}{one}_proj.{stacked[2]}" for one in "qkv")
    return (part.library + rest,)


def _name_downsampler(found: re.Match[str]) -> str:
    number = int(found[1])
    return f"mask_downsampler.layers.{number // 3}.{('conv', 'layer_norm')[number % 3]}."


def convert_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return an official state dict under the library's names; what is computed or unused is left out."""
    converted: dict[str, Tensor] = {}
    points = {name: value for name, value in state.items() if name.startswith(_POINTS)}
    for name, value in state.items():
        if name.endswith(COMPUTED) or name in UNUSED or name in points:
            continue
        targets = rename_official(name)
        if targets[0].endswith("embeddings.position_embeddings"):
            value = value[:, 1:]  # without the class token
        elif targets[0].endswith("text_encoder.text_projection.weight"):
            value = value.T
        parts = value.chunk(3) if len(targets) == 3 else (value,)
        converted |= dict(zip(targets, parts, strict=True))
    if points and set(points) == {f"{_POINTS}{number}.weight" for number in range(len(points))}:
        converted[_POINT_TABLE] = torch.cat([points[name] for name in sorted(points)])
    else:
        converted |= points
    if _GAUSSIAN in converted:
        converted[_GAUSSIAN_AGAIN] = converted[_GAUSSIAN]
    return converted
