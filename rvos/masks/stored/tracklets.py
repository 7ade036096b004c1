"""Mask sequences by instance: those of the nouns of a video, or its candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rvos.errors import InputError
from rvos.masks.mask_sequences import check_presence
from rvos.masks.stored.codec import Packed, ReadPart, read_array
from rvos.masks.stored.fields import (
    check_distinct,
    check_video,
    read_frames,
    read_integer,
    read_number,
    read_text,
    read_texts,
    to_bytes,
)
from rvos.masks.stored.run_lengths import pack_runs, unpack_runs
from rvos.masks.tracklets import Dropped, Instances, Tracklet, TrackletSet


@dataclass(frozen=True, slots=True)
class InstanceCodec:
    """The instances of a video: the parts of their tracklets, and the `presence` of N labels, float32 `(N, T)`."""

    name: ClassVar[str] = "mask sequences by instance"

    def pack(self, video: str, value: Instances) -> Packed:
        """Return what is stored of instances."""
        packed, presence = _pack_tracklets(video, value.tracklets), value.presence
        if not presence:  # such files stay what they were
            return packed
        lengths = {len(own) for own in presence.values()} | {len(one.frames) for one in value.tracklets[:1]}
        (n_frames,) = lengths if len(lengths) == 1 else (0,)
        for label, own in presence.items():
            check_presence(own, n_frames, where=f"{video}/{label}")
        description = {**packed.description, "presence": {"labels": list(presence), "frames": n_frames}}
        return Packed(description, {**packed.parts, "presence": to_bytes(list(presence.values()), "<f4")})

    def unpack(self, video: str, description: Mapping[str, Any], read: ReadPart) -> Instances:
        """Return the instances in the order in which they were written."""
        tracklets = _unpack_tracklets(video, description, read)
        if (stated := description.get("presence")) is None:
            return Instances(tracklets)
        labels, n_frames = read_texts(stated["labels"]), read_integer(stated["frames"], least=1)
        presence = read_array(read, "presence", "<f4", (len(labels), n_frames))
        for label, own in zip(labels, presence, strict=True):
            check_presence(own, n_frames, where=f"{video}/{label}")
        return Instances(tracklets, dict(zip(labels, presence, strict=True)))


TRACKLETS = InstanceCodec()


def _pack_tracklets(video: str, value: Sequence[Tracklet]) -> Packed:
    """Return what is stored of P tracklets of the same frames and size: `runs`, and `propagation` float32 `(P, T)`."""
    for tracklet in value:
        check_video(tracklet.video, video, what=tracklet.id)
        if (tracklet.frames, tracklet.size) != (value[0].frames, value[0].size):
            raise InputError(f"{video}/{tracklet.id}: other frames or another size than the first; make them equal")
    check_distinct([tracklet.id for tracklet in value], video=video, what="instance")
    description = {
        "frames": list(value[0].frames) if value else [],
        "size": list(value[0].size) if value else [0, 0],
        "instances": [
            {
                "id": tracklet.id,
                "confidence": float(tracklet.confidence),
                "key_frame": tracklet.key_frame,
                "label": tracklet.label,
                "detector": tracklet.detector,
            }
            for tracklet in value
        ],
    }
    parts = {
        "runs": pack_runs([tracklet.runs for tracklet in value]),
        "propagation": to_bytes([tracklet.propagation for tracklet in value], "<f4"),
    }
    return Packed(description, parts)


def _unpack_tracklets(video: str, description: Mapping[str, Any], read: ReadPart) -> tuple[Tracklet, ...]:
    """Return the tracklets in the order in which they were written."""
    frames, size = read_frames(description)
    entries = description["instances"]
    check_distinct([read_text(entry["id"]) for entry in entries], video=video, what="instance")
    propagation = read_array(read, "propagation", "<f4", (len(entries), len(frames)))
    runs = unpack_runs(read("runs", None), len(entries) * len(frames), size)
    return tuple(
        Tracklet(
            video,
            entry["id"],
            frames,
            size,
            runs[index * len(frames) : (index + 1) * len(frames)],
            propagation[index],
            read_number(entry["confidence"]),
            read_integer(entry["key_frame"]),
            read_text(entry["label"]),
            read_text(entry["detector"]),
        )
        for index, entry in enumerate(entries)
    )


@dataclass(frozen=True, slots=True)
class TrackletSetCodec:
    """The candidates of a video: the parts of their tracklets, and `scores` float64 `(P,)`."""

    name: ClassVar[str] = "tracklets"

    def pack(self, video: str, value: TrackletSet) -> Packed:
        """Return what is stored of the candidates; their content hash is part of it."""
        check_video(value.video, video, what="tracklets")
        packed = _pack_tracklets(video, value.tracklets)
        dropped = [
            [one.id, one.by, float(one.iou), float(one.score), one.key_frame, one.detector, one.label]
            for one in value.dropped
        ]
        description = {
            "frames": list(value.frames),
            "size": list(value.size),
            "instances": packed.description["instances"],
            "dropped": dropped,
            "settings": dict(value.settings),
            "content_hash": value.content_hash(),
        }
        return Packed(description, {**packed.parts, "scores": to_bytes([value.scores], "<f8")})

    def unpack(self, video: str, description: Mapping[str, Any], read: ReadPart) -> TrackletSet:
        """Return the candidates, best first."""
        frames, size = read_frames(description)
        tracklets = _unpack_tracklets(video, description, read)
        scores = read_array(read, "scores", "<f8", (len(tracklets),))
        dropped = tuple(_read_dropped(row) for row in description["dropped"])
        found = TrackletSet(video, frames, size, tracklets, scores, dropped, dict(description["settings"]))
        if found.content_hash() != description["content_hash"]:
            raise ValueError("the content hash does not fit the tracklets")
        return found


def _read_dropped(row: Any) -> Dropped:
    name, by, iou, score, key_frame, detector, label = row
    return Dropped(
        read_text(name),
        None if by is None else read_text(by),
        read_number(iou),
        read_number(score),
        read_integer(key_frame),
        read_text(detector),
        read_text(label),
    )


TRACKLET_SETS = TrackletSetCodec()
