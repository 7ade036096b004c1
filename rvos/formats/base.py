"""What a data set is to this project: one value that says how it is read, scored and submitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rvos.dataset import Dataset
from rvos.errors import ConfigError
from rvos.evaluation.evaluator import Evaluator
from rvos.formats.archives import ArchiveLayout


@dataclass(frozen=True, slots=True)
class Licence:
    """Under which terms a data set is published, and whom to name."""

    terms: str
    attribution: str


@dataclass(frozen=True, slots=True)
class Format:
    """All that is particular to one data set.

    Args:
        name: as recipes and options say it.
        title: as its authors write it.
        read: folder or archive, split, and where there is a `window` its frames -> the split.
        evaluator: opens its protocol, given a task or None: what is scored, the figures, the columns of tables.
        archive: what is submitted.
        default_split: of commands that are not told which.
        window: frames that a network sees around an annotated one, unless a recipe says otherwise; None: whole videos
            are annotated.
        official: split -> numbers of its videos and expressions.
        with_test: number of videos in a list of `valid` that holds those of `test` too.
        licence: None: nobody states it.
        overlapping: whether different sentences of a video may mean some of the same objects.
        marks: files and folders that data of other formats do not have; `{split}` stands for the split.
        shared_marks: those that other formats may have too: they count where data cannot be read.
        find_other: returns the name of another format that what an opened data set holds speaks for, and what does, in
            words; None: nothing.
        find_doubt: returns what an opened data set has of another format, where nothing decides; None: nothing.
    """

    name: str
    title: str
    read: Callable[..., Dataset]
    evaluator: Callable[[Dataset, str | None], Evaluator]
    archive: ArchiveLayout
    default_split: str = "valid"
    window: int | None = None
    official: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    with_test: int | None = None
    licence: Licence | None = None
    overlapping: bool = False
    marks: tuple[str, ...] = ()
    shared_marks: tuple[str, ...] = ()
    find_other: Callable[[Dataset], tuple[str, str] | None] = lambda dataset: None
    find_doubt: Callable[[Dataset], str | None] = lambda dataset: None

    @property
    def has_samples(self) -> bool:
        """Whether single frames are annotated, each a video of its own with the frames around it."""
        return self.window is not None

    def open(self, root: Path, split: str, *, window: int | None = None) -> Dataset:
        """Return a split; see `rvos.formats.table.open_dataset`, which looks for marks of other formats too."""
        if self.window is None:
            if window is not None:
                raise ConfigError(
                    f"dataset format {self.name}: annotates whole videos, so window says nothing; leave it out"
                )
            return self.read(root, split)
        if window is not None and window < 1:
            raise ConfigError(f"window {window}: give 1 frame or more, such as 5 or 8")
        return self.read(root, split, window=self.window if window is None else window)
