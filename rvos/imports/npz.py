"""Soft masks in archives of NumPy, `<video>/<expression>.npz`.

Arrays: `probabilities` or `logits` `(T, h, w)`, float16 or float32, at any size up to that of the frames; perhaps
`masks` `(T, H, W)` bool, else they are where the resized probability is above 0.5; `scores` `(T,)`; `key_frame`, one
whole number; `frames` `(T,)`, their names, to be compared with the data set's.
"""

from __future__ import annotations

import io
import math
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.trees import ZIP_ERRORS, Tree
from rvos.imports.soft_masks import SoftFrames, check_map_size
from rvos.imports.source import find_frame_size, score_presence
from rvos.masks.mask_sequences import KeepSoft, MaskSequence, encode
from rvos.masks.runs import Runs
from rvos.videos import Expression, Video

_SUFFIX = ".npz"
_KINDS = {"probabilities": "probability", "logits": "logit"}
_KNOWN = (*_KINDS, "masks", "scores", "key_frame", "frames")
_MOST_SMALL = 1 << 20
_LARGEST_HEADER = 4096
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, slots=True)
class NpzSource:
    """A folder or archive of such files.

    Args:
        soft: what to keep of the soft masks.
    """

    masks: Tree
    soft: KeepSoft = False

    def list_videos(self) -> tuple[str, ...]:
        """Names of the folders of videos."""
        return tuple(name for name in self.masks.children() if self.masks.is_folder(name))

    def list_expressions(self, video_id: str) -> tuple[str, ...]:
        """Names of the files, without their ending."""
        names = self.masks.below(video_id).children()
        return tuple(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))

    def list_lacking(self, video: Video) -> tuple[str, ...]:
        """Nothing: the frames of an expression stand in one piece."""
        return ()

    def list_strays(self, video: Video) -> tuple[str, ...]:
        """Files that are no archive."""
        names = self.masks.below(video.id).children()
        return tuple(f"{name} is no {_SUFFIX} file" for name in names if not name.endswith(_SUFFIX))

    def read(self, video: Video) -> tuple[MaskSequence, ...]:
        """Return the masks of all expressions of a video.

        Raises:
            InputError: a file is missing, damaged, or does not fit the frames.
        """
        size = find_frame_size(video)
        return tuple(self._read_expression(video, expression, size) for expression in video.expressions)

    def _read_expression(self, video: Video, expression: Expression, size: tuple[int, int] | None) -> MaskSequence:
        name = f"{video.id}/{expression.id}{_SUFFIX}"
        where = f"{self.masks.name}/{name}"
        with _opened(self.masks.read(name), where) as arrays:
            _check_frames(arrays, video, where)
            given = [word for word in _KINDS if word in arrays]
            if len(given) != 1:
                raise InputError(f"{where}: {' and '.join(given) or 'neither probabilities nor logits'}; give one")
            masks = _read_masks(arrays, video, size, where) if "masks" in arrays else None
            frames = self._read_maps(arrays[given[0]], given[0], video, masks[1] if masks else size, where)
            runs = tuple(frames.runs) if masks is None else masks[0]
            presence = score_presence((Runs.decode(runs, frames.size).areas() == 0).tolist())
            scores = _read_scores(arrays, video, where) if "scores" in arrays else presence
            key_frame = _read_key_frame(arrays, video, where) if "key_frame" in arrays else None
        return MaskSequence(
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

    def _read_maps(
        self, array: _Array, word: str, video: Video, size: tuple[int, int] | None, where: str
    ) -> SoftFrames:
        if array.dtype not in (np.float16, np.float32) or len(array.shape) != 3 or array.shape[0] != video.n_frames:
            raise InputError(
                f"{where}: {word} are {array.dtype} of shape {array.shape}, expected float16 or float32 of shape "
                f"({video.n_frames}, h, w); write them again"
            )
        check_map_size((array.shape[1], array.shape[2]), size, where=where)
        found = SoftFrames(
            size or (array.shape[1], array.shape[2]), "logit" if word == "logits" else "probability", self.soft
        )
        for name, frame in zip(video.frames, array.frames(), strict=True):
            found.add(frame.astype(np.float32), where=f"{where}, frame {name}")
        return found


@dataclass(frozen=True, slots=True)
class _Array:
    """An array in an archive; nothing of it is unpacked yet."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    where: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sides."""
        return self._header()[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its values."""
        return self._header()[1]

    def frames(self) -> Iterator[NDArray[Any]]:
        """Yield the parts of the first axis, one after the other."""
        with self.archive.open(self.info) as stream:
            shape, dtype = _read_header(stream, self.where)
            for _ in range(shape[0]):
                yield self._take(stream, shape[1:], dtype)

    def whole(self) -> NDArray[Any]:
        """Return a small array."""
        if self.info.file_size > _MOST_SMALL:
            raise InputError(f"{self.where}: {self.info.file_size} bytes, which is no list of numbers; write it again")
        with self.archive.open(self.info) as stream:
            shape, dtype = _read_header(stream, self.where)
            return self._take(stream, shape, dtype)

    def _take(self, stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        content = stream.read(math.prod(shape) * dtype.itemsize)
        if len(content) != math.prod(shape) * dtype.itemsize:
            raise InputError(f"{self.where}: cut; write it again")
        values = np.frombuffer(content, dtype).reshape(shape)
        # Numbers beyond the last code point would break the interpreter when they become text.
        if dtype.kind == "U" and (values.reshape(-1).view(dtype.byteorder + "u4") > sys.maxunicode).any():
            raise InputError(f"{self.where}: no text; write it again")
        return values

    def _header(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        with self.archive.open(self.info) as stream:
            return _read_header(stream, self.where)


def _read_header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise InputError(f"{where}: an array of version {version}; write it with numpy.savez_compressed")
    shape, is_fortran, dtype = read(stream, max_header_size=_LARGEST_HEADER)
    if any(type(side) is not int or side < 0 for side in shape):
        raise InputError(f"{where}: an array of shape {shape!s:.60}; write it again")
    # Objects are pickles, which are never read.
    if dtype.kind not in "fbiuU" or dtype.fields is not None or (is_fortran and len(shape) > 1):
        raise InputError(f"{where}: an array of {dtype}, or in Fortran's order; write plain numbers, row by row")
    return shape, dtype


@contextmanager
def _opened(content: bytes, where: str) -> Iterator[dict[str, _Array]]:
    """Give the arrays of an archive by name; errors of reading them inside the block are named too.

    Raises:
        InputError: no archive, damaged, or arrays that are not known.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays = {}
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if name not in _KNOWN or name in arrays or info.compress_type not in _METHODS:
                    raise InputError(f"{where}: array {name!a:.60}; give {', '.join(_KNOWN)}, each once")
                arrays[name] = _Array(archive, info, f"{where}: {name}")
            yield arrays
    except (*ZIP_ERRORS, TokenError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{where}: no whole archive of numpy.savez ({reason}); write it again") from None


def _check_frames(arrays: dict[str, _Array], video: Video, where: str) -> None:
    if "frames" in arrays and [str(name) for name in arrays["frames"].whole().reshape(-1)] != list(video.frames):
        raise InputError(f"{where}: its frames are others than the data set's; write it for these frames")


def _read_masks(
    arrays: dict[str, _Array], video: Video, size: tuple[int, int] | None, where: str
) -> tuple[tuple[bytes, ...], tuple[int, int]]:
    array = arrays["masks"]
    expected = (video.n_frames, *(size or array.shape[1:3]))
    if array.dtype != np.bool_ or array.shape != expected or len(expected) != 3:
        raise InputError(
            f"{where}: masks are {array.dtype} of shape {array.shape}, expected bool of shape "
            f"({video.n_frames}, H, W) at the size of the frames; write them again"
        )
    found = (array.shape[1], array.shape[2])
    check_map_size(found, size, where=where)
    return tuple(encode(frame[None])[0] for frame in array.frames()), found


def _read_scores(arrays: dict[str, _Array], video: Video, where: str) -> NDArray[np.float32]:
    values = arrays["scores"].whole()
    if values.shape != (video.n_frames,) or values.dtype.kind not in "fiu":
        raise InputError(
            f"{where}: scores of shape {values.shape}, expected {video.n_frames} numbers; write them again"
        )
    with np.errstate(over="ignore"):
        scores = values.astype(np.float32)
    if not np.isfinite(scores).all():
        raise InputError(f"{where}: scores that are not finite; write them again")
    return scores


def _read_key_frame(arrays: dict[str, _Array], video: Video, where: str) -> int:
    values = arrays["key_frame"].whole()
    if values.size != 1 or values.dtype.kind not in "iu" or not 0 <= int(values.reshape(-1)[0]) < video.n_frames:
        raise InputError(f"{where}: key_frame is no index into the {video.n_frames} frames; correct it")
    return int(values.reshape(-1)[0])
