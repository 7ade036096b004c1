"""A propagation as a node: by an engine, or with masks that were propagated elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.devices import choose_device
from pipeline.nodes.imported import import_folder
from pipeline.nodes.loaded import NETWORK
from pipeline.recipe import EngineEntry, PropagateNode
from pipeline.tasks import Task, read_input
from rvos.errors import ConfigError
from rvos.mask_sequences import MaskSequence

if TYPE_CHECKING:
    from propagate.propagator import Propagator


def compute(task: Task) -> Sequence[MaskSequence]:
    """Return the propagated masks of all expressions; scores and key frames are those it started from."""
    node = task.node
    assert isinstance(node, PropagateNode)
    if node.uses_folder():
        assert node.folder is not None
        sources = _read_sources(task, node)
        masks = import_folder(node.folder, task, sources)
        return [
            replace(mask, scores=source.scores, key_frame=source.pick_key_frame())
            for mask, source in zip(masks, sources, strict=True)
        ]
    return compute_together([task])[0]


def compute_together(tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
    """Return the propagated masks of several nodes of one video that have one engine; it reads the frames once.

    Raises:
        ConfigError: a node without an engine.
    """
    from propagate.propagator import Source

    nodes = [task.node for task in tasks if isinstance(task.node, PropagateNode)]
    entry, device = nodes[0].engine, tasks[0].device
    if entry is None:
        raise ConfigError(f"{nodes[0].name}: no folder {nodes[0].folder} and no engine; give one of them")
    propagator: Propagator = NETWORK.get((entry, device), lambda: _load(entry, device))
    return propagator.propagate(
        tasks[0].video,
        [Source(_read_sources(task, node), node.n_references) for task, node in zip(tasks, nodes, strict=True)],
    )


def _load(entry: EngineEntry, device: str) -> Propagator:
    """Return a propagator with the loaded engine."""
    from propagate.engines.settings import EngineSettings
    from propagate.engines.table import build_engine
    from propagate.propagator import PropagationSettings, Propagator

    options = dict(entry.options)
    settings = EngineSettings(entry.network, entry.checkpoint, entry.scales, entry.flip, **options)  # type: ignore[arg-type]
    engine = build_engine(settings, device=choose_device(device))
    return Propagator(engine, PropagationSettings(settings.skip_empty, settings.keep_soft))


def _read_sources(task: Task, node: PropagateNode) -> list[MaskSequence]:
    """Return the masks to start from, with the key frames of the node that states them."""
    is_steady = node.key_rule == "steady"
    sources = list(read_input(task, node.source, soft=is_steady))
    if node.key_frames in (None, node.source):
        return [_restate(source, source, is_steady=is_steady) for source in sources]
    stated = {sequence.expression: sequence for sequence in read_input(task, str(node.key_frames), soft=is_steady)}
    return [_restate(source, stated[source.expression], is_steady=is_steady) for source in sources]


def _restate(source: MaskSequence, stated: MaskSequence, *, is_steady: bool) -> MaskSequence:
    """Return `source` with the key frame of `stated`, without the soft maps that only the rule needs."""
    from propagate.key_frames import pick_steady_frame

    if is_steady:
        return replace(source, key_frame=pick_steady_frame(stated), soft=None)
    return source if stated is source else replace(source, key_frame=stated.pick_key_frame())
