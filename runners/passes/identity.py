"""One object through overlapping windows: queries of neighbours are matched by their masks in the frames they share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from runners.passes.schedule import Answer

_KEPT = 5


def take_query(answer: Answer, query: int) -> Answer:
    """Return the logits `(T, h, w)` and scores `(T,)` of one of Q queries."""
    logits, scores = answer
    return logits[query], scores[query]


def keep_surest(answer: Answer) -> Answer:
    """Return the surest queries of a window, those of the highest mean score first: a bound on what is in memory."""
    logits, scores = answer
    surest = scores.mean(1).argsort(descending=True, stable=True)[:_KEPT]
    return logits[surest], scores[surest]


def follow_identity(windows: Sequence[Answer], overlap: int) -> list[int]:
    """Return the query of each window that shows the object, where neighbouring windows share `overlap` frames.

    Of all ways to take a query of every window, that of the highest sum of mean scores and of IoUs between the masks of
    neighbours in their shared frames. One window alone gives the query of the highest mean score, the first of equal
    ones, as officially.

    Args:
        windows: logits `(Q, T, h, w)` and scores `(Q, T)` of each.
    """
    # (Q,): the best sum of a way that ends with each query
    total = windows[0][1].mean(1)
    origins: list[Tensor] = []
    for (before, _), (after, scores) in pairwise(windows):
        # (Q, Q'), then the best predecessor of each query of the later window
        best, origin = (total[:, None] + match_masks(before[:, -overlap:], after[:, :overlap])).max(0)
        total = best + scores.mean(1)
        origins.append(origin)
    chosen = [int(total.argmax())]
    for origin in reversed(origins):
        chosen.append(int(origin[chosen[-1]]))
    return chosen[::-1]


def match_masks(before: Tensor, after: Tensor) -> Tensor:
    """Return the IoU of all masks over the same frames, `(Q, Q')` of logits `(Q, T, h, w)` and `(Q', T, h, w)`.

    Two masks that are empty in all frames have 0: nothing tells that they show one object.
    """
    one, other = ((logits > 0).flatten(1).float() for logits in (before, after))
    common = one @ other.T
    union = one.sum(1)[:, None] + other.sum(1)[None] - common
    return common / union.clamp(min=1)
