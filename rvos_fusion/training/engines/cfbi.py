"""Training of CFBI and CFBI+ on sequences, as their papers describe it; no official code of it is known.

Source: cfbi.md, sections 7 and 10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from deaot_toolkit import network_size, upsample_logits
from torch import Tensor, nn

from propagate.engines.cfbi.configs import find_config
from propagate.engines.cfbi.embeddings import FeaturePyramid
from propagate.engines.cfbi.memory import CfbiMemory, MatchingRules
from propagate.engines.cfbi.network import Cfbi, CfbiFeatures
from runners.checkpoints.saving import write_tensors
from runners.passes.frames import MEAN, STD
from rvos.errors import ConfigError
from rvos_fusion.training.building import build_network
from rvos_fusion.training.config import TrainingConfig
from rvos_fusion.training.data.sequences import SequenceBatch, Sequences, SequenceSettings
from rvos_fusion.training.engines.losses import frame_loss, kept_fraction
from rvos_fusion.training.logs.pictures import MaskPictures
from rvos_fusion.training.scores.propagation import PropagationValidation, propagation_scores
from rvos_fusion.training.scores.starts import read_cfbi

_SMALL = 0.3


@dataclass(frozen=True, slots=True)
class CfbiOptions:
    """How frames follow each other, and what is written.

    Args:
        predictions_from: progress from which the frame before is remembered with its predicted labels.
        half_precision: write the exported checkpoint in 16 bits.
    """

    predictions_from: float = 0.0
    half_precision: bool = False


class CfbiTask:
    """Task of one CFBI or CFBI+ network: every sequence has a memory of its own, every object is a row of it."""

    score = "J&F"

    def __init__(
        self,
        network: Cfbi,
        sequences: Sequences,
        options: CfbiOptions,
        validation: PropagationValidation | None = None,
    ) -> None:
        self.network: nn.Module = network
        self._cfbi = network
        self._sequences = sequences
        self._options = options
        self._validation = validation
        self.n_samples = len(sequences)
        self.pictures = MaskPictures()

    def batch(self, indices: list[int], seeds: list[int]) -> SequenceBatch:
        """Return labelled sequences."""
        return self._sequences.batch(indices, seeds)

    def losses(self, batch: SequenceBatch, progress: float) -> Mapping[str, Tensor]:
        """Return the mean loss of the propagated frames; of the reference nothing is predicted."""
        with_predictions = progress >= self._options.predictions_from
        kept = kept_fraction(progress)
        length = batch.frames.shape[1]
        features = self._cfbi.encode_all(blue_first(batch.frames).flatten(0, 1))
        losses = []
        for number, labels in enumerate(batch.labels):
            memory = CfbiMemory(self._cfbi, MatchingRules())
            n_objects = batch.n_objects[number]
            of_one = features[number * length : (number + 1) * length]
            memory.refer(of_one[0], batch.references[number][None], n_objects=int(n_objects))
            found = propagate_frames(memory, of_one[1:], labels[1:], with_predictions=with_predictions)
            losses += [
                frame_loss(logits, label[None], n_objects[None], kept=kept)
                for logits, label in zip(found, labels[1:], strict=True)
            ]
        return {"total": torch.stack(losses).mean()}

    def validate(self, folder: Path) -> Mapping[str, float]:
        """Return J, F and J&F of masks propagated from a true key-frame mask."""
        if self._validation is None:
            raise ConfigError("validation: no settings for this task; give validation.folder")
        self.pictures.clear()
        return propagation_scores(partial(read_cfbi, self._cfbi), self._validation, pictures=self.pictures)

    def export(self, path: Path) -> None:
        """Write the network's weights."""
        kind = torch.float16 if self._options.half_precision else torch.float32
        write_tensors(path, {name: value.to(kind) for name, value in self._cfbi.state_dict().items()}, {})


def propagate_frames(
    memory: CfbiMemory, features: Sequence[CfbiFeatures], labels: Tensor, *, with_predictions: bool
) -> list[Tensor]:
    """Return the logits `(1, rows, H, W)` of each frame; its labels `(H, W)`, or predicted ones, are remembered."""
    found: list[Tensor] = []
    for image, label in zip(features, labels, strict=True):
        (logits,) = memory.propagate(image)
        found.append(upsample_logits(logits[None], (label.shape[0], label.shape[1]), align_corners=True))
        memory.remember(found[-1].detach().argmax(dim=1) if with_predictions else label[None])
    return found


def blue_first(frames: Tensor) -> Tensor:
    """Return normalised RGB frames `(..., 3, H, W)` in the order B, G, R, less the means of R, G and B."""
    mean, deviation = (torch.tensor(values, device=frames.device)[:, None, None] for values in (MEAN, STD))
    return ((frames * deviation + mean).flip(-3) - mean) / deviation


def shrink_embeddings(network: Cfbi) -> None:
    """Make the embeddings of a fresh network small: distances of large ones are all squashed to 1, without a slope."""
    head = network.embedding
    last = [head.toplayer, head.smooth1, head.smooth2] if isinstance(head, FeaturePyramid) else [head.bn2]
    with torch.no_grad():
        for part in last:
            for norm in part.modules():
                if isinstance(norm, nn.GroupNorm):
                    norm.weight.mul_(_SMALL)


@dataclass(frozen=True, slots=True)
class _NetworkSettings:
    """A network by name."""

    name: str


@dataclass(frozen=True, slots=True)
class _Settings:
    network: _NetworkSettings
    data: SequenceSettings
    options: CfbiOptions
    validation: PropagationValidation | None = None


def build(config: TrainingConfig) -> CfbiTask:
    """Return the task; ConfigError: settings that do not fit, no such network, or a size that is not its grid's."""
    settings = config.read(_Settings)
    sizes = find_config(settings.network.name)
    size = settings.data.size
    fitting = network_size(size, align_corners=True, long_edge=None)
    if size != fitting:
        raise ConfigError(
            f"{config.name}: data.size {list(size)}; {settings.network.name} takes {list(fitting)}, set it"
        )
    network = build_network(lambda: Cfbi(sizes), where=config.name)
    shrink_embeddings(network)
    return CfbiTask(network, Sequences(settings.data), settings.options, settings.validation)
