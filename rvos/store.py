"""Store of mask sequences: one checked, self-describing file for each node and video.

Layout of `WORKSPACE/nodes/NODE/VIDEO.masks`, all numbers little-endian:

    8 bytes  b"RVOSMASK"
    u32      format version
    u32      length of the header
    u32      CRC-32 of the header
    header   JSON: node, video, fingerprint, frames, size, expressions, blocks (name, bytes, CRC-32)
    blocks   zlib streams one after the other: `runs`, `scores`, then `soft/I` for expression I where it has soft maps

`runs` holds the byte lengths of all masks (u32, expression-major) followed by their COCO run lengths, `scores` float32
values, `soft/I` the 8-bit levels `(T, h, w)`; their resolution, limits and kind stand in the header.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError, StoreError
from rvos.files import write_atomically
from rvos.ids import check_id
from rvos.mask_sequences import MaskSequence, SoftMaps
from rvos.runs import Runs

FORMAT_VERSION = 1
SUFFIX = ".masks"
_MAGIC = b"RVOSMASK"
_PREAMBLE = struct.Struct("<8sIII")
_ZLIB_LEVEL = 6
_MAX_HEADER = 1 << 26


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """One compressed block: its name, bytes on disk and CRC-32 of these bytes."""

    name: str
    n_bytes: int
    crc: int


@dataclass(frozen=True, slots=True)
class StoredExpression:
    """What the header says of one expression; `soft` is (h, w, low, high, kind) or None."""

    id: str
    key_frame: int | None
    soft: tuple[int, int, float, float, Literal["logit", "probability"]] | None


@dataclass(frozen=True, slots=True)
class StoredHeader:
    """Description of a stored file."""

    node: str
    video: str
    fingerprint: str
    frames: tuple[str, ...]
    size: tuple[int, int]
    expressions: tuple[StoredExpression, ...]
    blocks: tuple[StoredBlock, ...]


@dataclass(frozen=True, slots=True)
class Store:
    """The results of all nodes below one workspace folder; safe to kill and to resume."""

    workspace: Path

    def path(self, node: str, video: str) -> Path:
        """Return the file of a node and video.

        Raises:
            InputError: an id that would leave the workspace.
        """
        check_id(node, where=str(self.workspace), what="node")
        check_id(video, where=str(self.workspace), what="video")
        return self.workspace / "nodes" / node / f"{video}{SUFFIX}"

    def write(self, node: str, video_id: str, sequences: Sequence[MaskSequence], fingerprint: str) -> Path:
        """Write the sequences of all expressions of a video in one step and return the file.

        Raises:
            InputError: unsafe ids, or sequences of another video, other frames, another size or repeated expressions.
            StoreError: the file cannot be written.
        """
        path = self.path(node, video_id)
        _check_together(path, video_id, sequences)
        write_atomically(path, _pack(node, video_id, sequences, fingerprint))
        return path

    def read(
        self, node: str, video_id: str, fingerprint: str | None = None, *, soft: bool = True
    ) -> tuple[MaskSequence, ...]:
        """Return the sequences of a node and video, in the order they were written.

        Args:
            fingerprint: refuse a file of another one; None takes any.
            soft: False leaves the soft maps on disk.

        Raises:
            StoreError: missing, damaged, truncated, foreign, or of another fingerprint.
        """
        path = self.path(node, video_id)
        header, content = _open(path)
        _check_origin(path, header, node, video_id, fingerprint)
        try:
            return tuple(_unpack(header, content, soft=soft))
        except (InputError, ValueError, IndexError, zlib.error, struct.error, OverflowError, MemoryError) as error:
            raise StoreError(f"{path}: damaged ({error}); delete it and run the node again") from None

    def has(self, node: str, video_id: str, fingerprint: str | None = None) -> bool:
        """Tell whether a whole file of this fingerprint is there; all checksums are tested."""
        path = self.path(node, video_id)
        try:
            header, content = _open(path)
            _check_origin(path, header, node, video_id, fingerprint)
            _check_blocks(path, header, content)
        except StoreError:
            return False
        return True

    def header(self, node: str, video_id: str) -> StoredHeader:
        """Return the description of a stored file.

        Raises:
            StoreError: missing, damaged or foreign.
        """
        return _open(self.path(node, video_id))[0]

    def videos(self, node: str) -> tuple[str, ...]:
        """Return the ids of the videos that a node has a file for, sorted."""
        folder = self.path(node, "x").parent
        return tuple(sorted(path.name[: -len(SUFFIX)] for path in folder.glob(f"[!.]*{SUFFIX}")))

    def nodes(self) -> tuple[str, ...]:
        """Return the names of the nodes that have a folder, sorted."""
        return tuple(sorted(path.name for path in (self.workspace / "nodes").glob("[!.]*") if path.is_dir()))


def _check_together(path: Path, video: str, sequences: Sequence[MaskSequence]) -> None:
    """Check that sequences form one file: same video, frames and size, distinct expressions."""
    seen: set[str] = set()
    for sequence in sequences:
        where = f"{path}: {sequence.video}/{sequence.expression}"
        check_id(sequence.expression, where=str(path), what="expression")
        if sequence.video != video:
            raise InputError(f"{where}: belongs to another video than {video}; write each video on its own")
        if sequence.expression in seen:
            raise InputError(f"{where}: expression given twice; give each once")
        if (sequence.frames, sequence.size) != (sequences[0].frames, sequences[0].size):
            raise InputError(
                f"{where}: {sequence.n_frames} frames of {sequence.size}, the first expression has "
                f"{sequences[0].n_frames} of {sequences[0].size}; make them equal"
            )
        seen.add(sequence.expression)


def _check_origin(path: Path, header: StoredHeader, node: str, video: str, fingerprint: str | None) -> None:
    if (header.node, header.video) != (node, video):
        raise StoreError(
            f"{path}: holds node {header.node}, video {header.video}; it was moved or renamed, delete it and run again"
        )
    if fingerprint is not None and header.fingerprint != fingerprint:
        raise StoreError(f"{path}: made with other settings or inputs; run the node again")


def _pack(node: str, video: str, sequences: Sequence[MaskSequence], fingerprint: str) -> list[bytes]:
    """Return the parts of a file; the same sequences always give the same bytes."""
    contents = {"runs": _pack_runs(sequences), "scores": _pack_scores(sequences)}
    contents |= {f"soft/{i}": s.soft.values.tobytes() for i, s in enumerate(sequences) if s.soft is not None}
    blocks = {name: zlib.compress(raw, _ZLIB_LEVEL) for name, raw in contents.items()}
    first = sequences[0] if sequences else None
    header = {
        "node": node,
        "video": video,
        "fingerprint": fingerprint,
        "frames": list(first.frames) if first else [],
        "size": list(first.size) if first else [0, 0],
        "expressions": [_describe(sequence) for sequence in sequences],
        "blocks": [[name, len(block), zlib.crc32(block)] for name, block in blocks.items()],
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    return [_PREAMBLE.pack(_MAGIC, FORMAT_VERSION, len(text), zlib.crc32(text)), text, *blocks.values()]


def _describe(sequence: MaskSequence) -> dict[str, Any]:
    soft = sequence.soft
    return {
        "id": sequence.expression,
        "key_frame": sequence.key_frame,
        "soft": None if soft is None else [*soft.values.shape[1:], float(soft.low), float(soft.high), soft.kind],
    }


def _pack_runs(sequences: Sequence[MaskSequence]) -> bytes:
    lengths = np.array([len(runs) for sequence in sequences for runs in sequence.runs], "<u4")
    return lengths.tobytes() + b"".join(runs for sequence in sequences for runs in sequence.runs)


def _pack_scores(sequences: Sequence[MaskSequence]) -> bytes:
    return b"".join(sequence.scores.astype("<f4").tobytes() for sequence in sequences)


def _open(path: Path) -> tuple[StoredHeader, memoryview]:
    """Return the checked header and the bytes of all blocks."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise StoreError(f"{path}: no such result; run the node first") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); check the file and its folder") from None
    if len(content) < _PREAMBLE.size or not content.startswith(_MAGIC):
        raise StoreError(f"{path}: no stored mask sequences; delete it and run the node again")
    _, version, length, crc = _PREAMBLE.unpack_from(content)
    if version != FORMAT_VERSION:
        raise StoreError(f"{path}: format version {version}, expected {FORMAT_VERSION}; run the node again")
    text = content[_PREAMBLE.size : _PREAMBLE.size + length]
    if length > _MAX_HEADER or len(text) != length or zlib.crc32(text) != crc:
        raise StoreError(f"{path}: damaged or truncated header; delete it and run the node again")
    header = _parse_header(path, text)
    blocks = memoryview(content)[_PREAMBLE.size + length :]
    if len(blocks) != sum(block.n_bytes for block in header.blocks):
        raise StoreError(f"{path}: truncated or with bytes after its end; delete it and run the node again")
    return header, blocks


