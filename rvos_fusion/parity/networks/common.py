"""Parity cases of single parts: backbones, text encoder, attention, pyramid, dynamic masks, MTI, losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runners.checkpoints.loading import load_strict, read_checkpoint
from runners.networks.attention.deformable_attention import DeformableAttention
from runners.networks.attention.positions import sine_encoding_1d, sine_encoding_2d
from runners.networks.backbones.table import build_backbone, resize_mask
from runners.networks.parts.dynamic_masks import dynamic_masks
from runners.networks.parts.pyramid import CrossModalPyramid, PyramidLevel, spread_position
from runners.networks.parts.referring import Predictions
from runners.networks.referformer.checkpoints import IGNORED_KEYS
from runners.networks.referformer.temporal import TemporalInteraction
from runners.networks.text.text_encoder import Resizer, TextConfig, TextFeatures, build_roberta, encode_text
from rvos.errors import InputError
from rvos_fusion.parity.cases import ArrayDifference, Case, Results, judge
from rvos_fusion.training.criteria.referformer import ReferFormerCriterion, ReferFormerWeights, sampled_masks
from rvos_fusion.training.data.targets import ClipTargets

Inputs = Mapping[str, Tensor]
Tensors = dict[str, Tensor]
_CRITERION_LIMIT = 1e-5
_PADDED_TO = 32
_WIDTH = 256


def run(case: Case, checkpoint: Path) -> Results:
    """Return our arrays for a case; InputError: an unknown part."""
    part = str(case.keys.get("part", ""))
    inputs = {name: torch.from_numpy(value) for name, value in case.inputs.items()}
    if part == "criterion":
        losses = run_criterion(case.keys["config"], inputs)
        return Results(losses, tuple(_judge(case, losses)))
    runner = run_backbone if part.endswith("_backbone") else PARTS.get(part)
    if runner is None:
        raise InputError(f"{case.folder}: part {part!r} is unknown; known are {', '.join(PARTS)} and backbones")
    with torch.inference_mode():
        arrays = runner(case.keys["config"], inputs, checkpoint)
    return Results(arrays)


def _load(checkpoint: Path, parts: Mapping[str, nn.Module]) -> None:
    """Load a file into the named parts and switch them to evaluation."""
    whole = nn.ModuleDict(parts).eval()
    load_strict(whole, read_checkpoint(checkpoint), ignored=IGNORED_KEYS)


def run_backbone(config: Mapping[str, Any], inputs: Inputs, checkpoint: Path) -> Tensors:
    """Return the levels of every clip."""
    backbone = build_backbone(config["backbone"])
    _load(checkpoint, {"backbone": nn.ModuleList([backbone])})
    arrays: Tensors = {}
    for name, frames in inputs.items():
        clip = name.removesuffix(".frames")
        arrays |= {f"{clip}.level{index}": level for index, level in enumerate(backbone(frames[None]))}
    return arrays


def run_text_encoder(config: Mapping[str, Any], inputs: Inputs, checkpoint: Path) -> Tensors:
    """Return words, sentence and what RoBERTa gives."""
    sizes = TextConfig()
    encoder, resizer = build_roberta(sizes), Resizer(sizes.hidden, _WIDTH)
    _load(checkpoint, {"text_encoder": encoder, "resizer": resizer})
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    text = encode_text(encoder, resizer, ids, mask)
    output = encoder(input_ids=ids, attention_mask=mask)
    return {
        "last_hidden_state_valid": output.last_hidden_state * mask[..., None],
        "words_valid": text.words * mask[..., None],
        "pooler_output": output.pooler_output,
        "sentence": text.sentence,
        "position_encoding": text.position,
    }


def run_deformable_attention(config: Mapping[str, Any], inputs: Inputs, checkpoint: Path) -> Tensors:
    """Return outputs, sampling locations and weights for both kinds of references."""
    attention = DeformableAttention(config["d_model"], config["n_levels"], config["n_heads"], config["n_points"])
    load_strict(attention.eval(), read_checkpoint(checkpoint))
    shapes = [(int(height), int(width)) for height, width in inputs["spatial_shapes"]]
    query, mask = inputs["query"], inputs["padding_mask"]
    arrays: Tensors = {}
    for suffix, padding_mask in (("2", mask), ("4", mask), ("2_nomask", None)):
        reference = inputs[f"reference{suffix[0]}"]
        name = f"reference{suffix}"
        arrays[f"out_{name}"] = attention(query, reference, inputs["input"], shapes, padding_mask)
        arrays[f"sampling_locations_{name}"] = attention.locate(query, reference, shapes)
        arrays[f"attention_weights_{name}"] = attention.weigh(query)
    arrays["attention_weights"] = attention.weigh(query)
    return arrays


def run_pyramid(config: Mapping[str, Any], inputs: Inputs, checkpoint: Path) -> Tensors:
    """Return the mask features."""
    channels, frames = config["conv_dim"], int(inputs["num_frames"])
    pyramid = CrossModalPyramid(
        config["level0_channels"],
        channels=channels,
        mask_channels=config["mask_dim"],
        feedforward=config["dim_feedforward"],
    )
    _load(checkpoint, {"pixel_decoder": pyramid})
    maps = [inputs["level0"], *(inputs[f"memory{stage}"] for stage in (1, 2, 3))]
    masks = [resize_mask(inputs["padding_mask"], (level.shape[-2], level.shape[-1])) for level in maps]
    levels = [
        PyramidLevel(level, sine_encoding_2d(mask, channels), mask) for level, mask in zip(maps, masks, strict=True)
    ]
    padding = inputs["word_padding_mask"].bool()
    words = inputs["words"]
    text = TextFeatures(words, padding, words[:, 0], sine_encoding_1d(padding, channels))
    clips = len(words)
    coarse = pyramid.coarse(levels[1:], text)
    position = spread_position(levels[0].position, clips, frames)
    size = (maps[0].shape[-2], maps[0].shape[-1])
    finest = pyramid.finest(pyramid.prepare_finest(levels[0], clips), position, text, coarse, size)
    arrays = {f"pos{index}": level.position for index, level in enumerate(levels)}
    arrays |= {f"mask{index}": mask for index, mask in enumerate(masks)}
    return arrays | {"layer_2": coarse, "layer_1": finest, "mask_features": pyramid.mask_features(finest)}


def run_dynamic_masks(config: Mapping[str, Any], inputs: Inputs, checkpoint: Path) -> Tensors:
    """Return the mask logits; there are no weights."""
    clips, frames = inputs["params"].shape[:2]
    masks = dynamic_masks(
        inputs["mask_features"].flatten(0, 1),
        inputs["params"].flatten(0, 1),
        inputs["references"].flatten(0, 1),
        inputs["size"].reshape(-1, 2).expand(clips, -1).repeat_interleave(frames, 0),
        channels=config["channels"],
        stride=config["stride"],
    )
    return {"mask_logits": torch.unflatten(masks, 0, (clips, frames))}


def run_interaction(config: Mapping[str, Any], inputs: Inputs, checkpoint: Path) -> Tensors:
    """Return MTI's queries for clips of several lengths, and for the layers of a training step."""
    interaction = TemporalInteraction(
        _WIDTH,
        heads=config["nheads"],
        feedforward=config["dim_feedforward"],
        frame_queries=config.get("num_frame_queries", config["num_queries"]),
        queries=config["num_queries"],
        window=config["window_size"],
        encoder_layers=config["enc_layers"],
        decoder_layers=config["dec_layers"],
        dropout=0.0,
    )
    _load(checkpoint, {"mti": interaction})
    arrays: Tensors = {}
    for name, states in inputs.items():
        clip = name.removesuffix(".frame_queries")
        if states.ndim == 4:
            arrays[f"{clip}.out"] = interaction(states, shifts=False)
        else:
            arrays[f"{clip}.out"] = interaction(states[None], shifts=True)[0]
    return arrays


