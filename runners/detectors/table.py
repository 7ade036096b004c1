"""The detectors by name, imported only when one is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from runners.detectors.base import Detector, DetectorSettings
from rvos.plugins import load_plugin
from rvos.versions import Listed

if TYPE_CHECKING:
    import torch

DETECTORS: Mapping[str, Listed] = {
    "grounding-dino": Listed("runners.detectors.grounding_dino", version=1),
    "uninext": Listed("runners.detectors.uninext", version=1),
    "import": Listed("runners.detectors.imported", version=1),
}
"""Each has `build(settings, device=...)`."""


def check_detector(settings: DetectorSettings) -> None:
    """Check that a detector can be built; no weights are read, no code of users is. Raises as `build_detector` does."""
    import torch

    if not settings.is_own:
        build_detector(settings, device=torch.device("meta"))


def build_detector(settings: DetectorSettings, *, device: torch.device) -> Detector:
    """Return the detector that a recipe describes, loaded.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another network.
        ConfigError: settings that the network does not have, or an unusable tokeniser.
        InputError: an import that cannot be read.
    """
    build: Callable[..., Detector]
    build = (
        load_plugin(settings.find_code())
        if settings.is_own
        else import_module(DETECTORS[settings.detector].module).build
    )
    return build(settings, device=device)
