"""A2D-Sentences as it is distributed: clips as video files, one HDF5 file of masks for every annotated frame.

Source: A2D and JHMDB specification.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
from rvos.formats.reading.samples import WINDOW, clean_sentence, name_frames, plan_window
from rvos.ids import check_id, compose_name
from rvos.settings import count
from rvos.videos import Expression, Video

if TYPE_CHECKING:
    import h5py

CLIPS = "Release/clips320H"
MASKS = "text_annotations/a2d_annotation_with_instances"
LIST = "a2d_sentences_single_frame_{split}_annotations.json"
SENTENCES = "text_annotations/a2d_annotation.txt"
MISSED = "text_annotations/a2d_missed_videos.txt"
SPLITS = "Release/videoset.csv"
_SUBSETS = {"train": "0", "test": "1"}
_MOST_INSTANCES = 1000
_MOST_VALUES = 1 << 28
_ROW = 4
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Sample:
    """A sentence about an instance of an annotated frame, which is counted from 1."""

    text: str
    video: str
    frame: int
    instance: str


def open_split(root: Path, split: str, *, window: int) -> Dataset:
    """Return a split: every annotated frame with sentences is a video of `window` frames around it.

    Raises:
        ConfigError: another split than train and test, or no h5py.
        InputError: the list of samples, or what it can be made of, is missing or cannot be used.
    """
    if split not in _SUBSETS:
        raise ConfigError(f"{root}: A2D-Sentences has no split {split}; choose train or test")
    samples: dict[tuple[str, int], list[_Sample]] = {}
    for one in _read_samples(root, split):
        samples.setdefault((one.video, one.frame), []).append(one)
    if not samples:
        raise InputError(f"{root}: no sample of split {split}; check {SPLITS} and the annotations")
    lengths: dict[str, int | None] = {}
    videos, masks = [], {}
    for (name, frame), own in samples.items():
        clip = find_named(root, f"{CLIPS}/{name}.mp4")
        if name not in lengths:
            lengths[name] = _count_frames(clip)
        numbers = plan_window(frame, lengths[name], window)
        video = Video(
            f"{name}-{frame:05d}",
            name_frames(numbers, window // 2),
            tuple(Expression(str(place), one.text, (one.instance,)) for place, one in enumerate(own)),
            (clip,) * window,
            tuple(number - 1 for number in numbers),
            (window // 2,),
        )
        videos.append(video)
        masks[video.id] = find_named(root, f"{MASKS}/{name}/{frame:05d}.h5")
    return Dataset("a2d-sentences", root, split, tuple(videos), root / CLIPS, partial(_select, masks))


def _count_frames(clip: Path) -> int | None:
    """Return the frames of a clip; None where it cannot be read: that fails its own samples, and no other."""
    from rvos.files.video_files import count_clip_frames  # slow to import

    try:
        return count_clip_frames(clip)
    except InputError:
        return None


def _read_samples(root: Path, split: str) -> Iterator[_Sample]:
    path = root / LIST.format(split=split)
    if path.exists():
        yield from _read_list(path)
        return
    if not (root / SENTENCES).exists():
        raise InputError(f"{root}: neither {path.name} nor {SENTENCES}; give the folder that holds Release")
    yield from _derive_list(root, split)


def _read_list(path: Path) -> Iterator[_Sample]:
    for number, row in enumerate(expect_list(read_json(path), where=str(path))):
        where = f"{path}: row {number}"
        values = expect_list(row, where=where)
        if len(values) != _ROW or not all(type(value) is int and value >= 0 for value in values[2:]):
            raise InputError(f"{where}: {ascii(row)[:60]}, expected [sentence, video, frame, instance]; correct it")
        text, video, frame, instance = values
        if frame < 1:
            raise InputError(f"{where}: frame {frame}; frames are counted from 1")
        yield _Sample(
            clean_sentence(text, where=where), check_id(video, where=where, what="video"), frame, str(instance)
        )


def _derive_list(root: Path, split: str) -> Iterator[_Sample]:
    """Yield the samples that the original files stand for: the list is only an extract of them."""
    missed = set(compose_name(_read_text(root / MISSED)).split()) if (root / MISSED).exists() else set()
    videos = {compose_name(row[0]) for row in _read_rows(root / SPLITS) if row and row[-1].strip() == _SUBSETS[split]}
    annotated: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
    for number, row in enumerate(_read_rows(root / SENTENCES), start=1):
        where = f"{root / SENTENCES}:{number}"
        if len(row) < 3:
            raise InputError(f"{where}: {ascii(row)[:60]}, expected video,instance,sentence; correct the line")
        video, instance, text = compose_name(row[0]), row[1].strip(), ",".join(row[2:])
        if video not in videos - missed:
            continue
        if not instance.isdecimal():  # the published file has one such row, "1 (copy)"
            _logger.warning("%s: instance %s is no number; the row is left out", where, ascii(instance)[:40])
            continue
        if video not in annotated:
            check_id(video, where=where, what="video")
            annotated[video] = list(_list_annotated(find_named(root, f"{MASKS}/{video}")))
        for frame, instances in annotated[video]:
            if instance in instances:
                yield _Sample(clean_sentence(text, where=where), video, frame, instance)


def _list_annotated(folder: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the number of every annotated frame of a clip, and its instances."""
    for path in sorted(folder.glob("*.h5")):
        if path.stem.isdecimal() and int(path.stem) > 0:
            with _open(path) as content:
                yield int(path.stem), _read_instances(content)


