"""Where the demo and the recipes lie: inside an installed wheel, or in the checkout."""

from __future__ import annotations

from pathlib import Path


def find_bundled() -> Path:
    """Return the folder with the default `pipeline.yaml`, `recipes` and `demo`."""
    application = Path(__file__).resolve().parents[1]
    bundled = application / "bundled"
    return bundled if bundled.is_dir() else application.parent
