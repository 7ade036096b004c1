"""Parity of UNINEXT: the referring path frame by frame, or a backbone alone."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from runners.checkpoints.loading import CheckpointFile, read_checkpoint
from runners.networks.text.bert import Text, TextSizes
from runners.networks.uninext.checkpoints import load_network
from runners.networks.uninext.config import BackboneSizes, ConvNextSizes, ResNetSizes, UninextConfig, VitSizes
from runners.networks.uninext.frames import finish, input_size, normalise, resize_frame
from runners.networks.uninext.masks import paint
from runners.networks.uninext.network import Detections, Uninext, pad_frames
from runners.networks.uninext.proposals import Proposals, pick
from runners.networks.uninext.visual import Visual, build_backbone
from rvos.errors import InputError
from rvos_fusion.parity import cases
from rvos_fusion.parity.cases import ArrayDifference, Case, Found, Results, as_stored, scale_of
from rvos_fusion.parity.watching import watch

_BACKBONE = "detr.detr.backbone.0.backbone"
_RESNET_BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}


def backbone_sizes(stated: Mapping[str, Any]) -> BackboneSizes:
    """Return the backbone that a case states; InputError where UNINEXT does not have it."""
    name = stated["name"]
    if name in _RESNET_BLOCKS:
        return ResNetSizes(blocks=_RESNET_BLOCKS[name])
    if name == "convnext":
        return ConvNextSizes(depths=tuple(stated["depths"]), widths=tuple(stated["dims"]))
    if name == "vit":
        return VitSizes(
            width=stated["embed_dim"],
            depth=stated["depth"],
            heads=stated["heads"],
            mlp_ratio=stated["mlp_ratio"],
            patch=stated["patch"],
            window=stated["window"],
            windowed=tuple(stated["window_blocks"]),
            pretrain_grid=stated["pretrain_grid"],
            relative_grid=stated["relative_position_grid"],
        )
    raise InputError(f"uninext: backbone {name!r} is unknown; known are {', '.join(_RESNET_BLOCKS)}, convnext, vit")


def network_config(stated: Mapping[str, Any]) -> UninextConfig:
    """Return the sizes of a whole-network case."""
    text, fusion, resize = stated["text"], stated["fusion"], stated["test_resize"]
    return UninextConfig(
        backbone=backbone_sizes(stated["backbone"]),
        text=TextSizes(
            vocabulary=text["vocab"],
            width=text["dim"],
            layers=text["layers"],
            heads=text["heads"],
            feed_forward=text["ffn"],
            max_tokens=text["max_tokens"],
        ),
        width=stated["hidden_dim"],
        heads=stated["num_heads"],
        encoder_layers=stated["encoder_layers"],
        decoder_layers=stated["decoder_layers"],
        feed_forward=stated["feedforward_dim"],
        points=stated["encoder_points"],
        queries=stated["num_queries"],
        fusion_width=fusion["embed_dim"],
        fusion_heads=fusion["heads"],
        mask_channels=stated["mask_head"]["dynamic_channels"],
        short_side=resize["short_side"],
        long_side=resize["max_side"],
    )


def run(case: Case, checkpoint: Path) -> Results:
    """Return our arrays for a case; the case's own absolute tolerances decide together with its gate."""
    stated = case.keys["config"]
    arrays = _run_network(case, checkpoint) if "text" in stated else _run_backbone(case, checkpoint)
    return Results(arrays, tuple(judge(case, as_stored(case, arrays))))


def judge(case: Case, arrays: Mapping[str, NDArray[Any]]) -> Iterator[ArrayDifference]:
    """Yield the rows of the outputs for which the case states an absolute tolerance; the stricter limit decides."""
    for name, limit in case.keys.get("tolerance", {}).get("outputs", {}).items():
        expected, found = case.outputs.get(name), arrays.get(name)
        if expected is not None and not isinstance(limit, str) and found is not None:
            scale = scale_of(expected)
            yield cases.judge(name, expected, found, limit=min(limit / scale, float(case.gate["float"])), scale=scale)


@torch.inference_mode()
def _run_backbone(case: Case, checkpoint: Path) -> Found:
    """Return the maps of a backbone-only case; `NAME_everyN` is every Nth channel of map NAME."""
    sizes = backbone_sizes(case.keys["config"]["backbone"])
    holder = _PrefixedBackbone(sizes).eval()
    load_network(holder, UninextConfig(backbone=sizes), read_checkpoint(checkpoint))
    maps = holder.get_submodule(_BACKBONE)(pad_frames(torch.from_numpy(case.inputs["image"]), sizes.multiple))
    named = dict(zip(("res3", "res4", "res5"), maps, strict=True))
    arrays: Found = {}
    for name in case.outputs:
        match = re.fullmatch(r"(res\d)(?:_every(\d+))?", name)
        if match and match[1] in named:
            arrays[name] = named[match[1]][:, :: int(match[2] or 1)]
    return arrays | {f"full.{name}": level for name, level in named.items()}


class _PrefixedBackbone(nn.Module):
    """A backbone under the names that it has inside the whole network."""

    def __init__(self, sizes: BackboneSizes) -> None:
        super().__init__()
        self.detr = nn.Module()
        self.detr.detr = nn.Module()
        self.detr.detr.backbone = nn.ModuleList([nn.Sequential(OrderedDict(backbone=build_backbone(sizes)))])


