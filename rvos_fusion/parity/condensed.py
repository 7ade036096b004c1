"""Condensed cases: one file of less than 100 kB that still decides whether a network is the official one.

A case folder holds megabytes, a clone should hold kilobytes. Inputs must be exact, so they are only coded more tightly:
pictures of at most 256 levels a channel as lossless WebP. Outputs may be sampled: weights made by a rule mix every
input into every output, so a wrong network misses a few hundred samples as surely as all of them.

Layout: a zip of `.npy` members, as `numpy.load` reads it, with LZMA.

    keys                 the bytes of keys.json
    inputs/NAME          an input as it is; pictures as inputs/NAME:webp, :ends, :levels, :shape
    outputs/NAME         an output of few values, or a mask, as it is
    outputs/NAME:values  other outputs: sampled values, with :index into the flat array and :shape
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rvos.errors import InputError, explain
from rvos.files.atomic import write_atomically
from rvos.settings import count
from rvos_fusion.parity.cases import Arrays, Case, read_case

LARGEST = 100_000
_WHOLE = 400
_SAMPLES = 160
_LEVELS = 256
_EPOCH = (1980, 1, 1, 0, 0, 0)


def condense(
    folder: Path, out: Path, *, frames: int | None = None, leave_out: tuple[str, ...] = (), largest: int = LARGEST
) -> int:
    """Write the condensed form of a case and return its size in bytes.

    Args:
        frames: of a network that only looks back, keep this many; outputs of later frames are left out.
        leave_out: prefixes of inputs and outputs to drop, such as one of several parts of a case.
        largest: bytes that it may have.

    Raises:
        InputError: no case, or it stays larger.
    """
    case = read_case(folder)
    inputs, outputs = dict(case.inputs), dict(case.outputs)
    if frames is not None:
        inputs, outputs = _cut_frames(inputs, outputs, frames)
    outputs = {name: array for name, array in outputs.items() if not name.startswith(leave_out)}
    inputs = _blacken_unread(inputs, outputs)
    members: Arrays = {"keys": np.frombuffer(json.dumps(dict(case.keys)).encode(), np.uint8)}
    for name, array in inputs.items():
        if not name.startswith(leave_out):
            whole = {f"inputs/{name}": array}
            coded: Arrays = dict(_code_pictures(f"inputs/{name}", array))
            # Exactly, as it is or as pictures, whichever is smaller: of clips that move little the pictures are not.
            is_smaller = bool(coded) and len(_pack(coded)) < len(_pack(whole))
            members |= coded if is_smaller else whole
    for name, array in outputs.items():
        members.update(_sample(f"outputs/{name}", array))
    content = _pack(members)
    if len(content) > largest:
        raise InputError(
            f"{folder}: {count(len(content), 'byte')} condensed, more than {largest}; keep fewer frames or parts"
        )
    write_atomically(out, content)
    return len(content)


def read_condensed(path: Path) -> Case:
    """Return a condensed case (InputError: none); values that were not kept are NaN, which no comparison counts."""
    try:
        with np.load(path, allow_pickle=False) as content:
            members = {name: content[name] for name in content.files}
        keys = json.loads(members["keys"].tobytes())
        inputs = dict(_decode(members, "inputs/"))
        outputs = dict(_decode(members, "outputs/"))
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: no condensed parity case ({explain(error)}); get the file again") from None
    return Case(path, keys, inputs, outputs, {})


def _cut_frames(inputs: Arrays, outputs: Arrays, frames: int) -> tuple[Arrays, Arrays]:
    """Return the first frames' arrays; the whole clip's length stays known, as SAM 2 measures distances by it."""
    total = len(inputs["images"] if "images" in inputs else inputs["frames"])
    orders = {name.removesuffix("frames"): array for name, array in outputs.items() if name.endswith(".frames")}
    if orders:
        return _cut_passes(inputs, outputs, orders, frames)
    inputs = {"n_frames": np.asarray(total)} | {
        name: array[:frames] if np.shape(array)[:1] == (total,) else array for name, array in inputs.items()
    }
    kept: Arrays = {}
    for name, array in outputs.items():
        if len(array) == total:
            kept[name] = array[:frames]
        elif len(array) == total - 1:  # nothing is predicted for the first frame
            kept[name] = array[: frames - 1]
    return inputs, kept


def _cut_passes(
    inputs: Arrays, outputs: Arrays, orders: Mapping[str, NDArray[Any]], frames: int
) -> tuple[Arrays, Arrays]:
    """Return the forward passes over the first frames.

    Args:
        orders: frames of each pass in their order, by the beginning of its arrays' names.
    """
    forward = {where: int((order < frames).sum()) for where, order in orders.items() if order[0] < order[-1]}
    kept = {
        name: array[:rows]
        for where, rows in forward.items()
        for name, array in outputs.items()
        if name.startswith(where)
    }
    return {**inputs, "n_frames": np.asarray(len(inputs["frames"])), "frames": inputs["frames"][:frames]}, kept


def _blacken_unread(inputs: Arrays, outputs: Arrays) -> Arrays:
    """Return the inputs, with black frames where no pass of the outputs looks."""
    orders = [array for name, array in outputs.items() if name.endswith(".frames")]
    if not orders:
        return inputs
    frames = inputs["frames"].copy()
    frames[np.setdiff1d(np.arange(len(frames)), np.concatenate(orders))] = 0
    return {**inputs, "frames": frames}


def _code_pictures(name: str, array: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield frames as lossless WebP of level numbers; nothing for other arrays, or a channel of too many levels."""
    pictures = _as_pictures(array)
    if pictures is None:
        return
    levels = [np.unique(pictures[..., channel]) for channel in range(3)]
    if max(map(len, levels)) > _LEVELS:
        return
    places = [np.searchsorted(level, pictures[..., channel]) for channel, level in enumerate(levels)]
    coded = []
    for picture in np.stack(places, axis=-1).astype(np.uint8):
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "WEBP", lossless=True, quality=100, method=6, exact=True)
        coded.append(stream.getvalue())
    table = np.zeros((3, _LEVELS), array.dtype)
    for channel, level in enumerate(levels):
        table[channel, : len(level)] = level
    yield f"{name}:webp", np.frombuffer(b"".join(coded), np.uint8)
    yield f"{name}:ends", np.cumsum([len(part) for part in coded])
    yield f"{name}:levels", table
    yield f"{name}:shape", np.asarray(array.shape)


