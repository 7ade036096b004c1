"""Masks of other systems as a node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from rvos.errors import InputError
from rvos.imports import Source, open_source
from rvos.imports.png_folders import open_png_folder
from rvos.imports.source import find_frame_size
from rvos.masks.mask_sequences import KeepSoft, MaskSequence, by_expression
from rvos.settings import Key, Section
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import MASKS, Artefact
from rvos_fusion.kinds.base import Node, NodeFile, Task, WorkerKey
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.entry import NodeEntry
from rvos_fusion.kinds.stamps import stamp, stamp_masks

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
        keep_soft: keep probabilities beside the hard masks, as `uint8` (true) or `float16`, for fusion by average.
    """

    keyword: ClassVar[str] = "import"
    kind: ClassVar[str] = "import"
    section: ClassVar[Literal["models", "stages"]] = "models"
    artefact: ClassVar[Artefact] = MASKS

    format: Annotated[ImportFormat, Key("import")]
    path: Path
    values: DumpValues = "logits"
    keep_soft: KeepSoft = False

    @classmethod
    def read(cls, entry: NodeEntry) -> Node | None:
        """Read the entry; of what is soft from the start, the probabilities are kept unless it says otherwise."""
        node = entry.load(cls, name=entry.name, line=entry.line, stage=entry.stage)
        if node is None or not isinstance(entry.mapping, Section):
            return None
        is_left_out = entry.mapping.find("keep_soft") is None
        return replace(node, keep_soft="float16") if is_left_out and node.format in _SOFT else node

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

    def check_data(self, videos: Sequence[Video]) -> Iterable[str]:
        """Videos, expressions and frames that it has no masks for."""
        return find_lacking(_open(self.format, self.path, self.values, self.keep_soft), videos)

    def is_bound(self) -> bool:
        """Always."""
        return True

    def score_scale(self, nodes: Mapping[str, Node]) -> str | None:
        """Its own; pictures have none."""
        return None if self.format in ("png", "png16") else f"the scores of {self.name}"

    def lacks_soft(self) -> str | None:
        """Those that the import has, unless they are kept; hard masks are whole as they are."""
        has_soft = self.format in ("dump", *_SOFT)
        return "set keep_soft: true on the import" if has_soft and not self.keep_soft else None

    def worker_key(self) -> WorkerKey | None:
        """Nothing: an opened folder is small."""
        return None

    def compute(self, tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
        """Return the masks of all expressions."""
        source = _open(self.format, self.path, self.values, self.keep_soft)
        return [source.read(task.video) for task in tasks]


def find_lacking(source: Source, videos: Sequence[Video]) -> Iterator[str]:
    """Yield what a source has no masks for, one line a video."""
    present = frozenset(source.list_videos())
    for video in videos:
        if video.id not in present:
            yield f"{video.id}: no masks"
            continue
        found = frozenset(source.list_expressions(video.id))
        missing = [expression.id for expression in video.expressions if expression.id not in found]
        lacking = [] if missing else source.list_lacking(video)
        if missing:
            n_missing = f"{len(missing)} of {len(video.expressions)}"
            yield f"{video.id}: no masks for {n_missing} expressions, first {missing[0]!r}"
        elif lacking:
            yield f"{video.id}: {len(lacking)} masks are missing, first {lacking[0]}"


def import_folder(folder: Path, task: Task, sources: Sequence[MaskSequence]) -> Sequence[MaskSequence]:
    """Return masks of a folder that was made from `sources`, in their order.

    Raises:
        InputError: masks are missing, damaged, or of another size than those they were made from.
    """
    found = by_expression(_open_masks(folder).read(task.video))
    for source in sources:
        mask = found[source.expression]
        if mask.size != source.size:
            raise InputError(
                f"{folder / task.video.id / source.expression}: masks of {mask.size[0]} x {mask.size[1]} pixels, "
                f"{source.size[0]} x {source.size[1]} before propagation; propagate these masks again"
            )
    return [found[source.expression] for source in sources]


@lru_cache(maxsize=1)
def _open(format: ImportFormat, path: Path, values: DumpValues, keep_soft: KeepSoft) -> Source:
    """Return the opened source: once for each node and worker."""
    return open_source(format, path, values=values, soft=keep_soft)


@lru_cache(maxsize=1)
def _open_masks(folder: Path) -> Source:
    """Return a folder's masks without the key frames beside it: propagation keeps those that it started from."""
    return replace(open_png_folder(folder), key_frames={})
