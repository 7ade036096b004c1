"""Submissions: one deterministic zip archive in the layout of a data set, and the check of any archive.

Ref-YouTube-VOS: `Annotations/<video>/<expression>/<frame>.png`; MeViS: the same without the top folder; Ref-DAVIS17:
`anno_0 ... anno_3/<video>/<frame>.png` with all objects of an annotation file in one index map. A2D- and
JHMDB-Sentences, which have no server: `results.json`, the masks of the annotated frames with scores, in COCO's form.

Source: datasets.md, sections 1 to 3.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.evaluation.coco_results import RESULTS, encode_results
from rvos.files.atomic import read_whole, replacing
from rvos.files.json_files import expect_object, parse_json
from rvos.formats.dataset import Dataset
from rvos.formats.samples import SAMPLE_FORMATS, SampleSource
from rvos.masks.index_maps import encode_index_map, merge_by_annotator
from rvos.masks.mask_sequences import MaskSequence, by_expression, encode
from rvos.masks.png import encode_mask_pngs
from rvos.videos import Video

ReadVideo = Callable[[Video], Sequence[MaskSequence]]
TEAM_FILE = "team.json"
LARGEST_TEAM_FILE = 1 << 20
TOP_FOLDERS = {
    "ref-youtube-vos": "Annotations/",
    "mevis": "",
    "ref-davis17": "",
    "a2d-sentences": "",
    "jhmdb-sentences": "",
}
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_FILE_RIGHTS = 0o100644 << 16
_UNIX = 3


def write_submission(path: Path, dataset: Dataset, read: ReadVideo, *, team: bytes | None = None) -> int:
    """Write the archive in one step and return its number of masks; the same masks always give the same bytes.

    Args:
        read: returns the sequences of a video; called once for each, in the order of the data set.
        team: content of the `team.json` that servers ask for; None: without.

    Raises:
        InputError: a video lacks an expression, or its masks do not fit the frame list.
        StoreError: a result is missing, or the archive cannot be written.
    """
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        n_masks = _write_videos(archive, dataset, read)
        if team is not None:
            archive.writestr(_make_entry(TEAM_FILE), team)
    return n_masks


def _write_videos(archive: zipfile.ZipFile, dataset: Dataset, read: ReadVideo) -> int:
    if dataset.format in SAMPLE_FORMATS:
        rows = list(_choose_annotated(dataset, read))
        archive.writestr(_make_entry(RESULTS), encode_results(rows))
        return len(rows)
    n_masks = 0
    for video in dataset.videos:
        sequences = order_sequences(video, read(video), size=dataset.read_size(video))
        for name, content in list_files(dataset.format, video, sequences):
            archive.writestr(_make_entry(TOP_FOLDERS[dataset.format] + name), content)
            n_masks += 1
    return n_masks


def _choose_annotated(dataset: Dataset, read: ReadVideo) -> Iterator[tuple[MaskSequence, int]]:
    for video in dataset.videos:
        annotated = cast(SampleSource, dataset.select_truth(video)).annotated
        for sequence in order_sequences(video, read(video), size=dataset.read_size(video)):
            yield sequence, annotated


def _make_entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _FIXED_TIME)
    entry.external_attr, entry.create_system = _FILE_RIGHTS, _UNIX
    return entry


def read_team(path: Path) -> bytes:
    """Return the content of a file that is to be the archive's `team.json`.

    Raises:
        InputError: missing, too large, or no JSON object.
    """
    content = read_whole(path, most=LARGEST_TEAM_FILE)
    expect_object(parse_json(content, where=str(path)), where=str(path))
    return content


def fill_black(video: Video, size: tuple[int, int]) -> list[MaskSequence]:
    """Return a sequence without foreground for each expression of a video, of frames of `size` (H, W)."""
    black = encode(np.zeros((1, *size), np.bool_)) * video.n_frames
    scores = np.zeros(video.n_frames, np.float32)
    return [MaskSequence(video.id, one.id, video.frames, size, black, scores) for one in video.expressions]


def order_sequences(
    video: Video, sequences: Sequence[MaskSequence], *, size: tuple[int, int] | None
) -> list[MaskSequence]:
    """Return one sequence for each expression, in the order of the data set.

    Args:
        size: (H, W) of the frames; None where the data set has no images.

    Raises:
        InputError: an expression is missing, or its frames or size are not those of the data set.
    """
    found = by_expression(sequences)
    ordered = []
    for expression in video.expressions:
        sequence = found.get(expression.id)
        if sequence is None:
            raise InputError(f"{video.id}/{expression.id}: no masks; run the node for this video again")
        sequence.check_fits(video, size, advice="run the node for this video again")
        ordered.append(sequence)
    return ordered


def list_files(format: str, video: Video, sequences: Sequence[MaskSequence]) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the files of a video, in the layout of a data set but for its top folder."""
    if format == "ref-davis17":
        yield from _list_index_maps(video, sequences)
        return
    yield from list_masks(sequences)


def list_masks(sequences: Sequence[MaskSequence]) -> Iterator[tuple[str, bytes]]:
    """Yield (`<video>/<expression>/<frame>.png`, content) of mask sequences; equal ones are encoded once."""
    encoded: dict[tuple[bytes, ...], list[bytes]] = {}
    for sequence in sequences:
        if sequence.runs not in encoded:
            encoded[sequence.runs] = encode_mask_pngs(sequence.as_runs())
        for frame, content in zip(sequence.frames, encoded[sequence.runs], strict=True):
            yield f"{sequence.video}/{sequence.expression}/{frame}.png", content


def _list_index_maps(video: Video, sequences: Sequence[MaskSequence]) -> Iterator[tuple[str, bytes]]:
    probabilities = {sequence.expression: to_probabilities(sequence) for sequence in sequences}
    for number, maps in enumerate(merge_by_annotator(video, probabilities)):
        for frame, values in zip(video.frames, maps, strict=True):
            yield f"anno_{number}/{video.id}/{frame}.png", encode_index_map(values)


def to_probabilities(sequence: MaskSequence) -> NDArray[np.float32]:
    """Return foreground probabilities `(T, H, W)`: of the soft maps inside the hard masks, else 1 in the masks."""
    masks = sequence.masks()
    if sequence.soft is None:
        return masks.astype(np.float32)
    height, width = sequence.size
    values = sequence.soft.dequantise()
    soft = (1 / (1 + np.exp(-values))).astype(np.float32) if sequence.soft.kind == "logit" else values
    large = np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in soft])
    # The hard masks are exact, the soft maps coarse: they only decide between masks that overlap.
    probabilities: NDArray[np.float32] = np.where(masks, np.maximum(large, np.float32(0.5)), np.float32(0))
    return probabilities
