"""The Python interface: recipes opened, run, read, voted on and scored; and what models, engines and detectors need.

```python
import rvos_fusion as rf

recipe = rf.open_recipe("pipeline.yaml")
recipe.run(jobs=2)
video = recipe.videos[0]
masks = [recipe.masks(node, video)["0"] for node in ("soc_aot", "mutr_aot", "referformer_aot")]
j, f = rf.score(rf.vote(masks, needed=2), recipe.truth(video)["0"])
```
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from rvos_fusion.commands.hidden_packages import find_hidden_package

if TYPE_CHECKING:
    from propagate.engines.features import FeatureCache
    from propagate.engines.protocol import Augmentation, Engine, Forking, Session, Step
    from propagate.engines.settings import EngineSettings
    from propagate.frames import Frame
    from runners.base import Runner
    from runners.detectors.base import Detector, DetectorSettings
    from runners.outside import OwnModel, check_sequences
    from rvos.errors import CheckpointError, ConfigError, FusionError, InputError, PipelineError, StoreError
    from rvos.masks.detections import FrameBoxes, FrameInstances
    from rvos.masks.mask_sequences import MaskSequence, SoftMaps, decode, encode
    from rvos.videos import Expression, Video
    from rvos_fusion.arrays import score, vote
    from rvos_fusion.opened import OpenedRecipe, PlannedNode, ScoreRow, open_recipe
    from rvos_fusion.single_runner import open_runner
    from rvos_fusion.training.logs.loggers import LoggedTraining, Logger

_NAMES = {
    # Recipes.
    "rvos_fusion.opened": ("OpenedRecipe", "PlannedNode", "ScoreRow", "open_recipe"),
    "rvos_fusion.arrays": ("score", "vote"),
    "rvos_fusion.single_runner": ("open_runner",),
    # What every model sees and gives.
    "rvos.videos": ("Expression", "Video"),
    "rvos.masks.mask_sequences": ("MaskSequence", "SoftMaps", "decode", "encode"),
    # Runners, detectors, engines, loggers of trainings.
    "runners.base": ("Runner",),
    "runners.outside": ("OwnModel", "check_sequences"),
    "runners.detectors.base": ("Detector", "DetectorSettings"),
    "rvos.masks.detections": ("FrameBoxes", "FrameInstances"),
    "propagate.engines.protocol": ("Augmentation", "Engine", "Forking", "Session", "Step"),
    "propagate.engines.settings": ("EngineSettings",),
    "propagate.engines.features": ("FeatureCache",),
    "propagate.frames": ("Frame",),
    "rvos_fusion.training.logs.loggers": ("LoggedTraining", "Logger"),
    # What is wrong, in one line.
    "rvos.errors": ("CheckpointError", "ConfigError", "FusionError", "InputError", "PipelineError", "StoreError"),
}
_PLACES = {name: module for module, names in _NAMES.items() for name in names}

# fmt: off
__all__ = [
    "Augmentation", "CheckpointError", "ConfigError", "Detector", "DetectorSettings", "Engine", "EngineSettings",
    "Expression", "FeatureCache", "Forking", "Frame", "FrameBoxes", "FrameInstances", "FusionError", "InputError",
    "LoggedTraining", "Logger", "MaskSequence", "OpenedRecipe", "OwnModel", "PipelineError", "PlannedNode", "Runner",
    "ScoreRow", "Session", "SoftMaps", "Step", "StoreError", "Video", "check_sequences", "decode", "encode",
    "open_recipe", "open_runner", "score", "vote",
]
# fmt: on


def __getattr__(name: str) -> object:
    """Load a public name when it is asked for: every command passes through this file and needs few of them.

    Raises:
        ImportError: another package hides one of ours.
    """
    if name == "__version__":
        return version("rvos-fusion")
    if name not in _PLACES:
        raise AttributeError(f"module 'rvos_fusion' has no attribute {name!r}")
    hidden = find_hidden_package()
    if hidden is not None:
        raise ImportError(hidden)
    return getattr(import_module(_PLACES[name]), name)
