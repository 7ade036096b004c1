"""Recipes from Python: open one, run it, read any node's masks as arrays, vote, score.

```python
import rvos_fusion as rf

recipe = rf.open_recipe("pipeline.yaml")
recipe.run(jobs=2)
video = recipe.videos[0]
masks = [recipe.masks(node, video)["0"] for node in ("soc_aot", "mutr_aot", "referformer_aot")]
j, f = rf.score(rf.vote(masks, needed=2), recipe.truth(video)["0"])
```
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rvos_fusion.arrays import score, vote
    from rvos_fusion.opened import OpenedRecipe, PlannedNode, ScoreRow, open_recipe

__all__ = ["OpenedRecipe", "PlannedNode", "ScoreRow", "open_recipe", "score", "vote"]

_PLACES = {
    "OpenedRecipe": "opened",
    "PlannedNode": "opened",
    "ScoreRow": "opened",
    "open_recipe": "opened",
    "score": "arrays",
    "vote": "arrays",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is asked for: every command passes through this file and needs few of them."""
    if name not in _PLACES:
        raise AttributeError(f"module 'rvos_fusion' has no attribute {name!r}")
    return getattr(import_module(f"rvos_fusion.{_PLACES[name]}"), name)
