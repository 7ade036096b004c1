"""What a detector is, and what a recipe says of it whichever it is; free of torch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, runtime_checkable

from rvos.masks.detections import FrameInstances
from rvos.settings import Chance, Folder, Given
from rvos.videos import Video


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """One entry of `detectors:` in a recipe; each detector has a class with its own settings.

    Args:
        detector: name, or one's own: the name of an entry point in the group `rvos.detectors`, or `module:function`.
        box_threshold: boxes of a lower score are dropped.
        beside: folder of the recipe, where the module of a detector of one's own may lie; no key of the recipe.
        name: that the recipe calls it by.
    """

    version: ClassVar[int] = 1
    """Raised when the same settings and files give other boxes: results of before are made again."""
    is_own: ClassVar[bool] = False
    """Whether it is a user's own, whose files of code count."""
    gives_masks: ClassVar[bool] = True
    """Whether masks may come with the boxes; those of an import show when it is read."""
    needs_nouns: ClassVar[bool] = True
    """Whether it finds what it is asked for alone; others can be asked for everything."""

    tells_presence: ClassVar[bool] = False
    """Whether it may say how sure it is that a frame shows what it is asked for at all."""

    words: ClassVar[str] = "bert-base-uncased"
    """Whose vocabulary a `tokenizer` holds; licences go by it."""

    detector: str
    box_threshold: Chance = field(default=0.25, kw_only=True)
    beside: Annotated[Path | None, Folder()] = field(default=None, kw_only=True)
    name: Annotated[str, Given("name")] = field(default="", kw_only=True)

    @property
    def files(self) -> Mapping[str, Path]:
        """What must be on disk: of `checkpoint`, `tokenizer` and `detections` those that it has."""
        return {}


@runtime_checkable
class SharesTrunk(Protocol):
    """A detector whose first part an engine can stand on. A detector need not have it."""

    @property
    def trunk_key(self) -> Hashable:
        """What the other has to have in common: file, network, input, arithmetic."""

    def share_trunk(self, keep: Callable[[tuple[Path, int], Any], None]) -> Any:
        """Return the trunk, a module of torch; `keep` is given the map of every frame seen from now on.

        Args:
            keep: takes the frame's source and its map.
        """


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
