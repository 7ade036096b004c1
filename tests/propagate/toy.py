"""A propagator without a network: masks move one row down and `shifts[t]` columns to the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from propagate.engines.aot.engine import AotEngine
from propagate.engines.aot.settings import AotProtocol, AotSettings
from propagate.engines.features import FeatureCache
from propagate.engines.protocol import Engine
from propagate.propagator import PropagationSettings, Propagator, Source
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video

_MEAN, _STD = 0.485, 0.229
IDENTITIES = 10
OTHER_IDENTITY = 3


@dataclass
class ToyFeatures:
    """The number of the frame, read from its pixels."""

    frame: int
    size: tuple[int, int]
    n_bytes: int = 1000


@dataclass
class ToySession:
    """Moves the labels that it was given last, and writes down every call."""

    shifts: NDArray[np.int64]
    merge_identities: bool
    calls: list[str]
    sessions: list[list[str]]
    labels: Tensor = field(default_factory=lambda: torch.zeros(0))
    frame: int = -1

    def reference(self, features: ToyFeatures, labels: Tensor, n_objects: int | None = None) -> None:
        self.calls.append(f"reference {features.frame}")
        self.labels = labels

    def propagate(self, features: ToyFeatures) -> Tensor:
        self.calls.append(f"propagate {features.frame}")
        self.frame = features.frame
        moved = torch.zeros_like(self.labels)
        shift = int(self.shifts[features.frame])
        width = moved.shape[2]
        moved[:, 1:, max(shift, 0) : width + min(shift, 0)] = self.labels[
            :, :-1, max(-shift, 0) : width - max(shift, 0)
        ]
        ids = (moved > 0).long()
        if self.merge_identities:
            ids[:, ::4] *= OTHER_IDENTITY
        return torch.nn.functional.one_hot(ids, 1 + IDENTITIES).permute(0, 3, 1, 2).float() * 9

    def remember(self, labels: Tensor) -> None:
        self.calls.append(f"remember {self.frame}")
        self.labels = labels

    def copy(self) -> ToySession:
        self.sessions.append([*self.calls, "copy"])
        return replace(self, calls=self.sessions[-1])


class ToyEngine(AotEngine):
    """The AOT engine with a network that reads the number of a frame from its red channel."""

    align_corners = False

    def __init__(
        self,
        shifts: NDArray[np.int64],
        *,
        cache_bytes: int = 1 << 20,
        protocol: AotProtocol = "fresh",
        scales: tuple[float, ...] = (1.0,),
        flip: bool = False,
    ) -> None:
        settings = AotSettings("toy", Path("toy"), scales=scales, flip=flip, protocol=protocol)
        super().__init__(None, settings, device=torch.device("cpu"))
        self.shifts = shifts
        self.features = FeatureCache(cache_bytes)
        self.encoded: list[int] = []
        self.sessions: list[list[str]] = []

    def input_size(self, frame_size: tuple[int, int], scale: float) -> tuple[int, int]:
        return frame_size

    def encode(self, image: Tensor) -> ToyFeatures:
        frame = round(float((image[0, 0, 0, 0] * _STD + _MEAN) * 255))
        self.encoded.append(frame)
        return ToyFeatures(frame, (image.shape[2], image.shape[3]))

    def open_core(self) -> ToySession:
        self.sessions.append([])
        return ToySession(self.shifts, self.rules.active_objects is None, self.sessions[-1], self.sessions)


def propagate_video(
    video: Video, sequences: Sequence[MaskSequence], *, engine: Engine, n_references: int = 1, **settings: bool
) -> list[MaskSequence]:
    """Return the sequences of one source, propagated."""
    propagator = Propagator(engine, PropagationSettings(**settings))
    return propagator.propagate(video, [Source(sequences, n_references)])[0]


def write_video(folder: Path, name: str, frames: tuple[str, ...], size: tuple[int, int]) -> Video:
    """Return a video whose frame t has the red value t everywhere."""
    paths = []
    for number, frame in enumerate(frames):
        pixels = np.zeros((*size, 3), dtype=np.uint8)
        pixels[..., 0] = number
        paths.append(folder / f"{name}_{frame}.png")
        Image.fromarray(pixels).save(paths[-1])
    return Video(name, frames, (), tuple(paths))
