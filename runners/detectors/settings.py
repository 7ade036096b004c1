"""Settings of the detectors; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from runners.detectors.base import DetectorSettings
from rvos.plugins import Plugin, require_plugin
from rvos.settings import Chance, Range, Size

GROUP = "rvos.detectors"
"""Of entry points: an installed package names its `build` there."""
Precision = Literal["float32", "float16", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingDinoSettings(DetectorSettings):
    """Grounding DINO.

    Args:
        checkpoint: a folder of the hub with its safetensors.
        text_threshold: score that a word needs to label a box; masks do not depend on it.
        precision: of the network's arithmetic.
    """

    gives_masks: ClassVar[bool] = False

    checkpoint: Path
    text_threshold: Chance = 0.3
    precision: Precision = "float32"

    @property
    def files(self) -> Mapping[str, Path]:
        """See `DetectorSettings`."""
        return {"checkpoint": self.checkpoint}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedSettings(DetectorSettings):
    """Settings of detectors that read words with a tokeniser of their own.

    Args:
        checkpoint: its file, or for SAM 3 a folder of the hub.
        tokenizer: folder with its files; None: the project's small one, or the one in the checkpoint's folder.
        precision: of the network's arithmetic.
    """

    checkpoint: Path
    tokenizer: Path | None = None
    precision: Precision = "float32"

    @property
    def files(self) -> Mapping[str, Path]:
        """See `DetectorSettings`."""
        given = {} if self.tokenizer is None else {"tokenizer": self.tokenizer}
        return {"checkpoint": self.checkpoint, **given}


@dataclass(frozen=True, slots=True, kw_only=True)
class UninextDetectorSettings(TokenizedSettings):
    """UNINEXT asked with nouns.

    Args:
        backbone: None: as the checkpoint says.
    """

    backbone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sam3DetectorSettings(TokenizedSettings):
    """SAM 3 asked for concepts; its tokeniser's files are `vocab.json` and `merges.txt` of CLIP.

    Args:
        network: `sam3`.
        box_threshold: instances of a lower score, presence included, are dropped.
        mask_iou: of two masks with a larger intersection over union the better stays; 1 keeps all, as officially in
            single images.
        small_parts: holes of at most so many cells of the mask grid are filled, and such islands dropped; 16 in the
            official concept video, 0, none, in its single images.
        image_size: side of the square network input, a multiple of 14; None: the network's own, 1008.
        resize: of frames to it; `bilinear` is the official detector's, `bicubic` the official tracker's.
    """

    version: ClassVar[int] = 2  # presence is stored
    tells_presence: ClassVar[bool] = True
    words: ClassVar[str] = "sam3"

    network: str = "sam3"
    box_threshold: Chance = 0.5
    mask_iou: Chance = 0.1
    small_parts: Annotated[int, Range(least=0)] = 0
    image_size: Size | None = None
    resize: Literal["bilinear", "bicubic"] = "bilinear"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSettings(DetectorSettings):
    """What any other detector found.

    Args:
        path: COCO-style JSON, or a folder with `VIDEO.json`.
    """

    needs_nouns: ClassVar[bool] = False

    path: Path

    @property
    def files(self) -> Mapping[str, Path]:
        """See `DetectorSettings`."""
        return {"detections": self.path}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnDetectorSettings(DetectorSettings):
    """A detector of a user's, which makes of the settings what it likes."""

    is_own: ClassVar[bool] = True
    tells_presence: ClassVar[bool] = True

    checkpoint: Path | None = None
    path: Path | None = None
    text_threshold: Chance = 0.3
    backbone: str | None = None
    tokenizer: Path | None = None
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if self.beside is not None:
            self.find_code()  # so that the recipe's line is told where there is none

    @property
    def files(self) -> Mapping[str, Path]:
        """See `DetectorSettings`."""
        files = {"checkpoint": self.checkpoint, "tokenizer": self.tokenizer, "detections": self.path}
        return {what: path for what, path in files.items() if path is not None}

    def find_code(self) -> Plugin:
        """Return the user's code, which is not imported.

        Raises:
            ConfigError: no such module, or no such function in it.
        """
        return require_plugin("detector", self.detector, group=GROUP, folder=self.beside)
