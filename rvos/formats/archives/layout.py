"""What a data set's submission is: how it is written, and what can be wrong with it."""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rvos.dataset import Dataset
from rvos.errors import InputError, make_printable
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.videos import Video

ReadVideo = Callable[[Video], Sequence[MaskSequence]]
TEAM_FILE = "team.json"
LARGEST_TEAM_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Audit:
    """What an archive holds.

    Args:
        faults: what is wrong with it, in the order of its names; none: it can be submitted.
        empty: sentences, as `video/expression`, without a pixel in any frame: right where there is no target, or black
            masks in place of a result.
    """

    faults: Sequence[str]
    empty: Sequence[str]

    @classmethod
    def of(cls, dataset: Dataset, faults: Sequence[str], marked: set[tuple[str, str]]) -> Audit:
        """Return what was found, given the (video, expression) of all sentences with foreground."""
        sentences = [(video.id, one.id) for video in dataset.videos for one in video.expressions]
        # Names in an archive may hold anything.
        shown = [make_printable(fault) for fault in faults]
        return cls(shown, [f"{video}/{name}" for video, name in sentences if (video, name) not in marked])


class ArchiveLayout(ABC):
    """The content of an archive; the same masks always give the same bytes."""

    reads_soft: ClassVar[bool] = False
    """Whether soft maps change what is written."""

    @abstractmethod
    def write(self, archive: zipfile.ZipFile, dataset: Dataset, read: ReadVideo) -> int:
        """Write the masks of all videos and return their number.

        Args:
            read: returns the sequences of a video; called once for each, in the order of the data set.

        Raises:
            InputError: a video lacks an expression, or its masks do not fit the frame list.
        """

    @abstractmethod
    def audit(self, path: Path, dataset: Dataset) -> Audit:
        """Return what an archive holds. Raises InputError: no whole zip archive."""


def read_sequences(dataset: Dataset, video: Video, read: ReadVideo) -> list[MaskSequence]:
    """Return a video's sequences in the data set's order. Raises InputError: one is missing, or does not fit."""
    size = dataset.read_size(video)
    found = by_expression(read(video))
    for expression in video.expressions:
        if expression.id not in found:
            raise InputError(f"{video.id}/{expression.id}: no masks; run the node for this video again")
        found[expression.id].check_fits(video, size, advice="run the node for this video again")
    return [found[expression.id] for expression in video.expressions]
