"""What every data set's protocol looks like: one evaluator for each format, the same for files and stored masks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Protocol

from rvos.errors import InputError
from rvos.evaluation.results import DatasetScore, ExpressionScore
from rvos.files.trees import Tree
from rvos.formats.dataset import Dataset
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video


class Judge(Protocol):
    """Ground truth of one video, traced once for any number of predictions."""

    def judge(self, sequences: Sequence[MaskSequence]) -> list[ExpressionScore]:
        """Return the scores of mask sequences, in an order that is the same for all predictions.

        Raises:
            InputError: frames or sizes differ from the ground truth.
        """

    def judge_files(self, predictions: Tree) -> list[ExpressionScore]:
        """Return the scores of mask files.

        Raises:
            InputError: files that cannot be used.
        """


class SelectedTruth(Protocol):
    """Where the ground truth of one video lies; small enough to be sent to another process."""

    def open(self) -> Judge:
        """Read and trace the ground truth.

        Raises:
            InputError: annotations are missing or damaged.
        """


class Evaluator(ABC):
    """The protocol of a data set format: `reset`, then `process` for every video, then `evaluate`."""

    reads_soft: ClassVar[bool] = False
    """Whether soft maps change the scores of stored masks."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.scores: list[ExpressionScore] = []

    @abstractmethod
    def select(self, video: Video) -> SelectedTruth:
        """Return the ground truth of a video, unread.

        Raises:
            InputError: the data set has none.
        """

    @abstractmethod
    def summarise(self) -> DatasetScore:
        """Return the means over all scores, of which there is at least one."""

    def find_obstacle(self, video: Video) -> str | None:
        """Return why the protocol has no score for a video, or None."""
        return None

    def reset(self) -> None:
        """Forget all scores."""
        self.scores = []

    def process(self, video: Video, sequences: Sequence[MaskSequence]) -> None:
        """Score the masks of a video.

        Raises:
            InputError: no ground truth, or frames or sizes differ from it.
        """
        self.add(self.select(video).open().judge(sequences))

    def add(self, scores: Sequence[ExpressionScore]) -> None:
        """Take over the scores of a video that was judged elsewhere, such as in another process."""
        self.scores += scores

    def evaluate(self) -> DatasetScore:
        """Return the means over everything that was processed.

        Raises:
            InputError: nothing was.
        """
        if not self.scores:
            raise InputError(f"{self.dataset.root}: split {self.dataset.split} has nothing that can be scored")
        return self.summarise()
