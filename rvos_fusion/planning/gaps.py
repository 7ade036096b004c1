"""Sentences that imports have no masks for: as their results say, or where they refused the video."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rvos.errors import PipelineError
from rvos.imports.missing import Missing
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.stored.store import Store
from rvos.videos import Video
from rvos_fusion.kinds.abstentions import Lacking, as_abstaining
from rvos_fusion.kinds.base import NodeGraph, capability
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


def make_rest(results: Results, node: str, video: Video) -> tuple[MaskSequence, ...]:
    """Return a node's masks of the sentences that no import lacks, of a video that imports refused for others.

    They are made as where these imports abstain, and stored nowhere. None are returned where the imports lack nothing,
    or have damaged masks, where a network would have to run, or where a node cannot do with members that abstain.
    """
    stored = results.of_video(video.id)
    graph = results.plan.recipe.graph
    waiting = ((one.name, as_abstaining(one)) for one in graph.below(node) if not stored.has(one.name))
    refusing = {name: abstaining for name, abstaining in waiting if abstaining is not None}
    nodes = NodeGraph(refusing.get(one.name, one) for one in graph.values())
    if any(problem for one in nodes.below(node) for problem in one.check(nodes)):
        return ()
    lacking: set[str] = set()
    with TemporaryDirectory() as folder:
        store = Store(Path(folder))

        def make(name: str) -> bool:
            one, task = nodes[name], replace(results.tasks(video.id)[name], workspace=store.workspace)
            if stored.has(name):
                value = stored.read_artefact(name, one.artefact)
            elif one.worker_key() is None and all(make(below) for below in one.inputs()):
                value = one.make(task)
            else:
                return False
            if name in refusing:
                lacking.update(sequence.expression for sequence in value if sequence.missing)
            store.write_artefact(name, video.id, value, task.fingerprint, codec=one.artefact.codec)
            return True

        try:
            is_made = make(node) and bool(lacking)
            return tuple(one for one in store.read(node, video.id) if one.expression not in lacking) if is_made else ()
        except PipelineError:
            return ()