def _as_pictures(array: NDArray[Any]) -> NDArray[Any] | None:
    """Return an array of frames as (N, H, W, 3), or None where it holds none."""
    smallest_side = 16
    if array.ndim >= 4 and array.shape[-3] == 3 and min(array.shape[-2:]) >= smallest_side:
        return np.moveaxis(array.reshape(-1, *array.shape[-3:]), 1, -1)
    if array.ndim >= 3 and array.shape[-1] == 3 and min(array.shape[-3:-1]) >= smallest_side:
        return array.reshape(-1, *array.shape[-3:])
    return None


def _sample(name: str, array: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield an output: whole where it is small or a mask, else evenly spaced values and the largest one."""
    if array.size <= _WHOLE or array.dtype.kind != "f":
        yield name, array
        return
    flat = np.abs(array).ravel()
    # The largest value sets the scale of the comparison, so it has to be among the samples.
    index = np.unique([*np.linspace(0, flat.size - 1, _SAMPLES).astype(np.int64), int(np.nanargmax(flat))])
    yield f"{name}:values", array.ravel()[index]
    yield f"{name}:index", index
    yield f"{name}:shape", np.asarray(array.shape)


def _pack(members: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the zip; the same members always give the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in members.items():
            part = io.BytesIO()
            np.save(part, array)
            stored = name.endswith(":webp")
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            archive.writestr(entry, part.getvalue(), zipfile.ZIP_STORED if stored else zipfile.ZIP_LZMA)
    return stream.getvalue()


def _decode(members: Mapping[str, NDArray[Any]], section: str) -> Iterator[tuple[str, NDArray[Any]]]:
    for name in members:
        if not name.startswith(section):
            continue
        stem, _, part = name.removeprefix(section).partition(":")
        if part == "":
            yield stem, members[name]
        elif part == "webp":
            yield stem, _decode_pictures(members, section + stem)
        elif part == "values":
            shape = tuple(int(side) for side in members[f"{section}{stem}:shape"])
            whole = np.full(shape, np.nan, members[name].dtype)
            whole.reshape(-1)[members[f"{section}{stem}:index"]] = members[name]
            yield stem, whole


def _decode_pictures(members: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    content, levels = members[f"{name}:webp"].tobytes(), members[f"{name}:levels"]
    shape = tuple(int(side) for side in members[f"{name}:shape"])
    ends = members[f"{name}:ends"].tolist()
    pictures = []
    for start, end in pairwise([0, *ends]):
        with Image.open(io.BytesIO(content[start:end]), formats=["WEBP"]) as picture:
            pictures.append(np.asarray(picture.convert("RGB")))
    places = np.stack(pictures)
    values = np.stack([levels[channel][places[..., channel]] for channel in range(3)], axis=-1)
    return values.reshape(shape) if shape[-1] == 3 else np.moveaxis(values, -1, 1).reshape(shape)
