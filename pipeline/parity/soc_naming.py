"""Between the axes and names of SOC's parity cases and ours."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.parity.cases import Case
from runners.networks.soc_types import SOCOutputs


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
