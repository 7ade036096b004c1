"""What the bundled networks' scores are on videos of the kind that they were trained for.

Measured on the 70 sentences of `demo/data`: 95 % of the sentences have a best score of a frame above these.
"""

from __future__ import annotations

from collections.abc import Mapping

from rvos_fusion.synthetic.bundled import find_bundled

CHECKPOINTS = find_bundled() / "demo" / "checkpoints"
LOWEST_USUAL: Mapping[str, float] = {
    "soc.safetensors": 0.347,
    "mutr.safetensors": 0.320,
    "referformer.safetensors": 0.380,
    "uninext.safetensors": 0.651,
    "uninext_nouns.safetensors": 0.609,
}
"""By the checkpoint's file name."""
