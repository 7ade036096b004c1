"""Training of a small UNINEXT on referring videos: single frames, denoising, validation as the runner segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from runners.checkpoints import save_network
from runners.networks.tokenizers import SmallTokens
from runners.networks.uninext.config import UninextConfig
from runners.networks.uninext.denoising import noisy_boxes
from runners.networks.uninext.network import Uninext
from runners.uninext import NAME, UninextRunner
from rvos.errors import ConfigError
from rvos.evaluation import j_and_f
from training.config import TrainingConfig
from training.criteria.uninext import UninextCriterion, UninextWeights
from training.data.clips import ClipBatch, VideoClips, VideoClipSettings, collate
from training.data.videos import LabelledVideo, VideoFolder, open_videos
from training.settings import from_mapping


@dataclass(frozen=True, slots=True)
class UninextOptions:
    """How the network is trained.

    Args:
        denoising_groups: pairs of a noisy box to mend and one to reject, a frame; 0: no denoising.
        weights: of the losses.
    """

    denoising_groups: int = 10
    weights: UninextWeights = field(default_factory=UninextWeights)


@dataclass(frozen=True, slots=True)
class UninextValidation:
    """Videos to validate on.

    Args:
        expressions: of each video at most so many; None: all.
    """

    folder: VideoFolder
    expressions: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class UninextBatch:
    """Clips with their tokens and noisy boxes.

    Args:
        ids, mask: `(B, n)` int64.
        noisy: `(B * T, groups, 2, 4)`, or None.
    """

    clips: ClipBatch
    ids: Tensor
    mask: Tensor
    noisy: Tensor | None

    def to(self, device: torch.device) -> UninextBatch:
        """Return the same batch on `device`."""
        noisy = None if self.noisy is None else self.noisy.to(device)
        return UninextBatch(self.clips.to(device), self.ids.to(device), self.mask.to(device), noisy)


class UninextTask:
    """Task of the training; one sample an expression and centre frame."""

    def __init__(
        self, config: UninextConfig, data: VideoClips, options: UninextOptions, validation: UninextValidation | None
    ) -> None:
        self.config = config
        self.network: Uninext = Uninext(config, auxiliary=True)
        self.network.reset_parameters()
        self.n_samples = len(data)
        self._data = data
        self._options = options
        self._criterion = UninextCriterion(options.weights)
        self._tokens = SmallTokens(max_tokens=config.text.max_tokens)
        self._limit = validation.expressions if validation else None
        self._videos = open_videos(validation.folder) if validation else []

    def batch(self, indices: list[int], seeds: list[int]) -> UninextBatch:
        """Return clips with tokens and noisy boxes; sample i draws only from `seeds[i]`."""
        drawn = [
            self._data.clip(index, np.random.default_rng(seed)) for index, seed in zip(indices, seeds, strict=True)
        ]
        clips = collate(drawn)
        ids, mask = self._tokens.encode(clips.texts)
        return UninextBatch(clips, ids, mask, self._noise(clips.targets.boxes, seeds))

    def _noise(self, boxes: Tensor, seeds: list[int]) -> Tensor | None:
        groups = self._options.denoising_groups
        if not groups:
            return None
        drawn = [
            noisy_boxes(clip, groups, torch.Generator().manual_seed(seed))
            for clip, seed in zip(boxes, seeds, strict=True)
        ]
        return torch.cat(drawn)

    def losses(self, batch: UninextBatch, progress: float) -> Mapping[str, Tensor]:
        """Return the weighted losses and their `total`."""
        clips = batch.clips
        outputs = self.network(clips.frames, clips.padding_mask, batch.ids, batch.mask, clips.sizes, batch.noisy)
        return self._criterion(outputs, clips.targets)

    def validate(self, folder: Path) -> Mapping[str, float]:
        """Return J, F and J&F (0 to 100) over the expressions of the validation videos."""
        device = next(self.network.parameters()).device
        runner = UninextRunner(self.network, self._tokens, device, keep_soft=False)
        scores = np.array([score for video in self._videos for score in self._score(runner, video)])
        region, contour = scores.mean(0)
        return {"J": 100 * float(region), "F": 100 * float(contour), "J&F": 50 * float(region + contour)}

    def _score(self, runner: UninextRunner, video: LabelledVideo) -> list[tuple[float, float]]:
        """Return J and F of each expression, means over frames."""
        labels = video.labels(range(video.n_frames))
        expressions = video.video.expressions[: self._limit]
        scores = []
        for expression, sequence in zip(expressions, runner.segment(video.video, expressions), strict=True):
            region, contour = j_and_f(labels == int(expression.object_ids[0]), sequence.masks())
            scores.append((float(region.mean()), float(contour.mean())))
        return scores

    def export(self, path: Path) -> None:
        """Write the network without the parts that only training reads, in half precision."""
        network = Uninext(self.config)
        trained = self.network.state_dict()
        network.load_state_dict({name: trained[name] for name in network.state_dict()})
        save_network(path, NAME, self.config, network, torch.float16)


@dataclass(frozen=True, slots=True)
class _Settings:
    network: UninextConfig
    data: VideoClipSettings
    options: UninextOptions
    validation: UninextValidation | None = None


def build(config: TrainingConfig) -> UninextTask:
    """Return the task.

    Raises:
        ConfigError: settings that do not fit, or a network that knows fewer words than the tokeniser.
    """
    values = {"network": config.network, "data": config.data, "options": config.options}
    settings = from_mapping(_Settings, {**values, "validation": config.validation}, where=config.name)
    words = SmallTokens().vocabulary_size
    if settings.network.text.vocabulary < words:
        raise ConfigError(
            f"{config.name}: network.text.vocabulary is {settings.network.text.vocabulary}, the tokeniser has {words} "
            "words; set at least that"
        )
    return UninextTask(settings.network, VideoClips(settings.data), settings.options, settings.validation)
