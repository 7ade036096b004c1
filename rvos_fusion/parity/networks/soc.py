"""SOC's parity cases: whole networks, the challenge's dump, the criterion, one training step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runners.checkpoints.loading import read_checkpoint
from runners.networks.soc.checkpoints import load_soc
from runners.networks.soc.network import SOC
from runners.networks.soc.object_clusters import ObjectClusters
from rvos_fusion.parity.cases import Case, Results, summarise
from rvos_fusion.parity.networks.soc_naming import config_of, main_layer, network_inputs, official_outputs, time_first
from rvos_fusion.parity.networks.soc_training import run_criterion, run_training_step


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
    stages: dict[str, Tensor] = {}
    watch(network, stages)
    inputs = network_inputs(case)
    outputs = network(*inputs)
    arrays = {name: value.float().numpy() for name, value in official_outputs(outputs, case, main_layer(case)).items()}
    stages |= {f"mask_logits.{index}": time_first(layer.mask_logits) for index, layer in enumerate(outputs.layers)}
    for name, value in stages.items():
        _add_stage(arrays, case, name, value)
    if "origin_size" in case.inputs:
        arrays |= _dump(case, network, inputs)
    return Results(arrays)


def _dump(case: Case, network: SOC, inputs: tuple[Tensor, ...]) -> dict[str, np.ndarray]:
    """Return the challenge's dump, through the staged calls that inference uses."""
    frames, padding_mask, ids, attention_mask, sizes = inputs
    visual = network.encode_video(frames, padding_mask, sizes)
    layer = main_layer(case)
    logits: list[Tensor] = []
    hook = network.class_embed[layer].register_forward_hook(lambda _module, _inputs, output: logits.append(output))
    chosen = network.segment(visual, network.encode_text(ids, attention_mask), output_layer=layer)
    hook.remove()
    height, width = (int(side) for side in case.inputs["origin_size"])
    resized = F.interpolate(chosen.mask_logits[:, None], (height, width), mode="bilinear", align_corners=False)
    return {
        "dump.query_scores": logits[-1].sigmoid().mean(0).amax(-1).numpy(),
        "dump.query_index": np.asarray(chosen.index),
        "dump.class_info": chosen.scores.numpy(),
        "dump.key_frame": np.asarray(int(chosen.scores.argmax())),
        "dump.mask_logits": resized[:, 0].numpy(),
    }


def watch(network: SOC, stages: dict[str, Tensor]) -> None:
    """Collect the intermediate arrays of a forward pass under their names in `stages.npz`."""

    def keep(module: nn.Module, name: str, *, swap: bool = False, attribute: str = "") -> None:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            value = getattr(output, attribute) if attribute else output
            if isinstance(value, Tensor):
                stages[name] = value.transpose(0, 1) if swap else value

        module.register_forward_hook(hook)

    keep(network.text_encoder, "text.last_hidden_state", attribute="last_hidden_state")
    keep(network.text_encoder, "text.pooler_output", attribute="pooler_output")
    clusters = network.voc
    assert isinstance(clusters, ObjectClusters)
    for prefix, layers, swap in (
        ("input_proj", network.input_proj, False),
        ("encoder", network.transformer.encoder.layers, False),
        ("decoder", network.transformer.decoder.layers, False),
        ("voc.enc", clusters.enc_ffn, True),
        ("voc.dec", clusters.transformer_ffn_layers, True),
        ("class_logits", network.class_embed, False),
        ("head_box_delta", network.bbox_embed, False),
    ):
        for index, module in enumerate(layers):
            keep(module, f"{prefix}.{index}", swap=swap)
    for stage in range(1, 6):
        keep(getattr(network.spatial_decoder, f"gn{stage}"), f"fpn.gn{stage}")
    keep(network.spatial_decoder, "mask_features")


def _add_stage(arrays: dict[str, np.ndarray], case: Case, name: str, value: Tensor) -> None:
    """Add a stage whole, or condensed where the case has it condensed."""
    found = value.detach().float().contiguous().numpy()
    if name in case.stages:
        arrays[name] = found.reshape(case.stages[name].shape)
    elif f"{name}.index" in case.stages:
        samples = len(case.stages[f"{name}.index"])
        condensed = summarise(found.reshape(tuple(case.stages[f"{name}.shape"])), samples)
        arrays |= {f"{name}.{part}": array for part, array in condensed.items()}
