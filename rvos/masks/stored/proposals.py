"""Proposals: instance masks of the key frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rvos.masks.detections import Proposal, VideoProposals
from rvos.masks.stored.codec import Packed, ReadPart
from rvos.masks.stored.fields import check_video, read_frames, read_integer, read_number, read_text
from rvos.masks.stored.run_lengths import pack_runs, unpack_runs


@dataclass(frozen=True, slots=True)
class ProposalCodec:
    """The N proposals of a video: part `runs`, one mask each."""

    name: ClassVar[str] = "proposals"

    def pack(self, video: str, value: VideoProposals) -> Packed:
        """Return what is stored of proposals."""
        check_video(value.video, video, what="proposals")
        description = {
            "frames": list(value.frames),
            "size": list(value.size),
            "key_frames": list(value.key_frames),
            "proposals": [[one.frame, float(one.confidence), one.detector, one.label] for one in value.proposals],
        }
        return Packed(description, {"runs": pack_runs([[one.mask for one in value.proposals]])})

    def unpack(self, video: str, description: Mapping[str, Any], read: ReadPart) -> VideoProposals:
        """Return the proposals."""
        frames, size = read_frames(description)
        rows = description["proposals"]
        masks = unpack_runs(read("runs", None), len(rows), size)
        proposals = tuple(
            Proposal(read_integer(frame), mask, read_number(confidence), read_text(detector), read_text(label))
            for (frame, confidence, detector, label), mask in zip(rows, masks, strict=True)
        )
        key_frames = tuple(read_integer(frame) for frame in description["key_frames"])
        return VideoProposals(video, frames, size, key_frames, proposals)


PROPOSALS = ProposalCodec()
