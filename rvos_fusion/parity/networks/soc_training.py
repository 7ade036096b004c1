"""SOC's criterion and training-step cases, judged by the limits of their READMEs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from runners.checkpoints.loading import read_checkpoint
from runners.networks.soc.checkpoints import load_soc
from runners.networks.soc.network import SOC
from runners.networks.soc.types import LayerOutput, SOCConfig, SOCOutputs
from rvos_fusion.parity.cases import ArrayDifference, Arrays, Case, Found, Results, as_stored, judge
from rvos_fusion.parity.networks.soc_naming import config_of, network_inputs, official_outputs
from rvos_fusion.training.config import GroupRule, OptimiserSettings
from rvos_fusion.training.criteria.soc import SOCCriterion
from rvos_fusion.training.data.targets import ClipTargets
from rvos_fusion.training.running.optimiser import build_optimiser, clip_gradients

CRITERION_LIMIT = 1e-5
LOSS_LIMIT = 1e-4
TOTAL_NORM_LIMIT = 1e-3
GRADIENT_LIMIT = 1e-2
STEP_LIMIT = 0.05
_NOISE = 1e-5


def run_criterion(case: Case) -> Results:
    """Return the matches and losses of every set-up on the given predictions."""
    arrays: Arrays = {}
    judged: list[ArrayDifference] = []
    for setup in sorted({name.split("/")[0] for name in case.inputs}):
        inputs = {name.split("/")[1]: torch.from_numpy(v) for name, v in case.inputs.items() if name.startswith(setup)}
        found = _losses(_given_outputs(inputs), _targets(inputs), case, prefix=f"{setup}/")
        arrays |= found
        judged += _judge_losses(case, found, f"{setup}/", CRITERION_LIMIT)
    return Results(arrays, tuple(judged))


def run_training_step(case: Case, checkpoint: Path) -> Results:
    """Return outputs, losses, gradients and the optimiser's step of one training step without dropout."""
    file = read_checkpoint(checkpoint)
    network = load_soc(file, _without_dropout(config_of(case, file))).train()
    training = case.keys["training"]
    settings = _optimiser_settings(training)
    optimiser = build_optimiser(network, settings)
    outputs: SOCOutputs = network(*network_inputs(case))
    targets = _targets({name: torch.from_numpy(value) for name, value in case.inputs.items()})
    arrays: Found = {**_losses(outputs, targets, case)}
    for layer in range(len(outputs.layers)):
        arrays |= {f"level{layer}.{name}": value for name, value in official_outputs(outputs, case, layer).items()}
    torch.autograd.backward(SOCCriterion()(outputs, targets)["total"])
    arrays |= _gradient_arrays(network, case)
    before = {name: value.detach().clone() for name, value in network.named_parameters() if _is_sampled(case, name)}
    clip_gradients(network, settings.clip)
    optimiser.step()
    parameters = dict(network.named_parameters())
    arrays |= {f"step.{name}": parameters[name].detach() - value for name, value in before.items()}
    found = as_stored(case, arrays)
    judged = (
        *_judge_losses(case, found, "", LOSS_LIMIT),
        *_judge_norms(case, found),
        *_judge_samples(case, found, _rates(network, settings)),
    )
    return Results(found, judged)


def _without_dropout(config: SOCConfig) -> SOCConfig:
    return dataclasses.replace(
        config,
        dropout=0.0,
        text=dataclasses.replace(config.text, dropout=0.0),
        backbone=dataclasses.replace(config.backbone, drop_path=0.0),
    )


def _optimiser_settings(training: Mapping[str, Any]) -> OptimiserSettings:
    rules = (
        GroupRule("backbone", rate=training["lr_backbone"]),
        GroupRule("text_encoder", rate=training["text_encoder_lr"], frozen=training["freeze_text_encoder"]),
    )
    clip, decay = training["clip_max_norm"], training["weight_decay"]
    return OptimiserSettings(rate=training["lr"], weight_decay=decay, clip=clip, rules=rules)


def _rates(network: SOC, settings: OptimiserSettings) -> dict[str, float]:
    def rate(name: str) -> float:
        rule = next((rule for rule in settings.rules if re.search(rule.match, name)), None)
        return rule.rate if rule is not None and rule.rate is not None else settings.rate

    return {name: rate(name) for name, _ in network.named_parameters()}


