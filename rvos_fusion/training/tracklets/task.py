"""Training of the grounding network: which tracklet does a sentence mean. Source: tracklets.md, section 5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runners.checkpoints.saving import save_network
from runners.grounding.scorer import NETWORK_NAME, fit_grounding_tokens
from runners.networks.tracklets.config import GroundingConfig
from runners.networks.tracklets.network import GroundingNetwork, Slots, video_scores
from rvos.settings import load
from rvos_fusion.training.building import build_network
from rvos_fusion.training.config import TrainingConfig
from rvos_fusion.training.data.videos import VideoFolder
from rvos_fusion.training.tracklets.samples import Labels, Sample, TrackletBatch, TrackletData, TrackletSamples

_VALIDATION_SEED = 20_000


@dataclass(frozen=True, slots=True)
class TrackletOptions:
    """How the network is trained.

    Args:
        permute_slots: any tracklet may stand in any slot, so that the slot says nothing; off: by quality, as
            tracklet-NMS orders them.
        tokenizer: folder with the files of the language model's tokeniser; None: the project's small word list.
        half_precision: of the exported checkpoint.
    """

    permute_slots: bool = False
    tokenizer: Path | None = None
    half_precision: bool = False


@dataclass(frozen=True, slots=True)
class _Settings:
    data: TrackletData
    validation: VideoFolder | None = None
    options: TrackletOptions = field(default_factory=TrackletOptions)


class TrackletTask:
    """Task of the grounding network; one sample a video."""

    score = "choice"

    def __init__(self, config: GroundingConfig, settings: _Settings) -> None:
        network = build_network(lambda: GroundingNetwork(config), where="tracklets")
        self.network: nn.Module = network
        self._grounding, self._config, self._options = network, config, settings.options
        self._tokens = fit_grounding_tokens(settings.options.tokenizer, config, where="tracklets")
        self._samples = self._open(settings.data)
        self._settings = settings
        self.n_samples = len(self._samples)

    def _open(self, data: TrackletData) -> TrackletSamples:
        return TrackletSamples(data, slots=self._config.slots, short_side=self._config.short_side)

    def batch(self, indices: list[int], seeds: list[int]) -> TrackletBatch:
        """Return videos with candidates and sentences; a video without any labelled sentence is left out."""
        found = []
        for index, seed in zip(indices, seeds, strict=True):
            sample = self._samples.sample(index, np.random.default_rng(seed))
            if sample is not None:
                found.append(sample if self._options.permute_slots else order_slots(sample))
        return self._samples.collate(found)

    def losses(self, batch: TrackletBatch, progress: float) -> Mapping[str, Tensor]:
        """Return the cross-entropy of the choice, and how often the likeliest slot is right, 0 to 1."""
        logits, _ = self._score(batch)
        loss = choice_loss(logits, batch.labels)
        with torch.no_grad():
            right = (logits.argmax(-1) == batch.labels.tracklets[:, None])[batch.labels.shown].float().mean()
        return {"choice": loss, "right": right, "total": loss}

    def _score(self, batch: TrackletBatch) -> tuple[Tensor, Slots]:
        """Return logits `(N, S, P)` in float32 and the slots of each sentence."""
        network, labels = self._grounding, batch.labels
        slots = network.encode_slots(batch.frames, batch.masks, batch.present, batch.paths).select(labels.videos)
        ids, mask = self._tokens.encode(labels.texts)
        device = batch.frames.device
        logits: Tensor = network(slots, network.encode_words(ids.to(device), mask.to(device)))
        return logits.float(), slots

    def validate(self, folder: Path) -> Mapping[str, float]:
        """Return how often the right tracklet is chosen and the tracklet-IoU of the choice, 0 to 100; by kind too."""
        right: list[bool] = []
        overlap: list[float] = []
        kinds: list[str] = []
        device = next(self.network.parameters()).device
        data = self._settings.data
        held_out = TrackletData(self._settings.validation, clips=data.clips) if self._settings.validation else data
        for batch in self.validation_batches(held_out):
            logits, slots = self._score(batch.to(device))
            best = video_scores(logits, slots.used).argmax(1).cpu()
            found = batch.labels.quality.gather(1, best[:, None])[:, 0]
            right += ((best == batch.labels.tracklets) | batch.labels.rivals.gather(1, best[:, None])[:, 0]).tolist()
            overlap += found.tolist()
            kinds += batch.labels.kinds
        scores = {self.score: 100 * float(np.mean(right)), "tracklet-IoU": 100 * float(np.mean(overlap))}
        for kind in sorted(set(kinds) - {""}):
            scores[f"choice {kind}"] = 100 * float(np.mean([r for r, k in zip(right, kinds, strict=True) if k == kind]))
        return scores

    def validation_batches(self, data: TrackletData) -> list[TrackletBatch]:
        """Return every video with all frames and sentences, and always the same candidates."""
        samples = self._open(TrackletData(data.folder, data.refer, clips=data.clips))
        found = [
            samples.sample(index, np.random.default_rng([_VALIDATION_SEED, index]), every=True)
            for index in range(len(samples))
        ]
        return [samples.collate([order_slots(sample)]) for sample in found if sample is not None]

    def export(self, path: Path) -> None:
        """Write the network with its sizes."""
        dtype = torch.float16 if self._options.half_precision else torch.float32
        save_network(path, NETWORK_NAME, self._config, self.network, dtype)


def order_slots(sample: Sample) -> Sample:
    """Return the sample with its candidates by area, the largest first: a stand-in for the order of their scores."""
    order = np.argsort(-sample.candidates.sum((1, 2, 3)), kind="stable")
    return replace(sample, candidates=sample.candidates[order], quality=sample.quality[:, order])


def choice_loss(logits: Tensor, labels: Labels) -> Tensor:
    """Return the mean cross-entropy of logits `(N, S, P)` over the frames in which the meant tracklet has a mask.

    Source: tracklets.md, section 5; near-duplicates of the label are left out of the softmax.
    """
    logits = logits.masked_fill(labels.rivals[:, None], float("-inf"))
    targets = labels.tracklets[:, None].expand(logits.shape[:2])
    if not bool(labels.shown.any()):
        return logits.new_zeros(()) * logits.masked_fill(logits.isinf(), 0.0).sum()
    return F.cross_entropy(logits[labels.shown], targets[labels.shown])


def build(config: TrainingConfig) -> TrackletTask:
    """Return the task."""
    validation = {} if config.validation is None else {"validation": config.validation.get("folder", {})}
    settings = load(_Settings, {"data": config.data, "options": config.options, **validation}, where=config.name)
    return TrackletTask(load(GroundingConfig, config.network, where=config.name, part="network"), settings)
