"""Between the axes, names and sizes of SOC's parity cases and ours."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from runners.checkpoints.loading import CheckpointFile
from runners.networks.soc.checkpoints import read_config
from runners.networks.soc.types import SOCConfig, SOCOutputs
from rvos_fusion.parity.cases import Case


def config_of(case: Case, file: CheckpointFile) -> SOCConfig:
    """Return the sizes that the shapes tell, with the numbers of heads and points that only the case knows."""
    config, stated = read_config(file), case.keys["config"]
    text_heads = stated.get("text_encoder", {}).get("num_attention_heads", config.text.heads)
    heads = tuple(stated.get("backbone_config", {}).get("num_heads", config.backbone.heads))
    return dataclasses.replace(
        config,
        backbone=dataclasses.replace(config.backbone, heads=heads),
        text=dataclasses.replace(config.text, heads=text_heads),
        heads=stated.get("nheads", config.heads),
        points=stated.get("dec_n_points", config.points),
        dynamic_channels=stated.get("dynamic_mask_channels", config.dynamic_channels),
    )


def main_layer(case: Case) -> int:
    """Return the decoder layer that the case's network returns in evaluation."""
    return int(case.keys["config"].get("eval_decoder_level", 0))


def network_inputs(case: Case) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the network's arguments, clips first."""
    given = {name: torch.from_numpy(value) for name, value in case.inputs.items()}
    return (
        given["frames"].transpose(0, 1),
        given["pad_mask"].transpose(0, 1),
        given["input_ids"],
        given["attention_mask"],
        given["sizes"],
    )


def time_first(values: Tensor) -> Tensor:
    """Return (T, B, ...) for (B, T, ...)."""
    return values.transpose(0, 1).contiguous()


def official_outputs(outputs: SOCOutputs, case: Case, layer: int) -> dict[str, Tensor]:
    """Return a layer's predictions under the names of the case's code base."""
    predictions = outputs.layers[layer]
    is_challenge = case.keys["config"].get("variant") == "challenge"
    return {
        "pred_is_referred" if is_challenge else "pred_cls": time_first(predictions.class_logits),
        "pred_boxes": time_first(predictions.boxes),
        "pred_masks": time_first(predictions.mask_logits),
        "pred_logit": predictions.clip_queries,
        "text_sentence_feature": outputs.sentence,
    }
