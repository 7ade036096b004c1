"""Mask sequences by instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rvos.artefacts.codec import Packed, ReadPart, read_array
from rvos.artefacts.fields import (
    check_distinct,
    check_video,
    read_frames,
    read_integer,
    read_number,
    read_text,
    to_bytes,
)
from rvos.artefacts.run_lengths import pack_runs, unpack_runs
from rvos.errors import InputError
from rvos.tracklets import Tracklet


@dataclass(frozen=True, slots=True)
class TrackletCodec:
    """The P tracklets of a video, of the same frames and size: parts `runs` and `propagation` float32 `(P, T)`."""

    name: ClassVar[str] = "mask sequences by instance"

    def pack(self, video: str, value: Sequence[Tracklet]) -> Packed:
        """Return what is stored of tracklets."""
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

    def unpack(self, video: str, description: Mapping[str, Any], read: ReadPart) -> tuple[Tracklet, ...]:
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


TRACKLETS = TrackletCodec()
