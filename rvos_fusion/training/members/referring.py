"""What the trainings of all referring networks share: clips in, criterion, validation through the runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from runners.checkpoints.saving import save_network
from runners.networks.text.text_encoder import TextConfig
from runners.networks.text.tokenizers import fit_tokens
from runners.registry import RUNNERS
from rvos.errors import ConfigError
from rvos.settings import Count, Side, count, load
from rvos_fusion.training.building import build_network
from rvos_fusion.training.config import TrainingConfig
from rvos_fusion.training.data.clips import ClipBatch, ClipSource, VideoClips, VideoClipSettings, collate
from rvos_fusion.training.data.pseudo_videos import PseudoVideos, PseudoVideoSettings
from rvos_fusion.training.data.targets import ClipTargets
from rvos_fusion.training.logs.pictures import MaskPictures
from rvos_fusion.training.scores.members import MemberValidation, member_scores


class ReadsText(Protocol):
    """Sizes of a network with a language model and class logits."""

    @property
    def text(self) -> TextConfig:
        """Sizes of the language model."""

    @property
    def classes(self) -> int:
        """Logits of a query."""


NetworkConfig = TypeVar("NetworkConfig", bound=ReadsText)
Losses = Callable[[ClipBatch, Tensor, Tensor], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True)
class ClipData:
    """What a referring network trains on; the samples of all sources are shuffled together.

    Args:
        videos: labelled videos.
        images: single images as pseudo-videos.
        multiple: batches are padded to a multiple of so many pixels.
        expressions: of each clip; they share its visual features. A batch then has so many times as many samples.
    """

    videos: tuple[VideoClipSettings, ...] = ()
    images: tuple[PseudoVideoSettings, ...] = ()
    multiple: Side = 32
    expressions: Count = 1

    def __post_init__(self) -> None:
        if not (self.videos or self.images):
            raise ConfigError("data: neither videos nor images; name at least one source of clips")


@dataclass(frozen=True, slots=True)
class MemberOptions:
    """Settings of the task.

    Args:
        tokenizer: folder of roberta-base's files; None: the project's small word list.
        half_precision: write the exported checkpoint in 16 bits.
    """

    tokenizer: Path | None = None
    half_precision: bool = False
    weights: Mapping[str, Any] = field(default_factory=dict)


class MemberTask(Generic[NetworkConfig]):
    """Task of one referring network; `name`: of the runner that loads it, `losses`: given token ids and mask."""

    score = "J&F"

    def __init__(
        self,
        name: str,
        network: nn.Module,
        network_config: NetworkConfig,
        losses: Losses,
        settings: MemberSettings,
    ) -> None:
        self.network = network
        self._name = name
        self._network_config = network_config
        self._losses = losses
        self._settings = settings
        _check_categories(settings.data, network_config.classes)
        sources: list[ClipSource] = [PseudoVideos(images) for images in settings.data.images]
        sources += [VideoClips(videos) for videos in settings.data.videos]
        self._clips = [(source, place) for source in sources for place in range(len(source))]
        text = network_config.text
        self._tokens = fit_tokens(
            settings.options.tokenizer, vocabulary=text.vocab_size, max_tokens=text.max_tokens, where=name
        )
        self.n_samples = len(self._clips)
        self.pictures = MaskPictures()

    def batch(self, indices: list[int], seeds: list[int]) -> ClipBatch:
        """Return clips with one expression each, or several (`data.expressions`)."""
        clips, data = [], self._settings.data
        for index, seed in zip(indices, seeds, strict=True):
            source, place = self._clips[index]
            clips += source.clips(place, np.random.default_rng(seed), expressions=data.expressions)
        return collate(clips, multiple=data.multiple, expressions=data.expressions)

    def losses(self, batch: ClipBatch, progress: float) -> Mapping[str, Tensor]:
        """Return the criterion's losses."""
        ids, mask = self._tokens.encode(batch.texts)
        device = batch.frames.device
        return self._losses(batch, ids.to(device), mask.to(device))

    def validate(self, folder: Path) -> Mapping[str, float]:
        """Return J, F and J&F of the runner with these weights, over all expressions and by their kinds."""
        assert self._settings.validation is not None
        checkpoint = folder / "validated.safetensors"
        self.export(checkpoint)
        device = next(self.network.parameters()).device
        settings, tokenizer = self._settings.validation, self._settings.options.tokenizer
        self.pictures.clear()
        return member_scores(
            self._name, checkpoint, settings, device=device, tokenizer=tokenizer, pictures=self.pictures
        )

    def export(self, path: Path) -> None:
        """Write the network with its configuration."""
        dtype = torch.float16 if self._settings.options.half_precision else torch.float32
        save_network(path, self._name, self._network_config, self.network, dtype)


def _check_categories(data: ClipData, classes: int) -> None:
    """Refuse categories that the network has no logits for, and sources that know none beside sources that do."""
    listed = [videos.categories for videos in data.videos]
    if not any(listed):
        return
    if len(set(listed)) > 1 or data.images:
        raise ConfigError("data: categories for some sources and not for others; list the same ones for all videos")
    if len(listed[0]) != classes:
        raise ConfigError(
            f"data: {count(len(listed[0]), 'category', 'categories')} for a network of {classes} "
            "classes; set network.classes"
        )


@dataclass(frozen=True, slots=True)
class MemberSettings:
    """Data, options and validation of a member's training."""

    data: ClipData
    options: MemberOptions = field(default_factory=MemberOptions)
    validation: MemberValidation | None = None


def read_member_settings(config: TrainingConfig) -> MemberSettings:
    """Return the settings that all members share; ConfigError where they do not fit."""
    settings = config.read(MemberSettings)
    if settings.validation is not None:  # read again by the runner, but only when hours of training are done
        load(RUNNERS[config.task].options, settings.validation.options, where=config.name, part="validation.options")
    return settings


@dataclass(frozen=True, slots=True)
class Member(Generic[NetworkConfig]):
    """A referring network and its criterion; called with a configuration, it makes the task.

    Args:
        name: of the runner that loads the exported checkpoint.
        sizes, network, weights, criterion: their classes.
        takes_annotated: whether the network is trained on clips with a single annotated frame.
    """

    name: str
    sizes: type[NetworkConfig]
    network: Callable[[NetworkConfig], nn.Module]
    weights: type[Any]
    criterion: Callable[[Any], Callable[[Any, ClipTargets], Mapping[str, Tensor]]]
    takes_annotated: bool = True

    def __call__(self, config: TrainingConfig) -> MemberTask[NetworkConfig]:
        """Return the task; ConfigError where settings do not fit."""
        settings = read_member_settings(config)
        sizes = load(self.sizes, config.network, where=config.name, part="network")
        network = build_network(lambda: self.network(sizes), where=config.name)
        weights = load(self.weights, settings.options.weights, where=config.name, part="options.weights")
        criterion = self.criterion(weights)
        if not self.takes_annotated and any(one.sampling == "annotated" for one in settings.data.videos):
            problem = f"{self.name} has no published training on single annotated frames; take referformer"
            raise ConfigError(f"{config.name}: {problem}")

        def losses(batch: ClipBatch, ids: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
            annotated = [batch.annotated] if self.takes_annotated else []
            outputs = network(batch.frames, batch.padding_mask, ids, mask, batch.sizes, *annotated)
            return criterion(outputs, batch.targets)

        return MemberTask(self.name, network, sizes, losses, settings)
