"""Engines that carry masks through a video: what a worker has loaded for one, whichever node asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from propagate.engines.settings import EngineSettings
from rvos.masks.corrections import Correction
from rvos.settings import nearest
from rvos_fusion.kinds.base import Task, WorkerKey
from rvos_fusion.kinds.networks.loaded import NETWORK, choose_device
from rvos_fusion.kinds.networks.named import engine_key

if TYPE_CHECKING:
    from propagate.propagator import Propagator


def carrier_key(engine: EngineSettings) -> WorkerKey:
    """Return what must be loaded: propagations of one video share an engine's features of the frames."""
    return WorkerKey(f"engine {engine.name}", engine_key(engine), shares=True)


def load_carrier(engine: EngineSettings, task: Task) -> Propagator:
    """Return a propagator with the loaded engine; raises as `build_engine` does."""

    def build() -> Propagator:
        from propagate.engines.table import build_engine
        from propagate.propagator import PropagationSettings, Propagator

        loaded = build_engine(engine, device=choose_device(task.device), place=task.place)
        return Propagator(loaded, PropagationSettings(engine.skip_empty, engine.keep_soft))

    found: Propagator = NETWORK.get((carrier_key(engine), task.device), build)
    return found


def explain_carrier(correction: Correction, engines: Mapping[str, Any]) -> Iterator[str]:
    """Yield why no engine of a recipe can carry a correction, where it names one."""
    name = correction.engine
    if name is not None and name not in engines:
        yield f"{correction.name_sentence()}: no engine {name!r} in the recipe; {nearest(name, engines)}"
    elif name is not None and correction.box is not None:
        engine = engines[name]
        able = [other for other, one in engines.items() if getattr(one, "takes_boxes", False)]
        if isinstance(engine, EngineSettings) and not engine.takes_boxes:
            advice = f"name {' or '.join(able)}" if able else "add a SAM 2 or SAM 3 engine"
            yield f"{correction.name_sentence()}: engine {name} takes no boxes; give a mask, or {advice}"