def run_criterion(config: Mapping[str, Any], inputs: Inputs) -> Tensors:
    """Return every loss, their weighted sum, and the matched queries."""
    weights = config["weights"]
    criterion = ReferFormerCriterion(
        ReferFormerWeights(*(float(weights[f"loss_{name}"]) for name in ("ce", "bbox", "giou", "mask", "dice")))
    )
    names = [*sorted({name.split(".")[0] for name in inputs if name.startswith("layer")}), "final"]
    stacked = [torch.stack([inputs[f"{name}.pred_{kind}"] for name in names]) for kind in ("logits", "boxes", "masks")]
    outputs = Predictions(*stacked)
    n_clips = sum(name.endswith(".valid") for name in inputs)
    given = [inputs[f"target{clip}.masks"].bool() for clip in range(n_clips)]
    # On the right and at the bottom, to a multiple of 32.
    height, width = (-(-max(mask.shape[axis] for mask in given) // _PADDED_TO) * _PADDED_TO for axis in (-2, -1))
    targets = ClipTargets(
        torch.stack([F.pad(mask, (0, width - mask.shape[-1], 0, height - mask.shape[-2])) for mask in given]),
        torch.stack([inputs[f"target{clip}.boxes"] for clip in range(n_clips)]),
        torch.stack([inputs[f"target{clip}.valid"] for clip in range(n_clips)]).bool(),
        torch.zeros(n_clips, dtype=torch.int64),
    )
    arrays: Tensors = dict(criterion.losses(outputs, targets))
    arrays["total"] = criterion(outputs, targets)["total"]
    masks = sampled_masks(targets.masks, (outputs.masks.shape[-2], outputs.masks.shape[-1]))
    for index, name in enumerate(names):
        layer = (outputs.logits[index], outputs.boxes[index], outputs.masks[index])
        arrays[f"{name}.matched_query"] = criterion.match(layer, targets, masks)
    return arrays


def _judge(case: Case, arrays: Mapping[str, Tensor]) -> Iterator[ArrayDifference]:
    """Yield the differences of losses, each relative to itself, as the case states, and of matches, which are exact."""
    for name, expected in case.outputs.items():
        found = arrays[name].numpy() if name in arrays else None
        limit = 0.0 if expected.dtype.kind in "iu" else _CRITERION_LIMIT
        scale = np.maximum(np.abs(expected), np.finfo(np.float32).tiny)
        yield judge(name, expected, found, limit=limit, scale=scale)


PARTS: Mapping[str, Callable[[Mapping[str, Any], Inputs, Path], Tensors]] = {
    "text_encoder": run_text_encoder,
    "ms_deform_attn": run_deformable_attention,
    "cross_modal_fpn": run_pyramid,
    "dynamic_mask_head": run_dynamic_masks,
    "mutr_mti": run_interaction,
}
