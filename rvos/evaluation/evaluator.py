"""What every data set's protocol looks like: one evaluator for each format, the same for files and stored masks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from rvos.dataset import Dataset, TruthSource, VideoTruth
from rvos.errors import ConfigError, InputError
from rvos.evaluation.figures.base import Figure
from rvos.evaluation.predictions import check_some, find_strays
from rvos.evaluation.results import DatasetScore, ExpressionScore
from rvos.files.trees import Tree, open_masks
from rvos.ids import list_paths
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video


class Judge(Protocol):
    """Ground truth of one video, traced once for any number of predictions."""

    def judge(self, sequences: Sequence[MaskSequence]) -> list[ExpressionScore]:
        """Return the scores of sequences, in one order for all predictions; InputError for other frames or size."""

    def judge_files(self, predictions: Tree) -> list[ExpressionScore]:
        """Return the scores of mask files. Raises InputError: files that cannot be used."""


OpenJudge = Callable[[Video, VideoTruth], Judge]
"""Makes a judge of a video and its ground truth; travels to other processes, so a class, a function or a `partial`."""


@dataclass(frozen=True, slots=True)
class SelectedTruth:
    """The ground truth of one video, unread; small enough to be sent to another process."""

    video: Video
    source: TruthSource
    open_judge: OpenJudge

    def open(self) -> Judge:
        """Read the ground truth. Raises InputError: missing, damaged, or not what the protocol needs."""
        return self.open_judge(self.video, self.source.read())

    def judge_files(self, predictions: Tree) -> list[ExpressionScore]:
        """Open the judge and let it score mask files."""
        return self.open().judge_files(predictions)


class Evaluator(ABC):
    """The protocol of a data set: `process` every video, then `evaluate`; or `score` files.

    Args:
        dataset: split with ground truth.
        task: one of `tasks`; None: the first.

    Raises:
        ConfigError: no such task.
    """

    figures: ClassVar[tuple[Figure, ...]]
    """What tables show, in their order; each is measured from means over frames."""
    tasks: ClassVar[tuple[str, ...]] = ()
    """Variants of the protocol; the first one is meant where none is named."""
    reads_soft: ClassVar[bool] = False
    """Whether soft maps change the scores of stored masks."""
    scores_alone: ClassVar[bool] = True
    """Whether every score is that of an expression, which other expressions do not change."""
    unit: ClassVar[str] = "expressions"
    """What is scored."""

    def __init__(self, dataset: Dataset, task: str | None = None) -> None:
        if task is not None and task not in self.tasks:
            choices = f"choose from {', '.join(self.tasks)}" if self.tasks else "it has one protocol; leave it out"
            raise ConfigError(f"task {task}: unknown for {dataset.format}; {choices}")
        self.dataset = dataset
        self.task = task or next(iter(self.tasks), "")
        self.scores: list[ExpressionScore] = []

    @property
    @abstractmethod
    def open_judge(self) -> OpenJudge:
        """What makes the judges of the protocol."""

    @property
    def open_alone(self) -> OpenJudge:
        """What makes judges of expressions, each by itself, in the order of the video, whatever the protocol does."""
        return self.open_judge

    def select(self, video: Video) -> SelectedTruth:
        """Return the ground truth of a video, unread. Raises InputError: the data set has none."""
        scored = self.dataset.scored(video)
        return SelectedTruth(scored, self.dataset.select_truth(scored), self.open_judge)

    def find_obstacle(self, video: Video) -> str | None:
        """Return why the protocol has no score for a video, or None."""
        return None

    def measure(self, scores: Sequence[ExpressionScore]) -> dict[str, float]:
        """Return the figures by name, in [0, 1], of at least one score; without those that these have none of."""
        values = {figure.name: figure.measure(scores) for figure in self.figures}
        return {name: value for name, value in values.items() if value is not None}

    def measure_further(self, scores: Sequence[ExpressionScore]) -> dict[str, float]:
        """Return what the benchmark reports beside the figures, from scores of all frames."""
        return {}

    def weigh(self, videos: Sequence[Video]) -> NDArray[np.float64] | None:
        """Return how much each unit of some videos counts in the means of J and F; None: all alike."""
        return None

    def average(self, values: NDArray[np.float64], videos: Sequence[Video]) -> NDArray[np.float64]:
        """Return J and F `(settings, 2)` of means over the frames of every unit of some videos, `(settings, units, 2)`.

        The same numbers as `measure` has.
        """
        return np.average(values, axis=1, weights=self.weigh(videos))

    def describe_official(self, scores: Sequence[ExpressionScore]) -> tuple[str, ...]:
        """Return what the benchmark's own scorer makes of what is missing, where it is not what is counted here."""
        return ()

    def process(self, video: Video, sequences: Sequence[MaskSequence]) -> None:
        """Score the masks of a video. Raises InputError: no ground truth, or frames or sizes differ from it."""
        self.scores += self.select(video).open().judge(sequences)

    def evaluate(self) -> DatasetScore:
        """Return the means over everything that was processed. Raises InputError: nothing was."""
        if not self.scores:
            raise InputError(f"{self.dataset.root}: split {self.dataset.split} has nothing that can be scored")
        further = self.measure_further(self.scores)
        figures = self.measure(self.scores)
        return DatasetScore(self.dataset.format, figures, tuple(self.scores), further, unit=self.unit)

    def open_predictions(self, predictions: Path) -> tuple[Tree, tuple[str, ...]]:
        """Return a folder or archive of masks, and what is not scored of it. Raises InputError: no prediction."""
        tree = open_masks(predictions, list_paths(video.id for video in self.dataset.videos))
        check_some(tree, self.dataset.videos)
        return tree, find_strays(tree, self.dataset.videos)

    def score(self, predictions: Path, *, jobs: int = 1) -> DatasetScore:
        """Return the scores of files of predictions.

        Missing frames count 0, whatever the ground truth shows. A video that the protocol cannot score is left out and
        named. Raises InputError: no ground truth, no prediction at all, or files that cannot be used.

        Args:
            predictions: folder or zip archive, `<video>/<expression>/<frame>.png`, below `Annotations` or not, or what
                else the data set's submissions are.
            jobs: worker processes.
        """
        obstacles = {video.id: self.find_obstacle(video) for video in self.dataset.videos}
        videos = [video for video in self.dataset.videos if obstacles[video.id] is None]
        left_out = tuple(f"{name}: {reason}; left out" for name, reason in obstacles.items() if reason is not None)
        if left_out and not videos:
            raise InputError(f"{self.dataset.root}: no video can be scored: {left_out[0]}")
        tree, strays = self.open_predictions(predictions)
        selected = [self.select(video) for video in videos]
        for scores in Parallel(n_jobs=jobs)(delayed(SelectedTruth.judge_files)(truth, tree) for truth in selected):
            self.scores += scores
        unknown = self.dataset.name_unknown(videos)
        official = self.describe_official(self.scores)
        return replace(self.evaluate(), strays=(*left_out, *unknown, *strays), official=official)