def _targets(inputs: Mapping[str, Tensor]) -> ClipTargets:
    return ClipTargets(
        inputs["target_masks"].transpose(0, 1).bool(),
        inputs["target_boxes"].transpose(0, 1),
        inputs["target_visible"].transpose(0, 1),
        inputs["target_labels"].reshape(-1),
    )


def _given_outputs(inputs: Mapping[str, Tensor]) -> SOCOutputs:
    layers = sorted({name.split(".")[0] for name in inputs if name.startswith("level")})
    return SOCOutputs(
        tuple(
            LayerOutput(
                inputs[f"{layer}.pred_cls"].transpose(0, 1),
                inputs[f"{layer}.pred_boxes"].transpose(0, 1),
                inputs[f"{layer}.pred_masks"].transpose(0, 1),
                inputs[f"{layer}.pred_logit"],
            )
            for layer in layers
        ),
        inputs["text_sentence_feature"],
    )


def _losses(outputs: SOCOutputs, targets: ClipTargets, case: Case, prefix: str = "") -> Arrays:
    """Return matches and losses, the losses in the case's order."""
    criterion = SOCCriterion()
    losses = criterion.losses(outputs, targets)
    names = [name for name in case.outputs[f"{prefix}loss.names"].tolist() if name in losses]
    arrays: Arrays = {
        f"{prefix}match.level{index}": criterion.match(layer, targets).numpy()
        for index, layer in enumerate(outputs.layers)
    }
    return arrays | {
        f"{prefix}loss.names": np.asarray(names),
        f"{prefix}loss.values": np.asarray([losses[name].item() for name in names]),
        f"{prefix}loss.total": np.asarray(criterion(outputs, targets)["total"].item()),
    }


def _gradient_arrays(network: SOC, case: Case) -> Found:
    gradients = {name: value.grad for name, value in network.named_parameters() if value.grad is not None}
    names = [name for name in case.outputs["grad.names"].tolist() if name in gradients]
    norms = np.asarray([gradients[name].norm().item() for name in names])
    # Clipping changes gradients in place.
    sampled: Found = {f"grad.{name}": value.clone() for name, value in gradients.items() if _is_sampled(case, name)}
    return sampled | {
        "grad.names": np.asarray(names + sorted(set(gradients) - set(names))),
        "grad.norms": norms,
        "grad.total_norm": np.asarray(np.sqrt((norms**2).sum())),
    }


def _is_sampled(case: Case, name: str) -> bool:
    return f"grad.{name}.values" in case.outputs


def _judge_losses(case: Case, found: Arrays, prefix: str, limit: float) -> Iterator[ArrayDifference]:
    """Yield the largest relative difference of the losses and of their total."""
    for name in (f"{prefix}loss.values", f"{prefix}loss.total"):
        expected = case.outputs[name]
        yield judge(name, expected, found[name], limit=limit, scale=np.abs(expected))


def _judge_norms(case: Case, found: Arrays) -> Iterator[ArrayDifference]:
    """Yield the differences of the gradient norms; below 1e-5 of the total they are rounding noise."""
    total, expected = case.outputs["grad.total_norm"], case.outputs["grad.norms"]
    yield judge("grad.total_norm", total, found["grad.total_norm"], limit=TOTAL_NORM_LIMIT, scale=total)
    scale = np.where(expected > _NOISE * total, expected, np.inf)
    yield judge("grad.norms", expected, found["grad.norms"], limit=GRADIENT_LIMIT, scale=scale)


def _judge_samples(case: Case, found: Arrays, rates: Mapping[str, float]) -> Iterator[ArrayDifference]:
    """Yield the differences of sampled gradients, over their largest value, and of steps, over the learning rate."""
    for name, expected in case.outputs.items():
        match = re.fullmatch(r"(grad|step)\.(.+)\.(values|mean|std)", name)
        if match is None or name not in found:
            continue
        largest = float(np.abs(case.outputs[f"grad.{match[2]}.values"]).max())
        scale, limit = (largest, GRADIENT_LIMIT) if match[1] == "grad" else (rates[match[2]], STEP_LIMIT)
        yield judge(name, expected, found[name], limit=limit, scale=scale)
