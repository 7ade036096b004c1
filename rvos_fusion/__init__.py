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

from rvos_fusion.arrays import score, vote
from rvos_fusion.opened import OpenedRecipe, PlannedNode, ScoreRow, open_recipe

__all__ = ["OpenedRecipe", "PlannedNode", "ScoreRow", "open_recipe", "score", "vote"]
