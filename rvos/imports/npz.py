"""Soft masks in archives of NumPy, `<video>/<expression>.npz`.

Arrays: `probabilities` or `logits` `(T, h, w)`, float16 or float32, at any size up to that of the frames; perhaps
`masks` `(T, H, W)` bool, else they are where the resized probability is above 0.5; `scores` `(T,)`; `key_frame`, one
whole number; `frames` `(T,)`, their names, to be compared with the data set's.
"""

from __future__ import annotations

import io
import sys
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from rvos.errors import InputError, explain
from rvos.files.archives import ZIP_ERRORS
from rvos.files.atomic import LARGEST_FILE
from rvos.files.images import LARGEST_IMAGE
from rvos.ids import compose_name
from rvos.imports.soft_masks import SoftFrames, check_map_size, check_some_logits
from rvos.imports.source import FolderSource, find_frame_size, score_presence
from rvos.masks.mask_sequences import KeepSoft, MaskSequence, encode
from rvos.masks.runs import Runs
from rvos.settings import count
from rvos.videos import Expression, Video

Array = NDArray[Any]
_SUFFIX = ".npz"
_KINDS = {"probabilities": "probability", "logits": "logit"}
_KNOWN = (*_KINDS, "masks", "scores", "key_frame", "frames")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Bytes of a value, and of headers, names and numbers.
_LARGEST_VALUE, _SMALL = 4, 1 << 20


@dataclass(frozen=True, slots=True)
class NpzSource(FolderSource):
    """A folder or archive of such files. `soft`: what to keep of the soft masks."""

    soft: KeepSoft = False

    def list_expressions(self, video_id: str) -> tuple[str, ...]:
        """Names of the files, without their ending."""
        names = self.masks.below(video_id).children()
        return tuple(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))

    def list_strays(self, video: Video) -> tuple[str, ...]:
        """Files that are no archive."""
        names = self.masks.below(video.id).children()
        return tuple(f"{name} is no {_SUFFIX} file" for name in names if not name.endswith(_SUFFIX))

    def read(self, video: Video) -> tuple[MaskSequence, ...]:
        """Return a video's masks. Raises InputError: a file is missing, damaged, or not what it says."""
        size = find_frame_size(video)
        rows = [self._read_expression(video, expression, size) for expression in video.expressions]
        check_some_logits(
            (frames.may_be_logits for _, frames in rows if frames.kind == "logit"),
            where=f"{self.masks.name}/{video.id}",
            advice="name them probabilities",
        )
        return tuple(sequence for sequence, _ in rows)

    def _read_expression(
        self, video: Video, expression: Expression, size: tuple[int, int] | None
    ) -> tuple[MaskSequence, SoftFrames]:
        name = f"{video.id}/{expression.id}{_SUFFIX}"
        where = f"{self.masks.name}/{name}"
        area = LARGEST_IMAGE if size is None else size[0] * size[1]
        arrays = _read_arrays(self.masks.read(name), where, most=video.n_frames * area * _LARGEST_VALUE)
        _check_frames(arrays, video, where)
        given = [word for word in _KINDS if word in arrays]
        if len(given) != 1:
            raise InputError(f"{where}: {' and '.join(given) or 'neither probabilities nor logits'}; give one")
        masks = _read_masks(arrays["masks"], video, size, where) if "masks" in arrays else None
        frames = self._read_maps(arrays[given[0]], given[0], video, masks[1] if masks else size, where)
        runs = tuple(frames.runs) if masks is None else masks[0]
        presence = score_presence((Runs.decode(runs, frames.size).areas() == 0).tolist())
        scores = _read_scores(arrays["scores"], video, where) if "scores" in arrays else presence
        key_frame = _read_key_frame(arrays["key_frame"], video, where) if "key_frame" in arrays else None
        sequence = MaskSequence(
            video.id,
            expression.id,
            video.frames,
            frames.size,
            runs,
            scores,
            key_frame,
            frames.maps(),
            scored=scores is not presence,
        )
        return sequence, frames

    def _read_maps(self, array: Array, word: str, video: Video, size: tuple[int, int] | None, where: str) -> SoftFrames:
        if array.dtype not in (np.float16, np.float32) or len(array.shape) != 3 or array.shape[0] != video.n_frames:
            raise InputError(
                f"{where}: {word} are {array.dtype} of shape {array.shape}, expected float16 or float32 of shape "
                f"({video.n_frames}, h, w); write them again"
            )
        check_map_size((array.shape[1], array.shape[2]), size, where=where)
        found = SoftFrames(
            size or (array.shape[1], array.shape[2]), "logit" if word == "logits" else "probability", self.soft
        )
        for name, frame in zip(video.frames, array, strict=True):
            found.add(frame.astype(np.float32), where=f"{where}, frame {name}")
        return found


