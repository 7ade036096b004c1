"""Archives of PNG files, one a frame: `<video>/<expression>/<frame>.png`, or another folder for each set of masks."""

from __future__ import annotations

import zipfile
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rvos.dataset import Dataset
from rvos.files.archives import make_entry, open_archive
from rvos.formats.archives.checks import find_faults
from rvos.formats.archives.layout import ArchiveLayout, Audit, ReadVideo, read_sequences
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.png import encode_mask_pngs
from rvos.videos import Video


@dataclass(frozen=True, slots=True)
class FileArchive(ArchiveLayout):
    """One image for each frame of each folder of a video.

    Args:
        top: folder that all of them lie in, with its slash; empty: none.
    """

    top: str = ""

    @abstractmethod
    def list_folders(self, video: Video) -> list[str]:
        """Return the folders of a video, below the top one."""

    @abstractmethod
    def encode(self, video: Video, sequences: Sequence[MaskSequence]) -> Iterator[tuple[str, bytes]]:
        """Yield (name, content) of the files of a video, without the top folder."""

    @abstractmethod
    def find_marked(self, video: Video, folder: str, values: NDArray[np.uint8]) -> Iterable[str]:
        """Return the expressions that a decoded file of one of a video's folders marks."""

    @abstractmethod
    def find_bad_values(self, values: NDArray[np.uint8], mode: str) -> str | None:
        """Return what is wrong with the pixels of a decoded file, of Pillow's mode; None: nothing."""

    def write(self, archive: zipfile.ZipFile, dataset: Dataset, read: ReadVideo) -> int:
        """Write the files."""
        n_masks = 0
        for video in dataset.videos:
            for name, content in self.encode(video, read_sequences(dataset, video, read)):
                archive.writestr(make_entry(self.top + name), content)
                n_masks += 1
        return n_masks

    def audit(self, path: Path, dataset: Dataset) -> Audit:
        """Check names and folder level, every frame and nothing else, image mode, values and size."""
        owners = {self.top + folder: (video, folder) for video in dataset.videos for folder in self.list_folders(video)}
        expected = {f"{place}/{frame}.png": one.id for place, (one, _) in owners.items() for frame in one.frames}
        marked: set[tuple[str, str]] = set()

        def judge(name: str, values: NDArray[np.uint8], mode: str) -> str | None:
            video, folder = owners[name.rpartition("/")[0]]
            marked.update((video.id, one) for one in self.find_marked(video, folder, values))
            return self.find_bad_values(values, mode)

        with open_archive(path) as archive:
            return Audit.of(dataset, list(find_faults(archive, dataset, expected, judge)), marked)


class MaskArchive(FileArchive):
    """`<video>/<expression>/<frame>.png`, 0 and 255 in 8-bit greyscale."""

    def list_folders(self, video: Video) -> list[str]:
        """One for each expression."""
        return [f"{video.id}/{expression.id}" for expression in video.expressions]

    def encode(self, video: Video, sequences: Sequence[MaskSequence]) -> Iterator[tuple[str, bytes]]:
        """Encode the masks."""
        return list_masks(sequences)

    def find_marked(self, video: Video, folder: str, values: NDArray[np.uint8]) -> Iterable[str]:
        """The one of the folder."""
        return (folder.rpartition("/")[2],) if values.any() else ()

    def find_bad_values(self, values: NDArray[np.uint8], mode: str) -> str | None:
        """Nothing but 0 and 255, or only one of them."""
        if mode != "L":
            return f"image mode {mode}, expected 8-bit greyscale (L); write 0 and 255"
        highest = int(values.max())
        if highest in (0, 255) and int(values.sum(dtype=np.int64)) == highest * int(np.count_nonzero(values)):
            return None
        odd = min(set(np.unique(values).tolist()) - {0, 255})
        return f"value {odd}, expected only 0 and 255"


def list_masks(sequences: Sequence[MaskSequence]) -> Iterator[tuple[str, bytes]]:
    """Yield (`<video>/<expression>/<frame>.png`, content) of mask sequences; equal ones are encoded once."""
    encoded: dict[tuple[bytes, ...], list[bytes]] = {}
    for sequence in sequences:
        if sequence.runs not in encoded:
            encoded[sequence.runs] = encode_mask_pngs(sequence.as_runs())
        for frame, content in zip(sequence.frames, encoded[sequence.runs], strict=True):
            yield f"{sequence.video}/{sequence.expression}/{frame}.png", content
