"""Where the demo and the recipes lie, inside an installed wheel or in the checkout, and how well its networks do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def find_bundled() -> Path:
    """Return the folder with the default `pipeline.yaml`, `recipes` and `demo`."""
    application = Path(__file__).resolve().parents[1]
    bundled = application / "bundled"
    return bundled if bundled.is_dir() else application.parent


CHECKPOINTS = find_bundled() / "demo" / "checkpoints"
LOWEST_USUAL: Mapping[str, float] = {
    "soc.safetensors": 0.347,
    "mutr.safetensors": 0.320,
    "referformer.safetensors": 0.380,
    "uninext.safetensors": 0.651,
    "uninext_nouns.safetensors": 0.609,
}
"""By the checkpoint's file name: 95 % of the 70 sentences of `demo/data` have a best score of a frame above these."""
