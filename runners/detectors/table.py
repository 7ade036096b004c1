"""The table of the detectors: a new one is one module and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from runners.detectors.base import Detector, DetectorSettings
from runners.detectors.settings import GROUP, OwnDetectorSettings
from rvos.plugins import is_plugin_name, list_entry_points, load_plugin
from rvos.settings import Chosen

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class DetectorRow:
    """Where a detector lies.

    Args:
        settings: class of its settings, free of torch.
        module: has `build(settings, device=...)`; imported only when the detector is wanted.
    """

    settings: str
    module: str


_SETTINGS = "runners.detectors.settings"
DETECTORS: Mapping[str, DetectorRow] = {
    "grounding-dino": DetectorRow(f"{_SETTINGS}:GroundingDinoSettings", "runners.detectors.grounding_dino"),
    "uninext": DetectorRow(f"{_SETTINGS}:UninextDetectorSettings", "runners.detectors.uninext"),
    "sam3": DetectorRow(f"{_SETTINGS}:Sam3DetectorSettings", "runners.detectors.sam3"),
    "import": DetectorRow(f"{_SETTINGS}:ImportedSettings", "runners.detectors.imported"),
}


@dataclass(frozen=True, slots=True)
class ChosenDetector(Chosen):
    """Marks the settings of a detector, whose class follows from its name; a user's own has one for all."""

    key: str = "detector"

    def find(self, name: str) -> type:
        """See `Chosen`."""
        if name not in self.rows and (is_plugin_name(name) or name in list_entry_points(GROUP)):
            return OwnDetectorSettings
        return Chosen.find(self, name)

    def classes(self) -> list[type]:
        """See `Chosen`."""
        return [*Chosen.classes(self), OwnDetectorSettings]


CHOSEN_DETECTOR = ChosenDetector(rows={name: row.settings for name, row in DETECTORS.items()})


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
    if isinstance(settings, OwnDetectorSettings):
        build = load_plugin(settings.find_code())
    else:
        build = import_module(DETECTORS[settings.detector].module).build
    return build(settings, device=device)
