"""Masks of other systems as a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pipeline.checksums import Checksums
from pipeline.kinds.artefacts import MASKS, Artefact
from pipeline.kinds.base import Node, NodeFile, Task, WorkerKey
from pipeline.kinds.stamps import stamp, stamp_masks
from rvos.errors import InputError
from rvos.imports import Source, open_source
from rvos.imports.png_folders import open_png_folder
from rvos.imports.source import find_frame_size
from rvos.mask_sequences import MaskSequence
from rvos.settings import Key
from rvos.videos import Video

ImportFormat = Literal["png", "dump", "rle"]
DumpValues = Literal["logits", "probabilities"]


@dataclass(frozen=True, slots=True)
class ImportNode(Node):
    """Masks that another system made.

    Args:
        format: `png`: folders `<video>/<exp>/<frame>.png`; `dump`: a `.pth` of the 2023 release; `rle`: JSON.
        path: folder or file.
        values: what a dump's `mask_logits` hold.
        keep_soft: keep soft maps of a dump beside the hard masks, for fusion by average.
    """

    keyword: ClassVar[str] = "import"
    kind: ClassVar[str] = "import"
    section: ClassVar[Literal["models", "stages"]] = "models"
    artefact: ClassVar[Artefact] = MASKS

    format: Annotated[ImportFormat, Key("import")]
    path: Path
    values: DumpValues = "logits"
    keep_soft: bool = False

    def inputs(self) -> tuple[str, ...]:
        """No node."""
        return ()

    def files(self) -> tuple[NodeFile, ...]:
        """The masks."""
        return (NodeFile(self.path, "masks", "nothing to import there; correct the path", "data"),)

    def sources(self, video: Video, checksums: Checksums) -> object:
        """What the folder holds of the video, a dump of a whole split being one file; the size that masks must have."""
        # Size and time: the checksum of gigabytes would cost more than the import.
        masks = stamp(self.path) if self.format == "dump" else stamp_masks(self.path, video)
        try:
            return [masks, find_frame_size(video)]
        except InputError:  # the video fails when it is imported, the others do not
            return [masks, "damaged"]

    def describe(self) -> str:
        """Form and name."""
        return f"imports {self.format} {self.path.name}"

    def detail(self) -> str:
        """The form."""
        return f"{self.format} import"

    def is_bound(self) -> bool:
        """Always."""
        return True

    def score_scale(self, nodes: Mapping[str, Node]) -> str | None:
        """Its own; pictures have none."""
        return None if self.format == "png" else f"the scores of {self.name}"

    def lacks_soft(self) -> str | None:
        """Those of a dump, unless they are kept; masks of other forms are whole as they are."""
        return "set keep_soft: true on the import" if self.format == "dump" and not self.keep_soft else None

    def worker_key(self) -> WorkerKey | None:
        """Nothing: an opened folder is small."""
        return None

    def compute(self, tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
        """Return the masks of all expressions."""
        source = _open(self.format, self.path, self.values, self.keep_soft)
        return [source.read(task.video) for task in tasks]


def import_folder(folder: Path, task: Task, sources: Sequence[MaskSequence]) -> Sequence[MaskSequence]:
    """Return masks of a folder that was made from `sources`, in their order.

    Raises:
        InputError: masks are missing, damaged, or of another size than those they were made from.
    """
    found = {mask.expression: mask for mask in _open_masks(folder).read(task.video)}
    for source in sources:
        mask = found[source.expression]
        if mask.size != source.size:
            raise InputError(
                f"{folder / task.video.id / source.expression}: masks of {mask.size[0]} x {mask.size[1]} pixels, "
                f"{source.size[0]} x {source.size[1]} before propagation; propagate these masks again"
            )
    return [found[source.expression] for source in sources]


@lru_cache(maxsize=1)
def _open(format: ImportFormat, path: Path, values: DumpValues, keep_soft: bool) -> Source:
    """Return the opened source: once for each node and worker."""
    return open_source(format, path, values=values, soft=keep_soft)


@lru_cache(maxsize=1)
def _open_masks(folder: Path) -> Source:
    """Return a folder's masks without the key frames beside it: propagation keeps those that it started from."""
    return replace(open_png_folder(folder), key_frames={})
