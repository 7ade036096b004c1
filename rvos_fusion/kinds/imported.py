"""Masks of other systems as a node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from rvos.errors import InputError
from rvos.ids import list_paths
from rvos.imports import Source, open_source
from rvos.imports.missing import Missing, read_filled
from rvos.imports.source import find_frame_size
from rvos.masks.mask_sequences import KeepSoft, MaskSequence
from rvos.settings import Key
from rvos.videos import Video
from rvos_fusion.kinds.base import Node, NodeFile, Task
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.foreign.masks import find_deeper, find_lacking
from rvos_fusion.kinds.foreign.stamps import stamp, stamp_masks

ImportFormat = Literal["png", "dump", "rle", "npz", "png16"]
DumpValues = Literal["logits", "probabilities"]
_SOFT = ("npz", "png16")


@dataclass(frozen=True, slots=True)
class ImportNode(Node):
    """Masks that another system made.

    Args:
        format: `png`: folders `<video>/<exp>/<frame>.png`; `dump`: a `.pth` of the 2023 release; `rle`: JSON; `npz` and
            `png16`: probabilities.
        path: folder or file.
        values: what a dump's `mask_logits` hold.
        keep_soft: keep probabilities beside the hard masks, as `uint8` (true) or `float16`, for fusion by average;
            None: `float16` of what is soft from the start.
        missing: what becomes of sentences that it has no masks for: `refuse`: the video fails; `empty`: masks that are
            missing are black; `abstain`: it has no vote on the sentence, which fusions take from the others.
    """

    keyword: ClassVar[str] = "import"
    kind: ClassVar[str] = "import"
    section: ClassVar[Literal["models", "stages"]] = "models"

    format: Annotated[ImportFormat, Key("import")]
    path: Path
    values: DumpValues = "logits"
    keep_soft: KeepSoft | None = None
    missing: Missing = "refuse"

    def __post_init__(self) -> None:
        if self.keep_soft is None:
            # What is soft from the start is kept unless the recipe says otherwise.
            object.__setattr__(self, "keep_soft", "float16" if self.format in _SOFT else False)

    def files(self) -> tuple[NodeFile, ...]:
        return (NodeFile(self.path, "masks", "nothing to import there; correct the path", "results"),)

    def sources(self, video: Video, checksums: Checksums) -> object:
        """What the folder holds of the video, a dump of a whole split being one file; the size that masks must have."""
        # Size and time: the checksum of gigabytes would cost more than the import.
        masks = stamp(self.path) if self.format == "dump" else stamp_masks(self.path, video)
        try:
            return [masks, find_frame_size(video)]
        except InputError:  # the video fails when it is imported, the others do not
            return [masks, "damaged"]

    def describe(self) -> str:
        return f"imports {self.format} {self.path.name}"

    def detail(self) -> str:
        return f"{self.format} import"

    def check_videos(self, videos: Sequence[Video]) -> Iterable[str]:
        """Check that a wrong path is not taken for masks that are missing."""
        if self.missing == "refuse" or not self.path.exists():
            return
        found = frozenset(self._open(videos).list_videos()).intersection(video.id for video in videos)
        if not found and (place := find_deeper(self.path, videos)):
            yield f"{self.path}: no masks of these videos; they lie in another folder, give path: {place}"

    def find_lacking(self, videos: Sequence[Video], *, deep: bool = False) -> Iterable[str]:
        return find_lacking(self._open(videos), videos, self.path, deep=deep, refuses=self.missing == "refuse")

    def sample(self, video: Video, *, deep: bool = False) -> Sequence[MaskSequence]:
        if self.missing != "refuse":
            return read_filled(self._open([video]), video, self.missing)
        return self._open([video]).read(video) if deep else self._open([video]).sample(video)

    def score_scale(self) -> str | None:
        return None if self.format in ("png", "png16") else f"the scores of {self.name}"

    def soft_maps(self) -> str | None:
        if self.format not in ("dump", *_SOFT):
            return None
        return "" if self.keep_soft else "set keep_soft: true on the import"

    def make(self, task: Task) -> Sequence[MaskSequence]:
        if self.missing != "refuse":
            return read_filled(self._open([task.video]), task.video, self.missing)
        return self._open([task.video]).read(task.video)

    def _open(self, videos: Sequence[Video]) -> Source:
        paths = list_paths(video.id for video in videos)
        return _open(self.format, self.path, self.values, self.keep_soft or False, paths)


@lru_cache(maxsize=1)
def _open(format: ImportFormat, path: Path, values: DumpValues, keep_soft: KeepSoft, paths: frozenset[str]) -> Source:
    """Return the opened source: once for each node and worker."""
    return open_source(format, path, values=values, soft=keep_soft, paths=paths)
