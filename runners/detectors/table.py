"""The detectors by name, imported only when one is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from runners.detectors.base import Detector, DetectorName, DetectorSettings

if TYPE_CHECKING:
    import torch

DETECTORS: Mapping[DetectorName, str] = {
    "grounding-dino": "runners.detectors.grounding_dino",
    "uninext": "runners.detectors.uninext",
    "import": "runners.detectors.imported",
}
"""Each has `build(settings, device=...)`."""


def check_detector(settings: DetectorSettings) -> None:
    """Check that a detector can be built; no weights are read. Raises as `build_detector` does."""
    import torch

    build_detector(settings, device=torch.device("meta"))


def build_detector(settings: DetectorSettings, *, device: torch.device) -> Detector:
    """Return the detector that a recipe describes, loaded.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another network.
        ConfigError: settings that the network does not have, or an unusable tokeniser.
        InputError: an import that cannot be read.
    """
    build: Callable[..., Detector] = import_module(DETECTORS[settings.detector]).build
    return build(settings, device=device)
