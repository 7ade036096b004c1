"""SOC's parity cases: whole networks, the challenge's dump, the criterion, one training step."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runners.checkpoints.loading import read_checkpoint
from runners.networks.soc.checkpoints import load_soc
from runners.networks.soc.network import SOC
from runners.networks.soc.object_clusters import ObjectClusters
from rvos_fusion.parity.cases import Case, Results
from rvos_fusion.parity.networks.soc_naming import config_of, main_layer, network_inputs, official_outputs, time_first
from rvos_fusion.parity.networks.soc_training import run_criterion, run_training_step
from rvos_fusion.parity.watching import watch


def run(case: Case, checkpoint: Path) -> Results:
    """Return our arrays for a SOC case."""
    if not case.keys["keys"]:
        return run_criterion(case)
    if "target_masks" in case.inputs:
        return run_training_step(case, checkpoint)
    file = read_checkpoint(checkpoint)
    return _run_network(case, load_soc(file, config_of(case, file)))


@torch.no_grad()
def _run_network(case: Case, network: SOC) -> Results:
    inputs = network_inputs(case)
    with watch(_stages_of(network)) as found:
        outputs = network(*inputs)
    arrays = {**official_outputs(outputs, case, main_layer(case))}
    encoded = found.pop("text")
    stages = {
        "text.last_hidden_state": encoded.last_hidden_state,
        "text.pooler_output": encoded.pooler_output,
        **{f"mask_logits.{index}": time_first(layer.mask_logits) for index, layer in enumerate(outputs.layers)},
        **{name: value for name, value in found.items() if isinstance(value, Tensor)},
    }
    for name, value in stages.items():
        shape = case.stages[name].shape if name in case.stages else case.stages.get(f"{name}.shape")
        if shape is not None:
            ours = value.transpose(0, 1) if name.startswith("voc.") else value
            arrays[name] = ours.reshape(tuple(int(side) for side in shape))
    return Results(arrays | (_dump(case, network, inputs) if "origin_size" in case.inputs else {}))


def _dump(case: Case, network: SOC, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Return the challenge's dump, through the staged calls that inference uses."""
    frames, padding_mask, ids, attention_mask, sizes = inputs
    visual = network.encode_video(frames, padding_mask, sizes)
    layer = main_layer(case)
    with watch({"logits": network.class_embed[layer]}) as found:
        chosen = network.segment(visual, network.encode_text(ids, attention_mask), output_layer=layer)
    height, width = (int(side) for side in case.inputs["origin_size"])
    resized = F.interpolate(chosen.mask_logits[:, None], (height, width), mode="bilinear", align_corners=False)
    return {
        "dump.query_scores": found["logits"].sigmoid().mean(0).amax(-1),
        "dump.query_index": torch.as_tensor(chosen.index),
        "dump.class_info": chosen.scores,
        "dump.key_frame": chosen.scores.argmax(),
        "dump.mask_logits": resized[:, 0],
    }


def _stages_of(network: SOC) -> dict[str, nn.Module]:
    """Return the modules whose results are arrays of `stages.npz`, by their names there."""
    clusters = network.voc
    assert isinstance(clusters, ObjectClusters)
    modules: dict[str, nn.Module] = {"text": network.text_encoder, "mask_features": network.spatial_decoder}
    for prefix, layers in (
        ("input_proj", network.input_proj),
        ("encoder", network.transformer.encoder.layers),
        ("decoder", network.transformer.decoder.layers),
        ("voc.enc", clusters.enc_ffn),
        ("voc.dec", clusters.transformer_ffn_layers),
        ("class_logits", network.class_embed),
        ("head_box_delta", network.bbox_embed),
    ):
        modules |= {f"{prefix}.{index}": module for index, module in enumerate(layers)}
    return modules | {f"fpn.gn{stage}": getattr(network.spatial_decoder, f"gn{stage}") for stage in range(1, 6)}
