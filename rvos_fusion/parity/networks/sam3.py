"""Parity cases of SAM 3: of its tracker, or of its concept detector."""

from __future__ import annotations

from pathlib import Path

from rvos_fusion.parity.cases import Case, Results
from rvos_fusion.parity.networks import sam3_detector, sam3_tracker


def run(case: Case, checkpoint: Path) -> Results:
    """Return our arrays for a `sam3` case; those with phrases are of the detector."""
    part = sam3_detector if "phrase0" in case.inputs else sam3_tracker
    return part.run(case, checkpoint)