@torch.inference_mode()
def _run_network(case: Case, checkpoint: Path) -> Found:
    config = network_config(case.keys["config"])
    network = Uninext(config).eval()
    file: CheckpointFile = read_checkpoint(checkpoint)
    load_network(network, config, file)
    mask = torch.from_numpy(case.inputs["attention_mask"])
    longest = int(mask.sum(1).max())
    text = network.read(torch.from_numpy(case.inputs["input_ids"])[:, :longest], mask[:, :longest])
    images = torch.from_numpy(case.inputs["images"])
    height, width = case.outputs["mask_binary"].shape[1:]
    results = [_run_frame(network, image[None], text, (height, width)) for image in images]
    arrays: Found = {name: torch.stack([result[name] for result in results]) for name in results[0]}
    if "frames_original" in case.inputs:  # a condensed case keeps the network's input alone
        frames = case.inputs["frames_original"]
        size = input_size(frames.shape[1:3], config.short_side, config.long_side)
        resized = np.stack([resize_frame(frame, size) for frame in frames])
        arrays |= {"frames_resized": resized, "images": normalise(resized)}
    arrays.update(_stages(network, images[:1], text, int(results[0]["selected_query"])))
    return arrays


def _look(network: Uninext, image: Tensor) -> Visual:
    padded = pad_frames(image, network.config.backbone.multiple)
    return network.look(padded, torch.tensor([image.shape[-2:]]))


def _run_frame(network: Uninext, image: Tensor, text: Text, original: tuple[int, int]) -> dict[str, Tensor]:
    """Return the outputs of one frame, without a frame axis."""
    visual = _look(network, image)
    detections = network.detect(visual, text)
    selection = network.select(detections, visual.sizes)
    probability = finish(selection.logits[:, 0], (image.shape[-2], image.shape[-1]), original)
    return {
        "pred_logits": detections.class_logits[0, :, None],
        "pred_iou": detections.iou_logits[0, :, None],
        "pred_boxes": detections.boxes[0],
        "query_score": detections.scores[0],
        "selected_query": selection.queries[0, 0],
        "frame_score": selection.scores[0, 0],
        "mask_logits_selected": selection.logits[0, 0],
        "mask_probability": probability[0],
        "mask_binary": (probability[0] > 0.5),
    }


def _stages(network: Uninext, image: Tensor, text: Text, query: int) -> Found:
    """Return the intermediate arrays of one frame."""
    visual = _look(network, image)
    transformer = network.detr.detr.transformer
    fusion = transformer.encoder.get_submodule("vl_layers.0.b_attn")
    watched = [fusion.get_submodule("attn"), fusion, *transformer.encoder.layers, transformer.enc_output_norm]
    with watch({str(place): module for place, module in enumerate(watched)}) as results:
        detections = network.detect(visual, text)
    deltas, fused, *layers, features = (results[str(place)] for place in range(len(watched)))
    arrays = _image_stages(network, image, visual) | {f"encoder.{index}": layer for index, layer in enumerate(layers)}
    proposals = network.detr.detr.propose(detections.memory, visual)
    arrays |= _query_stages(proposals, features, detections) | _selected_stages(network, detections, visual, query)
    return arrays | {
        "text.hidden": text.tokens,
        "valid_ratios": visual.ratios,
        "fusion.delta_visual": deltas[0],
        "fusion.delta_text": deltas[1],
        "fusion.visual": fused.visual,
        "fusion.text": fused.text.tokens,
        "text.pooled": fused.text.mean(),
    }


def _image_stages(network: Uninext, image: Tensor, visual: Visual) -> Found:
    """Return the backbone maps, projections, masks and positions of one frame."""
    inner = network.detr.detr
    arrays: Found = {}
    maps = inner.backbone[0](pad_frames(image, network.config.backbone.multiple))
    for name, level in zip(("res3", "res4", "res5"), maps, strict=True):
        arrays[f"backbone.{name}"] = level
    areas = [height * width for height, width in visual.shapes]
    for kind, tokens in (("input_proj.", visual.tokens), ("pos.level", visual.positions)):
        for index, part in enumerate(tokens.split_with_sizes(areas, dim=1)):
            arrays[f"{kind}{index}"] = torch.unflatten(part.transpose(1, 2), 2, visual.shapes[index])
    for index, (part, shape) in enumerate(
        zip(visual.padding.split_with_sizes(areas, dim=1), visual.shapes, strict=True)
    ):
        arrays[f"mask.level{index}"] = torch.unflatten(part, 1, shape)
    return arrays


def _query_stages(proposals: Proposals, features: Tensor, detections: Detections) -> Found:
    """Return the proposals, the features that they are made of, and the decoder's layers."""
    decoded = detections.decoded
    arrays: Found = {
        "proposals.score": proposals.scores[0],
        "proposals.tokens": proposals.tokens[0],
        "proposals.reference": proposals.boxes.sigmoid(),
        "proposals.memory": features,
        "proposals.unact": proposals.boxes.masked_fill(proposals.boxes.isinf(), 0.0),
    }
    for index, (state, box) in enumerate(zip(decoded.states, decoded.boxes, strict=True)):
        arrays[f"decoder.{index}.state"] = state
        arrays[f"decoder.{index}.reference"] = box
    return arrays


def _selected_stages(network: Uninext, detections: Detections, visual: Visual, query: int) -> Found:
    """Return what the mask branch makes of the selected query, and of all queries."""
    chosen = torch.tensor([[query]])
    features = network.detr.mask_head(detections.memory.maps())
    filters = network.detr.controller(detections.decoded.states[-1])
    centre = pick(detections.decoded.entering[-1], chosen)[..., :2]
    every = torch.arange(filters.shape[1])[None]
    return {
        "mask_features": features,
        "selected.controller": filters[0, query],
        "selected.reference_xy": centre[0, 0],
        "selected.mask_logits_stride8": paint(features, pick(filters, chosen), centre, visual.sizes)[0, 0],
        "controller": filters,
        "mask_logits_all": network.paint(detections, every, visual.sizes)[:, :, None],
    }
