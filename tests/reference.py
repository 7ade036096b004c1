"""Where the reference cases and frames lie: beside the checkout, or where RVOS_REFERENCE points."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def reference(name: str) -> Path:
    """Return a file or folder of the reference material; the test is skipped where there is none."""
    default = Path(__file__).resolve().parents[2] / "shared"
    path = Path(os.environ.get("RVOS_REFERENCE", default)) / name
    if not path.exists():
        pytest.skip(f"reference material {name} is not on this machine; set RVOS_REFERENCE")
    return path
