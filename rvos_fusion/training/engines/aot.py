"""Training of AOT and DeAOT, memories fed truth, then predictions. Source: aot.md, section 12, deaot.md, section 7."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import deaot_toolkit
import torch
from deaot_toolkit import (
    EncoderConfig,
    Engine,
    FrameFeatures,
    NetworkConfig,
    VosNetwork,
    upsample_logits,
)
from torch import Tensor, nn

from rvos.errors import ConfigError
from rvos.settings import load
from rvos_fusion.training.building import build_network
from rvos_fusion.training.config import TrainingConfig
from rvos_fusion.training.data.sequences import SequenceBatch, Sequences, SequenceSettings
from rvos_fusion.training.engines.losses import IGNORED, frame_loss, kept_fraction
from rvos_fusion.training.logs.pictures import MaskPictures
from rvos_fusion.training.running.schedules import falling
from rvos_fusion.training.scores.propagation import PropagationValidation, propagation_scores
from rvos_fusion.training.scores.starts import read_toolkit


@dataclass(frozen=True, slots=True)
class VosOptions:
    """What differs between the stages.

    Args:
        predictions_from: progress from which predicted labels feed the memory and the ID bank stays as it
            is (0.5 in the video stage, 1 in the static one).
        reference_until: progress over which the weight of the reference frame's own loss falls from 1 to
            0 (1 in the video stage, 0.1 in the static one).
        half_precision: write the exported checkpoint in 16 bits.
    """

    predictions_from: float = 0.5
    reference_until: float = 1.0
    half_precision: bool = False


class VosTask:
    """Task of one AOT or DeAOT network."""

    score = "J&F"

    def __init__(
        self,
        network: VosNetwork,
        sequences: Sequences,
        options: VosOptions,
        validation: PropagationValidation | None = None,
    ) -> None:
        self.network: nn.Module = network
        self._vos = network
        self._sequences = sequences
        self._options = options
        self._validation = validation
        self.n_samples = len(sequences)
        self.pictures = MaskPictures()

    def batch(self, indices: list[int], seeds: list[int]) -> SequenceBatch:
        """Return labelled sequences."""
        return self._sequences.batch(indices, seeds)

    def losses(self, batch: SequenceBatch, progress: float) -> Mapping[str, Tensor]:
        """Return the mean loss of the propagated frames, that of the reference and their weighted sum."""
        options = self._options
        with_predictions = progress >= options.predictions_from
        self._vos.patch_wise_id_bank.requires_grad_(not with_predictions)
        kept = kept_fraction(progress)
        reference, frames = propagate_batch(self._vos, batch, with_predictions=with_predictions)
        own = frame_loss(reference, batch.labels[:, 0], batch.n_objects, kept=kept)
        later = torch.stack(
            [
                frame_loss(logits, batch.labels[:, index], batch.n_objects, kept=kept)
                for index, logits in enumerate(frames, start=1)
            ]
        ).mean()
        weight = falling(progress, start=1.0, end=0.0, until=options.reference_until)
        return {"propagated": later, "reference": own, "total": later + weight * own}

    def validate(self, folder: Path) -> Mapping[str, float]:
        """Return J, F and J&F of masks propagated from a true key-frame mask."""
        if self._validation is None:
            raise ConfigError("validation: no settings for this task; give validation.folder")
        self.pictures.clear()
        return propagation_scores(partial(read_toolkit, self._vos), self._validation, pictures=self.pictures)

    def export(self, path: Path) -> None:
        """Write the network with its configuration."""
        deaot_toolkit.save(self._vos, path, dtype=torch.float16 if self._options.half_precision else torch.float32)


def propagate_batch(
    network: VosNetwork, batch: SequenceBatch, *, with_predictions: bool
) -> tuple[Tensor, list[Tensor]]:
    """Return logits `(B, 1 + n, H, W)` of the reference, decoded from itself, and of every later frame.

    n is the batch's largest number of objects, and identities are shuffled on the way in and back on the way out. With
    `with_predictions` predicted labels feed the memory, instead of the true ones.
    """
    length = batch.frames.shape[1]
    features = network.encode(batch.frames.transpose(0, 1).flatten(0, 1))
    engine = Engine(network, active_objects=None)
    engine.reference(_moment(features, 0, batch), _shuffled(batch.references, batch.orders))
    outputs = [_in_order(engine.decode(), batch, network)]
    for index in range(1, length):
        logits = _in_order(engine.propagate(_moment(features, index, batch)), batch, network)
        outputs.append(logits)
        if index < length - 1:
            labels = batch.labels[:, index]
            if with_predictions:
                # The likeliest identity of every pixel among those in use.
                unused = torch.arange(logits.shape[1], device=logits.device)[None] > batch.n_objects[:, None]
                labels = logits.detach().masked_fill(unused[..., None, None], float("-inf")).argmax(1)
            engine.remember(_shuffled(labels, batch.orders))
    return outputs[0], outputs[1:]


def _moment(features: FrameFeatures, index: int, batch: SequenceBatch) -> FrameFeatures:
    """Return the features of frame `index` of every sequence."""
    rows = len(batch.frames)
    return features.select(range(index * rows, (index + 1) * rows))


def _shuffled(labels: Tensor, orders: Tensor) -> Tensor:
    """Return labels `(B, H, W)` with identity i renamed to `orders[:, i]`; ignored pixels stay ignored."""
    known = labels.masked_fill(labels == IGNORED, 0)
    renamed = torch.gather(orders, 1, known.flatten(1)).view_as(labels)
    return renamed.masked_fill(labels == IGNORED, IGNORED)


def _in_order(logits: Tensor, batch: SequenceBatch, network: VosNetwork) -> Tensor:
    """Return used identities' logits, `(B, 1 + n, H, W)` in the labels' order; what is linear in channels commutes."""
    used = batch.orders[:, : int(batch.n_objects.max()) + 1]
    chosen = logits.gather(1, used[..., None, None].expand(-1, -1, *logits.shape[2:]))
    size = (batch.frames.shape[3], batch.frames.shape[4])
    return upsample_logits(chosen, size, align_corners=network.config.align_corners)


@dataclass(frozen=True, slots=True)
class _NetworkSettings:
    """A network of the toolkit by name, with an encoder and fields of its configuration to change."""

    name: str
    encoder: EncoderConfig | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Settings:
    network: _NetworkSettings
    data: SequenceSettings
    options: VosOptions
    validation: PropagationValidation | None = None


def build(config: TrainingConfig) -> VosTask:
    """Return the task; ConfigError: settings, or fields of a network of the toolkit, that do not fit or are unknown."""
    settings = config.read(_Settings)
    try:
        named = dataclasses.asdict(deaot_toolkit.find_config(settings.network.name))
    except deaot_toolkit.ToolkitError as error:
        raise ConfigError(f"{config.name}: {error}") from None
    encoder = {"encoder": dataclasses.asdict(settings.network.encoder)} if settings.network.encoder else {}
    values = {**named, **settings.network.changes, **encoder}
    network_config = load(NetworkConfig, values, where=config.name, part="network.changes")
    network = build_network(lambda: deaot_toolkit.build(network_config.name, network_config), where=config.name)
    size = settings.data.size
    fitting = deaot_toolkit.network_size(size, align_corners=network_config.align_corners, long_edge=None)
    if size != fitting:
        raise ConfigError(f"{config.name}: data.size {list(size)}; {network_config.name} takes {list(fitting)}, set it")
    return VosTask(network, Sequences(settings.data), settings.options, settings.validation)