def _read_arrays(content: bytes, where: str, *, most: int) -> dict[str, Array]:
    """Return an archive's arrays by name, of about `most` bytes. Raises InputError: damaged, objects, unknown."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays: dict[str, Array] = {}
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if name not in _KNOWN or name in arrays or info.compress_type not in _METHODS:
                    raise InputError(f"{where}: array {name!a:.60}; give {', '.join(_KNOWN)}, each once")
                if info.file_size > min(most + _SMALL, LARGEST_FILE):
                    raise InputError(f"{where}: {name}: {info.file_size} bytes, more than the frames; write it smaller")
                # numpy warns of shapes and headers that it then refuses, or reads all the same.
                with archive.open(info) as stream, warnings.catch_warnings(action="ignore"):
                    # Objects are pickles, which are never read.
                    arrays[name] = npy.read_array(stream, allow_pickle=False)
                    if stream.read(1):
                        raise InputError(f"{where}: {name}: more than its shape says; write it again")
            return arrays
    except (*ZIP_ERRORS, TokenError, TypeError) as error:
        reason = explain(error)
        raise InputError(f"{where}: no whole archive of numpy.savez ({reason}); write it again") from None


def _check_frames(arrays: Mapping[str, Array], video: Video, where: str) -> None:
    if "frames" not in arrays:
        return
    names = arrays["frames"].reshape(-1)
    # Numbers beyond the last code point would break the interpreter when they become text.
    if names.dtype.kind == "U" and names.itemsize and (names.view(names.dtype.byteorder + "u4") > sys.maxunicode).any():
        raise InputError(f"{where}: frames: no text; write it again")
    if [compose_name(str(name)) for name in names] != list(video.frames):
        raise InputError(f"{where}: its frames are others than the data set's; write it for these frames")


def _read_masks(
    array: Array, video: Video, size: tuple[int, int] | None, where: str
) -> tuple[tuple[bytes, ...], tuple[int, int]]:
    expected = (video.n_frames, *(size or array.shape[1:3]))
    if array.dtype != np.bool_ or array.shape != expected or len(expected) != 3:
        raise InputError(
            f"{where}: masks are {array.dtype} of shape {array.shape}, expected bool of shape "
            f"({video.n_frames}, H, W) at the size of the frames; write them again"
        )
    found = (array.shape[1], array.shape[2])
    check_map_size(found, size, where=where)
    return tuple(encode(frame[None])[0] for frame in array), found


def _read_scores(values: Array, video: Video, where: str) -> NDArray[np.float32]:
    if values.shape != (video.n_frames,) or values.dtype.kind not in "fiu":
        raise InputError(
            f"{where}: scores of shape {values.shape}, expected {count(video.n_frames, 'number')}; write them again"
        )
    with np.errstate(over="ignore"):
        scores = values.astype(np.float32)
    if not np.isfinite(scores).all():
        raise InputError(f"{where}: scores that are not finite; write them again")
    return scores


def _read_key_frame(values: Array, video: Video, where: str) -> int:
    if values.size != 1 or values.dtype.kind not in "iu" or not 0 <= int(values.reshape(-1)[0]) < video.n_frames:
        raise InputError(f"{where}: key_frame is no index into the {count(video.n_frames, 'frame')}; correct it")
    return int(values.reshape(-1)[0])
