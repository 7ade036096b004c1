"""What a detector is, and its entry in a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal, Protocol

from rvos.errors import ConfigError
from rvos.masks.detections import FrameInstances
from rvos.plugins import Plugin, is_plugin_name, list_entry_points, require_plugin
from rvos.settings import Chance, Folder, Given, nearest, show
from rvos.videos import Video

GROUP = "rvos.detectors"
"""Of entry points: an installed package names its `build` there."""
# Settings that only some detectors have: given for another one, they would be without effect.
_OWN: Mapping[str, tuple[str, ...]] = {
    "grounding-dino": ("checkpoint", "text_threshold", "precision"),
    "uninext": ("checkpoint", "backbone", "tokenizer", "precision"),
    "import": ("path",),
}
_COMMON = ("detector", "box_threshold", "beside", "name")
_NEEDED = {"grounding-dino": "checkpoint", "uninext": "checkpoint", "import": "path"}


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """One entry of `detectors:` in a recipe.

    Args:
        detector: `grounding-dino`, `uninext`, `import` for what any other detector found, or one's own: the name of an
            entry point in the group `rvos.detectors`, or `module:function`.
        checkpoint: of `grounding-dino` a folder of the hub with its safetensors; of `uninext` a file.
        path: of an import: COCO-style JSON, or a folder with `VIDEO.json`.
        box_threshold: boxes of a lower score are dropped.
        text_threshold: score that a word needs to label a box (`grounding-dino`); masks do not depend on it.
        backbone: of `uninext`; None: as the checkpoint says.
        tokenizer: of `uninext`: folder with its files; None: the project's small one.
        precision: of the network's arithmetic.
        beside: folder of the recipe, where the module of a detector of one's own may lie; no key of the recipe.
        name: that the recipe calls it by.

    Raises:
        ConfigError: settings that the detector does not have, or lacks.
    """

    detector: str
    checkpoint: Path | None = None
    path: Path | None = None
    box_threshold: Chance = 0.25
    text_threshold: Chance = 0.3
    backbone: str | None = None
    tokenizer: Path | None = None
    precision: Literal["float32", "float16", "bfloat16"] = "float32"
    beside: Annotated[Path | None, Folder()] = None
    name: Annotated[str, Given("name")] = ""

    def __post_init__(self) -> None:
        if self.is_own:
            if self.beside is not None:
                self.find_code()  # so that the recipe's line is told where there is none
            return
        if self.detector not in _OWN:
            raise ConfigError(f"detector {show(self.detector)} is unknown; {nearest(self.detector, _OWN)}")
        known = (*_COMMON, *_OWN[self.detector])
        foreign = [one.name for one in fields(self) if one.name not in known and getattr(self, one.name) != one.default]
        if foreign:
            raise ConfigError(f"{', '.join(foreign)} has no effect on detector {self.detector}; leave it out")
        if getattr(self, _NEEDED[self.detector]) is None:
            raise ConfigError(f"detector {self.detector} needs {_NEEDED[self.detector]!r}; add it")

    @property
    def is_own(self) -> bool:
        """Whether it is a user's own; that one takes all settings."""
        return self.detector not in _OWN and (
            is_plugin_name(self.detector) or self.detector in list_entry_points(GROUP)
        )

    def find_code(self) -> Plugin:
        """Return a user's detector, not imported; ConfigError where there is no such module or function."""
        return require_plugin("detector", self.detector, group=GROUP, folder=self.beside)

    @property
    def gives_masks(self) -> bool:
        """Whether masks may come with the boxes; those of an import show when it is read."""
        return self.detector != "grounding-dino"

    @property
    def needs_nouns(self) -> bool:
        """Whether it finds what it is asked for alone; others can be asked for everything."""
        return self.detector != "import"


class Detector(Protocol):
    """A loaded detector."""

    def detect(self, video: Video, frames: Sequence[int], nouns: Sequence[Sequence[str]]) -> list[list[FrameInstances]]:
        """Return what is found for each noun in each of the frames, noun by noun.

        Args:
            frames: indices of frames of the video.
            nouns: for each question its names, such as `("man", "woman")`, in lower case; none: everything that it
                finds, which only detectors without `needs_nouns` are asked for.

        Raises:
            InputError: a frame cannot be read, or what was imported cannot be used.
            CheckpointError: the network gives values that are not finite.
        """
