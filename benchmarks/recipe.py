"""The demo's two stages in one run against its nodes one by one, and the share of time that is not the networks'.

One by one nothing is shared: every node loads its network anew, and the features of frames and sentences that another
node made are gone. The time beside the networks is that of reading, decoding, encoding and storing.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.harness import ROOT, Row, compare_masks, gain, growth, one_core, timed
from rvos.formats import open_dataset
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.stored.store import Store
from rvos.videos import Video
from rvos_fusion.kinds.networks.loaded import NETWORK
from rvos_fusion.planning.plan import Plan, make_plan
from rvos_fusion.planning.results import Results
from rvos_fusion.planning.workspace import prepare_workspace
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.running.compute import RunMeans, compute

_RECIPE = ROOT / "pipeline.yaml"
_VIDEOS = 2
# The first go pays for everything that a process does once.
_GOES = 2
_BESIDE = (
    (Video, "read_frame"),
    (Store, "has"),
    (Store, "read_artefact"),
    (Store, "write_artefact"),
    (MaskSequence, "from_masks"),
    (MaskSequence, "masks"),
)
"""What reads, decodes, encodes and stores."""


def run(goes: int = _GOES) -> Iterator[Row]:
    """Yield processor seconds of both ways for two videos, the share beside the networks, and what differs."""
    with tempfile.TemporaryDirectory() as folder, one_core():
        tried = [_go(Path(folder) / str(number)) for number in range(goes)]
        best = min(tried, key=lambda go: go.together)
        together, apart = best.together, min(go.apart for go in tried)
        # Networks this small share next to nothing: a run must not cost more, and two measurements differ by so much.
        yield gain(f"demo, both stages, {_VIDEOS} videos", together, apart, 0.95, "s")
        yield growth("  reading, decoding, encoding, storing", best.beside, together, 0.1, "s")
        yield _compare(tried[0].whole_plan, tried[0].apart_plan)


@dataclass(frozen=True, slots=True)
class Go:
    """One run of both ways.

    Args:
        together, apart: processor seconds.
        beside: those of the run together that are not the networks'.
    """

    whole_plan: Plan
    apart_plan: Plan
    together: float
    apart: float
    beside: float


def _go(folder: Path) -> Go:
    beside = Beside()
    _forget()
    with beside.measured():
        whole, together = timed(partial(_run_whole, folder / "together"))
    alone, apart = timed(partial(_run_apart, folder / "apart"))
    return Go(whole, alone, together, apart, beside.seconds)


class Beside:
    """Adds up the processor seconds of some functions, each moment once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure what runs inside."""
        with ExitStack() as stack:
            for owner, name in _BESIDE:
                held = owner.__dict__[name]
                # A class method stays one.
                wrapped: Any = (
                    classmethod(self._wrap(held.__func__)) if isinstance(held, classmethod) else self._wrap(held)
                )
                stack.enter_context(patch.object(owner, name, wrapped))
            yield

    def _wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self._depth += 1
            start = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds += time.process_time() - start

        return call


def _run_whole(workspace: Path) -> Plan:
    plan, again = _plan(workspace)
    return compute(plan, RunMeans(device="cpu", quiet=True), plan_again=again)[0]


def _run_apart(workspace: Path) -> Plan:
    """Run every node alone, in the order of the recipe, and load what it needs anew."""
    plan, again = _plan(workspace)
    for node in plan.nodes:
        _forget()
        alone = replace(plan, nodes=(node,), tasks={node.name: plan.tasks[node.name]})
        compute(alone, RunMeans(device="cpu", quiet=True), plan_again=again)
    return again()


def _forget() -> None:
    """Let go of the network that this process holds."""
    NETWORK.get(object(), lambda: None)


def _plan(workspace: Path) -> tuple[Plan, Callable[[], Plan]]:
    recipe = read_recipe(_RECIPE, (), workspace=workspace)
    prepare_workspace(recipe.workspace)
    videos = open_dataset(recipe.dataset.format, recipe.dataset.root, recipe.dataset.split).videos[:_VIDEOS]
    make = partial(make_plan, recipe, build_graph(recipe), videos, device="cpu")
    return make(), make


def _compare(one: Plan, other: Plan) -> Row:
    """Return how many pixels of the last node differ."""
    node, pairs = one.nodes[-1].name, []
    for video in one.videos:
        found, expected = (Results(plan).of_video(video.id).read(node) for plan in (one, other))
        pairs += [(mine.masks(), theirs.masks()) for mine, theirs in zip(found, expected, strict=True)]
    return compare_masks("demo, both stages", pairs, limit=0.0)
