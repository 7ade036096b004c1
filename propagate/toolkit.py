"""The toolkit's AOT and DeAOT networks as propagation engines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import deaot_toolkit
import torch
from deaot_toolkit import errors as toolkit
from torch import Tensor

from propagate.engines import EngineSettings
from propagate.features import FeatureCache, Features
from rvos.errors import CheckpointError, ConfigError, InputError

_MEGABYTE = 1 << 20


def load_engine(settings: EngineSettings, *, device: torch.device) -> ToolkitEngine:
    """Return the engine of a recipe's entry, with its checkpoint loaded.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another network.
        ConfigError: no network of that name.
    """
    with _translated():
        network = deaot_toolkit.load(settings.checkpoint, settings.network)
    return ToolkitEngine(network.to(device).eval(), settings, device=device)


class ToolkitEngine:
    """A network of the toolkit with the features that its users share.

    Args:
        network: loaded, in evaluation mode, on `device`.
        settings: sizes, memory and precision; scales and protocol are the driver's.
    """

    def __init__(self, network: Any, settings: EngineSettings, *, device: torch.device) -> None:
        self._network = network
        self._settings = settings
        self.device = device
        self.features = FeatureCache(settings.cache_megabytes * _MEGABYTE)

    @property
    def align_corners(self) -> bool:
        """How logits are brought to frame size."""
        return bool(self._network.config.align_corners)

    def input_size(self, frame_size: tuple[int, int], scale: float) -> tuple[int, int]:
        """Return the network's input size for frames of (H, W) at a scale; tiny frames are enlarged to one cell."""
        return deaot_toolkit.network_size(
            frame_size, align_corners=self.align_corners, scale=scale, long_edge=self._settings.long_edge
        )

    def encode(self, image: Tensor) -> Features:
        """Return the features of an image `(1, 3, h, w)`."""
        with self.precision():
            features: Features = self._network.encode(image)
        return features

    def open(self, *, active_objects: int | None, legacy: bool) -> _Session:
        """Return a session without memory."""
        with _translated():
            core = deaot_toolkit.Engine(
                self._network,
                active_objects=active_objects,
                long_term_gap=self._settings.long_term_gap,
                max_memory_frames=self._settings.max_memory_frames,
                legacy_counter=legacy,
            )
        return _Session(core, self)

    @contextmanager
    def precision(self) -> Iterator[None]:
        """The arithmetic that the recipe asks for; the toolkit's errors become ours."""
        name = self._settings.precision
        half = torch.float16 if name == "float16" else torch.bfloat16
        with _translated(), torch.autocast(self.device.type, dtype=half, enabled=name != "float32"):
            yield


class _Session:
    """One memory of the toolkit, in the precision of its engine."""

    def __init__(self, core: Any, engine: ToolkitEngine) -> None:
        self._core = core
        self._engine = engine

    def reference(self, features: Any, labels: Tensor) -> None:
        """Remember a frame with given labels `(B, h, w)`; every label above 0 is an object."""
        with self._engine.precision():
            self._core.reference(features, labels, n_objects=1)

    def propagate(self, features: Any) -> Tensor:
        """Return the logits of the next frame."""
        with self._engine.precision():
            logits: Tensor = self._core.propagate(features)
        return logits

    def remember(self, labels: Tensor) -> None:
        """Remember the frame propagated to last."""
        with self._engine.precision():
            self._core.remember(labels)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the toolkit's errors into the product's."""
    try:
        yield
    except toolkit.NetworkConfigError as error:
        raise ConfigError(str(error)) from None
    except toolkit.CheckpointError as error:
        raise CheckpointError(str(error)) from None
    except toolkit.EngineError as error:
        raise InputError(str(error)) from None
