"""Sentences that imports had no masks for, as their results say."""

from __future__ import annotations

from collections.abc import Iterable

from rvos.imports.missing import Missing
from rvos_fusion.kinds.abstentions import Lacking
from rvos_fusion.kinds.base import capability
from rvos_fusion.planning.results import Results


def list_gaps(results: Results, nodes: Iterable[str]) -> dict[tuple[str, Missing], list[str]]:
    """Return the sentences, as `video/expression`, that imports below some nodes lack masks of, as far as they ran.

    The key is the name of the import, and what it does then.
    """
    below = [(one.name, capability(one, Lacking)) for one in results.plan.recipe.graph.below(*nodes)]
    names = [(name, one.missing) for name, one in below if one is not None and one.missing != "refuse"]
    found = {
        (name, fill): [
            f"{video.id}/{one.expression}"
            for video in results.plan.videos
            if results.of_video(video.id).has(name)
            for one in results.of_video(video.id).read(name)
            if one.missing
        ]
        for name, fill in sorted(names)
    }
    return {key: sentences for key, sentences in found.items() if sentences}
