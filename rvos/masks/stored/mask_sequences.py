"""Mask sequences by expression: run lengths, scores, and where a node keeps them soft maps and propagation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rvos.errors import InputError
from rvos.ids import check_id
from rvos.masks.frame_queries import FrameQueries
from rvos.masks.mask_sequences import MaskFill, MaskSequence, SoftMaps
from rvos.masks.stored.codec import Packed, ReadPart, read_array
from rvos.masks.stored.fields import (
    check_distinct,
    check_video,
    read_frames,
    read_integer,
    read_number,
    read_text,
    to_bytes,
)
from rvos.masks.stored.run_lengths import pack_runs, unpack_runs
from rvos.settings.problems import count

_HALF = "float16"


@dataclass(frozen=True, slots=True)
class MaskSequenceCodec:
    """Sequences of all expressions of a video, of the same frames and size.

    Parts: `runs`, `scores` float32 `(E, T)`, `soft/I` the maps `(T, h, w)` of expression I, 8-bit levels or
    float16, `propagation/I` and `presence/I` its float32 `(T,)`, `queries/I` run lengths and `query_scores/I` float32
    `(Q,)` of the queries of one frame.

    Args:
        soft: False leaves the soft maps on disk.
        queries: False leaves the queries there: what makes new masks of these must not hand them on.
    """

    soft: bool = True
    queries: bool = False
    name: ClassVar[str] = "mask sequences"

    def pack(self, video: str, value: Sequence[MaskSequence]) -> Packed:
        """Return what is stored of sequences."""
        _check_together(video, value)
        parts = {
            "runs": pack_runs([sequence.runs for sequence in value]),
            "scores": to_bytes([sequence.scores for sequence in value], "<f4"),
        }
        for index, sequence in enumerate(value):
            if sequence.soft is not None:
                parts[f"soft/{index}"] = to_bytes([sequence.soft.values], _stored_type(sequence.soft))
            if sequence.propagation is not None:
                parts[f"propagation/{index}"] = to_bytes([sequence.propagation], "<f4")
            if sequence.presence is not None:
                parts[f"presence/{index}"] = to_bytes([sequence.presence], "<f4")
            if sequence.queries is not None:
                parts[f"queries/{index}"] = pack_runs([sequence.queries.runs])
                parts[f"query_scores/{index}"] = to_bytes([sequence.queries.scores], "<f4")
        description = {
            "frames": list(value[0].frames) if value else [],
            "size": list(value[0].size) if value else [0, 0],
            "expressions": [_describe(sequence) for sequence in value],
        }
        return Packed(description, parts)

    def unpack(self, video: str, description: Mapping[str, Any], read: ReadPart) -> tuple[MaskSequence, ...]:
        """Return the sequences in the order in which they were written."""
        return tuple(self._unpack(video, description, read))

    def _unpack(self, video: str, description: Mapping[str, Any], read: ReadPart) -> Iterator[MaskSequence]:
        frames, size = read_frames(description)
        entries = description["expressions"]
        check_distinct([read_text(entry["id"]) for entry in entries], video=video, what="expression")
        scores = read_array(read, "scores", "<f4", (len(entries), len(frames)))
        runs = unpack_runs(read("runs", None), len(entries) * len(frames), size)
        for index, entry in enumerate(entries):
            own = runs[index * len(frames) : (index + 1) * len(frames)]
            key_frame = None if entry["key_frame"] is None else read_integer(entry["key_frame"])
            soft = _read_soft(read, f"soft/{index}", entry["soft"], len(frames)) if self.soft else None
            propagation = None
            if entry["propagation"]:
                propagation = read_array(read, f"propagation/{index}", "<f4", (len(frames),))
            presence = None
            if entry.get("presence", False):
                presence = read_array(read, f"presence/{index}", "<f4", (len(frames),))
            yield MaskSequence(
                video,
                entry["id"],
                frames,
                size,
                own,
                scores[index],
                key_frame,
                soft,
                propagation=propagation,
                scored=bool(entry["scored"]),
                missing=_read_fill(entry.get("missing")),
                presence=presence,
                queries=_read_queries(read, index, entry.get("queries"), size) if self.queries else None,
            )


MASK_SEQUENCES = MaskSequenceCodec()
MASKS_ALONE = MaskSequenceCodec(soft=False)


def _check_together(video: str, sequences: Sequence[MaskSequence]) -> None:
    """Check that sequences form one file: same video, frames and size, distinct expressions."""
    for sequence in sequences:
        check_id(sequence.expression, where=video, what="expression")
        check_video(sequence.video, video, what=sequence.expression)
        if (sequence.frames, sequence.size) != (sequences[0].frames, sequences[0].size):
            raise InputError(
                f"{video}/{sequence.expression}: {count(sequence.n_frames, 'frame')} of "
                f"{sequence.size}, the first expression "
                f"has {sequences[0].n_frames} of {sequences[0].size}; make them equal"
            )
    check_distinct([sequence.expression for sequence in sequences], video=video, what="expression")


def _describe(sequence: MaskSequence) -> dict[str, Any]:
    soft = sequence.soft
    return {
        "id": sequence.expression,
        "key_frame": sequence.key_frame,
        "soft": None if soft is None else _describe_soft(soft),
        "propagation": sequence.propagation is not None,
        "scored": sequence.scored,
        # Not named where there is none: such files stay what they were.
        **({} if sequence.missing is None else {"missing": sequence.missing}),
        **({} if sequence.presence is None else {"presence": True}),
        **({} if sequence.queries is None else {"queries": [sequence.queries.frame, len(sequence.queries.runs)]}),
    }


def _read_fill(value: Any) -> MaskFill | None:
    if value not in (None, "empty", "abstain"):
        raise ValueError(f"masks that are missing by {str(value)[:40]}")
    fill: MaskFill | None = value
    return fill


def _read_queries(read: ReadPart, index: int, entry: Any, size: tuple[int, int]) -> FrameQueries | None:
    if entry is None:
        return None
    frame, n_queries = map(read_integer, entry)
    runs = unpack_runs(read(f"queries/{index}", None), n_queries, size)
    return FrameQueries(frame, runs, read_array(read, f"query_scores/{index}", "<f4", (n_queries,)))


def _describe_soft(soft: SoftMaps) -> list[Any]:
    found = [*soft.values.shape[1:], float(soft.low), float(soft.high), soft.kind]
    # Levels are not named: files of 8 bits stay what they were.
    return [*found, _HALF] if soft.values.dtype == np.float16 else found


def _stored_type(soft: SoftMaps) -> str:
    return "<f2" if soft.values.dtype == np.float16 else "u1"


def _read_soft(read: ReadPart, name: str, entry: Any, n_frames: int) -> SoftMaps | None:
    if entry is None:
        return None
    height, width, low, high, kind, *form = entry
    if kind not in ("logit", "probability"):
        raise ValueError(f"soft maps of kind {str(kind)[:40]}")
    shape = (n_frames, read_integer(height, least=1), read_integer(width, least=1))
    if form not in ([], [_HALF]):
        raise ValueError(f"soft maps of type {str(form)[:40]}")
    values = read_array(read, name, "<f2" if form else "u1", shape)
    if form and not np.isfinite(values).all():
        raise ValueError("soft maps that are not finite")
    return SoftMaps(values, read_number(low), read_number(high), kind)
