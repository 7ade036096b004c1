"""The detectors by name, imported only when one is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from runners.detectors.base import GROUP, Detector, DetectorSettings
from rvos.plugins import Plugin, load_plugin, require_plugin
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
    """Check that a detector can be built; no weights are read. Raises as `build_detector` does."""
    if settings.is_own:
        # Whether a user's detector knows the device `meta` is not known: its code is imported, and no more.
        load_plugin(find_own(settings))
        return
    import torch

    build_detector(settings, device=torch.device("meta"))


def find_own(settings: DetectorSettings) -> Plugin:
    """Return the code of a user's detector, which is not imported.

    Raises:
        ConfigError: no such module, or no such function in it.
    """
    return require_plugin("detector", settings.detector, group=GROUP, folder=settings.beside)


def build_detector(settings: DetectorSettings, *, device: torch.device) -> Detector:
    """Return the detector that a recipe describes, loaded.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another network.
        ConfigError: settings that the network does not have, or an unusable tokeniser.
        InputError: an import that cannot be read.
    """
    build: Callable[..., Detector]
    build = (
        load_plugin(find_own(settings)) if settings.is_own else import_module(DETECTORS[settings.detector].module).build
    )
    detector: Detector = build(settings, device=device)
    return detector
