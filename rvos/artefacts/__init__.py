"""What nodes store: one container for every sort of result, and a codec for each sort."""

from __future__ import annotations

from rvos.artefacts.boxes import BOXES
from rvos.artefacts.codec import Codec
from rvos.artefacts.mask_sequences import MASK_SEQUENCES, MASKS_ALONE
from rvos.artefacts.proposals import PROPOSALS
from rvos.artefacts.tracklets import TRACKLET_SETS, TRACKLETS
from rvos.artefacts.weights import WEIGHTS

__all__ = [
    "BOXES",
    "MASKS_ALONE",
    "MASK_SEQUENCES",
    "PROPOSALS",
    "TRACKLETS",
    "TRACKLET_SETS",
    "WEIGHTS",
    "Codec",
]