def _read_rows(path: Path) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(_read_text(path))))
    except csv.Error as error:
        raise InputError(f"{path}: no table of values with commas ({error}); fetch the file again") from None


def _read_text(path: Path) -> str:
    return read_whole(path).decode("utf-8-sig", "replace")


@dataclass(frozen=True, slots=True, eq=False)
class A2DSource:
    """The file of one annotated frame."""

    path: Path
    video: Video

    def read(self, indices: Sequence[int] | None = None) -> SampleTruth:
        """Read the masks of all instances.

        Raises:
            InputError: the file is missing or damaged, or instances and masks do not belong together.
        """
        return SampleTruth.of(self.video, _read_masks(self.path), indices, where=str(self.path))


def _read_masks(path: Path) -> dict[str, NDArray[np.bool_]]:
    with _open(path) as content:
        instances = _read_instances(content)
        stored = content["reMask"]
        shape = tuple(stored.shape)
        if len(shape) == 2 and len(instances) == 1:
            shape = (1, *shape)
        if len(shape) != 3 or shape[0] != len(instances):
            raise InputError(
                f"masks of shape {shape} for {count(len(instances), 'instance')}, expected (instances, width, height)"
            )
        check_area((shape[2], shape[1]), where="masks")
        if shape[0] * shape[1] * shape[2] > _MOST_VALUES or stored.dtype.kind not in "buif":
            raise InputError(f"masks of shape {shape} and type {stored.dtype}")
        values = np.asarray(stored[()]).reshape(shape)
    # Stored transposed against the picture.
    return {name: np.ascontiguousarray(mask.T > 0) for name, mask in zip(instances, values, strict=True)}


def _read_instances(content: Any) -> tuple[str, ...]:
    stored = content["instance"]
    if stored.size > _MOST_INSTANCES:
        raise InputError(f"{stored.size} instances")
    values = np.atleast_1d(np.asarray(stored[()])).ravel()
    if values.dtype.kind not in "uif" or not np.all(values == np.floor(values)):
        raise InputError(f"instances of type {values.dtype}, expected whole numbers")
    return tuple(str(int(value)) for value in values)


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    """Give an HDF5 file whose faults, at any place inside the block, are named in one line."""
    h5, content = import_h5py(), read_whole(path)
    try:
        with h5.File(io.BytesIO(content), "r") as file:
            yield file
    except (InputError, *_FAULTS) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: no masks of A2D-Sentences ({reason}); fetch the file again") from None


_FAULTS = (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, OverflowError, MemoryError)


def import_h5py() -> Any:
    """Return h5py, an extra of the install; ConfigError without it."""
    try:
        import h5py
    except ImportError:
        raise ConfigError("A2D-Sentences: h5py is not installed; run: pip install 'rvos-fusion[a2d]'") from None
    return h5py


def _select(files: Mapping[str, Path], video: Video) -> A2DSource:
    """Return the masks of one annotated frame, given where those of every video lie."""
    return A2DSource(files[video.id], video)


FORMAT = Format(
    name="a2d-sentences",
    title="A2D-Sentences",
    read=open_split,
    evaluator=SampleEvaluator,
    archive=ResultsArchive(),
    default_split="test",
    window=WINDOW,
    marks=(LIST, SENTENCES, SPLITS, MASKS),
)
