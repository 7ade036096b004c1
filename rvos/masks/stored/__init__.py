"""What nodes store: one container for every sort of result, and a codec for each sort."""

from __future__ import annotations

from rvos.masks.stored.boxes import BOXES
from rvos.masks.stored.codec import Codec
from rvos.masks.stored.mask_sequences import MASK_SEQUENCES, MASKS_ALONE
from rvos.masks.stored.proposals import PROPOSALS
from rvos.masks.stored.tracklets import TRACKLET_SETS, TRACKLETS

__all__ = [
    "BOXES",
    "MASKS_ALONE",
    "MASK_SEQUENCES",
    "PROPOSALS",
    "TRACKLETS",
    "TRACKLET_SETS",
    "Codec",
]