def _parse_header(path: Path, text: bytes) -> StoredHeader:
    try:
        raw = json.loads(text)
        height, width = (int(value) for value in raw["size"])
        if min(height, width) < (1 if raw["expressions"] else 0):
            raise ValueError(f"size {height} x {width}")
        return StoredHeader(
            str(raw["node"]),
            str(raw["video"]),
            str(raw["fingerprint"]),
            tuple(str(name) for name in raw["frames"]),
            (height, width),
            tuple(_parse_expression(entry) for entry in raw["expressions"]),
            tuple(StoredBlock(str(name), int(n_bytes), int(crc)) for name, n_bytes, crc in raw["blocks"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"{path}: header that is not ours ({error}); delete it and run the node again") from None


def _parse_expression(entry: dict[str, Any]) -> StoredExpression:
    key_frame, soft = entry["key_frame"], entry["soft"]
    if soft is not None:
        height, width, low, high, kind = soft
        if kind not in ("logit", "probability"):
            raise ValueError(f"soft maps of kind {kind!r}")
        if min(height, width) < 1:
            raise ValueError(f"soft maps of {height} x {width}")
        soft = (int(height), int(width), float(low), float(high), kind)
    return StoredExpression(str(entry["id"]), None if key_frame is None else int(key_frame), soft)


def _check_blocks(path: Path, header: StoredHeader, content: memoryview) -> None:
    start = 0
    for block in header.blocks:
        if zlib.crc32(content[start : start + block.n_bytes]) != block.crc:
            raise StoreError(f"{path}: block {block.name} is damaged; delete it and run the node again")
        start += block.n_bytes


def _read_block(header: StoredHeader, content: memoryview, name: str, n_bytes: int | None = None) -> bytes:
    """Return the raw bytes of a block; `n_bytes` is the length they must have."""
    start = 0
    for block in header.blocks:
        data = content[start : start + block.n_bytes]
        start += block.n_bytes
        if block.name == name:
            break
    else:
        raise ValueError(f"no block {name}")
    if zlib.crc32(data) != block.crc:
        raise ValueError(f"block {name} fails its checksum")
    if n_bytes is None:
        return zlib.decompress(data)
    raw = zlib.decompressobj().decompress(data, n_bytes + 1)
    if len(raw) != n_bytes:
        raise ValueError(f"block {name} does not hold {n_bytes} bytes")
    return raw


def _unpack(header: StoredHeader, content: memoryview, *, soft: bool) -> Iterator[MaskSequence]:
    n_frames, n_masks = len(header.frames), len(header.frames) * len(header.expressions)
    scores = np.frombuffer(_read_block(header, content, "scores", 4 * n_masks), "<f4").astype(np.float32)
    runs = _unpack_runs(_read_block(header, content, "runs"), n_masks, header.size)
    for index, stored in enumerate(header.expressions):
        part = slice(index * n_frames, (index + 1) * n_frames)
        yield MaskSequence(
            header.video,
            stored.id,
            header.frames,
            header.size,
            runs[part],
            scores[part],
            stored.key_frame,
            _unpack_soft(header, content, index) if soft and stored.soft else None,
        )


def _unpack_runs(raw: bytes, n_masks: int, size: tuple[int, int]) -> tuple[bytes, ...]:
    """Return the run lengths of all masks, checked: the C decoder trusts what it is given."""
    if n_masks == 0:
        return ()
    ends = np.cumsum(np.frombuffer(raw, "<u4", n_masks).astype(np.int64)) + 4 * n_masks
    if ends[-1] != len(raw):
        raise ValueError("the lengths of the masks do not add up")
    starts = [4 * n_masks, *ends[:-1].tolist()]
    runs = tuple(raw[start:end] for start, end in zip(starts, ends.tolist(), strict=True))
    Runs.decode(runs, size)
    return runs


def _unpack_soft(header: StoredHeader, content: memoryview, index: int) -> SoftMaps | None:
    stored = header.expressions[index].soft
    if stored is None:
        return None
    height, width, low, high, kind = stored
    shape = (len(header.frames), height, width)
    raw = _read_block(header, content, f"soft/{index}", shape[0] * height * width)
    values: NDArray[np.uint8] = np.frombuffer(raw, np.uint8).reshape(shape)
    return SoftMaps(values, low, high, kind)
