"""Parity cases of AOT and DeAOT: one network, free-running, and forced where our labels differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deaot_toolkit import (
    EngineGroup,
    FrameFeatures,
    NetworkConfig,
    ToolkitError,
    VosNetwork,
    find_encoder,
    load,
    resize_labels,
)
from numpy.typing import NDArray
from torch import Tensor

from rvos.errors import CheckpointError, InputError
from rvos_fusion.parity.cases import Arrays, Case, Results
from rvos_fusion.parity.networks.aot_stages import StageTape

_INPUTS = ("images", "reference_label", "fed_labels", "output_size")


def load_network(case: Case, checkpoint: Path) -> VosNetwork:
    """Return the case's network, loaded; CheckpointError: no fit, InputError: an encoder or setting we do not have."""
    found: Mapping[str, Any] = case.keys["config"]
    try:
        config = NetworkConfig(
            name=found["name"],
            family=found["network"],
            encoder=find_encoder(found["encoder"]),
            align_corners=found["align_corners"],
            layers=found["layers"],
            long_term_gap=found["long_term_gap"],
            embedding_dim=found["embedding_dim"],
            heads=found["long_short_heads"],
            feed_forward_dim=found.get("feed_forward_dim", 4 * found["embedding_dim"]),
            max_objects=found["max_objects"],
            local_radius=found["local_window_radius"],
        )
    except (ToolkitError, KeyError) as error:
        raise InputError(f"{case.folder}: {error}; keys.json names a network that cannot be built") from None
    try:
        return load(checkpoint, config)
    except ToolkitError as error:
        raise CheckpointError(str(error)) from None


@dataclass(slots=True)
class Propagation:
    """What one pass over the frames gives.

    Args:
        logits: of each engine, frames 1..T-1, stride 4.
        masks: at output size, all frames.
        fed: our labels at network size, all frames.
        memory_frames: after each of frames 1..T-1.
        probabilities: of the last frame at output size.
        before_merge: labels of the frame with new objects, before they are added.
    """

    masks: list[Tensor]
    fed: list[Tensor]
    logits: list[list[Tensor]] = field(default_factory=list)
    memory_frames: list[int] = field(default_factory=list)
    probabilities: Tensor | None = None
    before_merge: Tensor | None = None


def run(case: Case, checkpoint: Path) -> Results:
    """Return our arrays for an `aot` or `deaot` case; InputError: an input lacks, or no such network."""
    missing = [name for name in _INPUTS if name not in case.inputs]
    if missing:
        raise InputError(f"{case.folder}: inputs.npz lacks {', '.join(missing)}; copy the case again")
    network = load_network(case, checkpoint)
    images = torch.from_numpy(case.inputs["images"])
    grid = (-(-images.shape[2] // 16), -(-images.shape[3] // 16))
    tape = StageTape(network, case.stages, grid)
    with torch.inference_mode():
        features = []
        for index, image in enumerate(images):
            tape.frame = index
            features.append(network.encode(image[None]))
        fed_labels = torch.from_numpy(case.inputs["fed_labels"]).long()
        forced = propagate(network, features, case.inputs, tape, forced=fed_labels)
        tape.close()
        same = all(torch.equal(own[0], given) for own, given in zip(forced.fed, fed_labels, strict=True))
        free = forced if same else propagate(network, features, case.inputs, tape)
    # Those that appear later included.
    counted = [name for name in ("n_objects", "reference_label", "new_label") if name in case.inputs]
    arrays = _arrays(forced, max(int(np.max(case.inputs[name])) for name in counted))
    arrays["masks"] = torch.cat(free.masks).numpy().astype(np.uint8)
    if free.before_merge is not None:
        arrays["prediction_before_merge"] = free.before_merge[0].numpy().astype(np.uint8)
    return Results({**arrays, **tape.arrays})


def propagate(
    network: VosNetwork,
    features: Sequence[FrameFeatures],
    inputs: Mapping[str, NDArray[Any]],
    tape: StageTape,
    *,
    forced: Tensor | None = None,
) -> Propagation:
    """Run a case's frames in order; `forced` labels (T, h, w) replace our own in the memory."""
    size = (int(inputs["output_size"][0]), int(inputs["output_size"][1]))
    labels = torch.from_numpy(inputs["reference_label"]).long()[None]
    n_objects = int(inputs["n_objects"]) if "n_objects" in inputs else int(labels.max())
    group = EngineGroup(network)
    done = Propagation([labels], [resize_labels(labels, features[0].size)])
    tape.frame = 0
    group.reference(features[0], done.fed[0], n_objects)
    # The last layer of a reference is computed only for a decoder.
    group.engines[0].decode()
    tape.record_memory(group)
    for index in range(1, len(features)):
        tape.frame = index
        logits = group.propagate(features[index])
        done.logits.append(logits)
        done.probabilities = group.merge(logits, size).softmax(dim=1)
        labels = done.probabilities.argmax(dim=1)
        is_new = "new_label" in inputs and index == int(inputs["new_label_frame"])
        if is_new:
            done.before_merge = labels
            added = torch.from_numpy(inputs["new_label"]).long()[None]
            labels = torch.where(added == 0, labels, added)
        done.masks.append(labels)
        done.fed.append(resize_labels(labels, features[index].size))
        fed = done.fed[-1] if forced is None else forced[index][None]
        if is_new:
            group.reference(features[index], fed, int(labels.max()))
        group.remember(fed)
        done.memory_frames.append(group.engines[0].n_memory_frames)
        tape.record_memory(group)
    return done


def _arrays(done: Propagation, n_objects: int) -> Arrays:
    """Return the float and count arrays of a pass; channels that no object uses are left out."""
    identities = done.logits[0][0].shape[1] - 1
    engines = [torch.cat(frames) for frames in zip(*done.logits, strict=True)]
    used = [part[:, : n_objects - index * identities + 1].numpy() for index, part in enumerate(engines)]
    arrays: Arrays = {f"logits_stride4_engine{index}": part for index, part in enumerate(used)}
    arrays["logits_stride4"] = used[0]
    arrays["memory_frames"] = np.asarray(done.memory_frames)
    if done.probabilities is not None:
        probabilities = done.probabilities[0, : n_objects + 1].numpy()
        arrays["probs_last"] = probabilities
        arrays["probs_last_every4"] = probabilities[:, ::4, ::4]
    return arrays
