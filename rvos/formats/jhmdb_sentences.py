"""JHMDB-Sentences: frames as images, the masks of a clip in one MATLAB file; for evaluation only.

Source: A2D and JHMDB specification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from rvos.dataset import Dataset
from rvos.errors import ConfigError, InputError
from rvos.evaluation.protocols.samples import SampleEvaluator
from rvos.evaluation.truth import SampleTruth
from rvos.files.atomic import read_whole
from rvos.files.images import check_area
from rvos.files.json_files import expect_list, read_json
from rvos.files.names import find_named
from rvos.formats.archives.samples import ResultsArchive
from rvos.formats.base import Format
from rvos.formats.reading.matlab_files import read_array
from rvos.formats.reading.samples import WINDOW, clean_sentence, name_frames, plan_window
from rvos.ids import check_id
from rvos.videos import Expression, Video

LIST = "jhmdb_sentences_samples_metadata.json"
_OBJECT = "1"
_ROW = 5
_MOST_DIGITS = 9


def open_split(root: Path, split: str, *, window: int) -> Dataset:
    """Return windows around the frames chosen of `test`. Raises ConfigError: another split; InputError: no list."""
    if split != "test":
        raise ConfigError(f"{root}: JHMDB-Sentences is for evaluation only, it has no split {split}; say split: test")
    path = root / LIST
    if not path.exists():
        raise InputError(f"{path}: no list of samples; it comes with the data set, put it there")
    videos: dict[str, Video] = {}
    masks: dict[str, tuple[Path, int]] = {}
    for number, row in enumerate(expect_list(read_json(path), where=str(path))):
        video, file, frame = _read_row(root, row, where=f"{path}: row {number}", size=window)
        if video.id in videos:
            raise InputError(f"{path}: row {number}: frame {frame} of this video is listed twice; drop one row")
        videos[video.id], masks[video.id] = video, (file, frame)
    if not videos:
        raise InputError(f"{path}: lists no sample; fetch it again")
    return Dataset("jhmdb-sentences", root, split, tuple(videos.values()), root, partial(_select, masks))


def _read_row(root: Path, row: object, *, where: str, size: int) -> tuple[Video, Path, int]:
    """Return the window of a row, its file of masks, and the number of its frame, from 1."""
    values = expect_list(row, where=where)
    has_form = len(values) == _ROW and all(isinstance(value, str) for value in values[:3]) and type(values[3]) is int
    # Digits are counted first: Python refuses to read a number of thousands of them.
    stem = PurePosixPath(values[1]).stem if has_form else ""
    if not stem.isdecimal() or len(stem) > _MOST_DIGITS or not 1 <= int(stem) <= values[3]:
        raise InputError(
            f"{where}: {ascii(row)[:80]}, expected [video, frame image, mask file, number of frames, sentence]; "
            "correct it"
        )
    name = check_id(values[0], where=where, what="video")
    image, frame = _find(root, values[1], where=where), int(stem)
    numbers = plan_window(frame, values[3], size)
    video = Video(
        f"{name}-{frame:05d}",
        name_frames(numbers, size // 2),
        (Expression("0", clean_sentence(values[4], where=where), (_OBJECT,)),),
        tuple(image.with_name(f"{number:05d}{image.suffix}") for number in numbers),
        annotated=(size // 2,),
    )
    return video, _find(root, values[2], where=where), frame


def _find(root: Path, name: str, *, where: str) -> Path:
    """Return a listed file: the list names it from the folder that holds the data set, some copies from its own.

    Raises:
        InputError: no path below that folder.
    """
    for part in name.split("/"):
        check_id(part, where=where, what="path")
    below, inside = find_named(root.parent, name), find_named(root, name)
    return below if below.exists() or not inside.exists() else inside


@dataclass(frozen=True, slots=True, eq=False)
class JhmdbSource:
    """The mask of one frame in the file of its clip."""

    path: Path
    frame: int
    video: Video

    def read(self, indices: Sequence[int] | None = None) -> SampleTruth:
        """Read the mask. Raises InputError: the file is missing, damaged, or has no mask of the frame."""
        content = read_whole(self.path)
        try:
            values = read_array(content, "part_mask")
        except Exception as error:  # of a damaged file, scipy's reader raises almost anything
            reason = " ".join(f"{type(error).__name__} {error}".split())[:120]
            raise InputError(f"{self.path}: no masks of JHMDB ({reason}); fetch the file again") from None
        if values.ndim == 2:
            values = values[..., None]
        if values.ndim != 3 or values.dtype.kind not in "buif" or values.shape[2] < self.frame:
            raise InputError(
                f"{self.path}: part_mask of shape {values.shape}, expected (height, width, frames) with frame "
                f"{self.frame}; fetch the file again"
            )
        check_area((values.shape[0], values.shape[1]), where=str(self.path))
        mask = np.ascontiguousarray(values[:, :, self.frame - 1] > 0)
        return SampleTruth.of(self.video, {_OBJECT: mask}, indices, where=str(self.path))


def _select(files: Mapping[str, tuple[Path, int]], video: Video) -> JhmdbSource:
    """Return the masks of one annotated frame, given where those of every video lie."""
    return JhmdbSource(*files[video.id], video)


FORMAT = Format(
    name="jhmdb-sentences",
    title="JHMDB-Sentences",
    read=open_split,
    evaluator=SampleEvaluator,
    archive=ResultsArchive(),
    default_split="test",
    window=WINDOW,
    marks=(LIST,),
)
