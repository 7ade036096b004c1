"""Parity cases of ReferFormer and MUTR."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from runners.checkpoints.loading import read_checkpoint
from runners.networks.parts.clip_rows import by_clip
from runners.networks.parts.referring import VisualFeatures
from runners.networks.referformer.checkpoints import load_released
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.mutr import Mutr, MutrConfig
from runners.networks.referformer.network import ReferFormer
from runners.networks.text.text_encoder import TextConfig, TextFeatures
from rvos_fusion.parity.cases import Case, Found, Results


def build(case: Case) -> ReferFormer:
    """Return the untrained network of a case."""
    config = case.keys["config"]
    text = config["text_encoder"]
    sizes = {
        "backbone": config["backbone"],
        "text": TextConfig(
            vocab_size=text["vocab_size"],
            hidden=text["hidden"],
            layers=text["layers"],
            heads=text["heads"],
            intermediate=text["intermediate"],
            max_tokens=text["max_position_embeddings"] - 2,
        ),
        "hidden_dim": config["hidden_dim"],
        "heads": config["nheads"],
        "encoder_layers": config["enc_layers"],
        "decoder_layers": config["dec_layers"],
        "feedforward": config["dim_feedforward"],
        "queries": config["num_queries"],
        "points": config["enc_n_points"],
        "mask_dim": config["mask_dim"],
        "mask_channels": config["dynamic_mask_channels"],
        "controller_layers": config["controller_layers"],
        "classes": config["num_classes"],
    }
    if case.keys["model"] == "referformer":
        return ReferFormer(ReferFormerConfig(**sizes))
    interaction = config["mti"]
    return Mutr(
        MutrConfig(
            **sizes,
            aggregation_layers=config["mta"]["layers"],
            window=interaction["window_size"],
            interaction_layers=(interaction["enc_layers"], interaction["dec_layers"]),
        )
    )


def run(case: Case, checkpoint: Path) -> Results:
    """Return the arrays of every expression of a case, from the whole network."""
    network = build(case)
    load_released(network, read_checkpoint(checkpoint))
    network.eval()
    inputs = {name: torch.from_numpy(value) for name, value in case.inputs.items()}
    frames = inputs["frames"] if inputs["frames"].ndim == 5 else inputs["frames"][None]
    arrays: Found = {}
    with torch.inference_mode():
        visual = network.encode_video(frames, inputs.get("padding_mask"), inputs.get("sizes"))
        for index, level in enumerate((visual.finest, *visual.projected)):
            arrays[f"pos.level.{index}"] = level.position.expand(visual.clips * visual.frames, -1, -1, -1)
            if level.padding_mask is not None and index < len(visual.projected):
                arrays[f"backbone.mask{index}"] = level.padding_mask
        arrays["backbone.level0"] = visual.finest.map
        arrays |= {f"input_proj.{index}": level.map for index, level in enumerate(visual.projected)}
        for prefix in sorted({name.rpartition("input_ids")[0] for name in inputs if name.endswith("input_ids")}):
            text = network.encode_text(inputs[f"{prefix}input_ids"], inputs[f"{prefix}attention_mask"])
            predictions = network.predict(visual, text)
            found: Found = {**_stages(network, visual, text)}
            last = len(predictions.logits) - 1
            for layer in range(last + 1):
                part = "pred" if layer == last else f"aux{layer}.pred"
                found |= {f"{part}_{name}": getattr(predictions, name)[layer] for name in ("logits", "boxes", "masks")}
            size = case.outputs.get(f"{prefix}dump.origin_size")
            if size is not None:
                found |= _dump(network, visual, text, (int(size[0]), int(size[1])))
            arrays.update({prefix + name: value for name, value in found.items()})
    return Results(arrays)


def _dump(network: ReferFormer, visual: VisualFeatures, text: TextFeatures, size: tuple[int, int]) -> Found:
    """Return what the challenge script stores of an expression, by the path that the runner takes."""
    chosen = network.segment(visual, text)
    logits = F.interpolate(chosen.masks[0][:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    return {
        "dump.query": chosen.query[0],
        "dump.class_info": chosen.scores[0],
        "dump.origin_size": np.asarray(size),
        "dump.key_frame": chosen.scores[0].argmax(),
        "dump.mask_logits": logits,
        "dump.mask_area": (logits.sigmoid() > 0.5).flatten(1).sum(1),
    }


def _stages(network: ReferFormer, visual: VisualFeatures, text: TextFeatures) -> dict[str, Tensor]:
    """Return the stages of an expression; maps are compared in the layout that is stored."""
    clips = len(text.words)
    maps, decoded = network.decode(visual, text)
    coarse = network.pixel_decoder.coarse(network.memory_levels(visual, maps, clips), text)
    heads = network.head_states(decoded, clips, training=False)
    filters = network.controller(heads.states).expand(-1, -1, visual.frames, -1, -1).flatten(1, 2)
    # Officially an output, but only ever drawn: where the last layer started from.
    points = decoded.references[-2 if len(decoded.references) > 1 else -1][..., :2]
    stages = {
        "reference_points": by_clip(points, clips),
        "text.word": text.words,
        "text.sentence": text.sentence,
        "decoder.hs": decoded.hidden,
        "decoder.init_reference": decoded.initial_reference,
        "decoder.inter_references": decoded.references,
        "mask_features": network.mask_features(visual, coarse, text),
    }
    stages |= {f"memory.level{index + 1}": level for index, level in enumerate(maps)}
    stages |= {f"controller.{index}": filters[index] for index in range(len(filters))}
    for index, level in enumerate(network.fuse(visual, text)):
        stages[f"fused.{index}"] = by_clip(level.flatten(2).transpose(1, 2), clips).flatten(1, 2).transpose(0, 1)
    return stages
