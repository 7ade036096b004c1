"""What nodes with engines need to know of them: their files, and what keeps them from being loaded."""

from __future__ import annotations

from collections.abc import Iterator

from propagate.engines.settings import EngineSettings
from rvos_fusion.kinds.base import NodeFile
from rvos_fusion.kinds.networks.loaded import explain


def engine_files(engine: EngineSettings, also: str = "") -> Iterator[NodeFile]:
    """Yield the checkpoint of an engine, and the code of a user's own.

    Args:
        also: what else is missing where the checkpoint is.
    """
    advice = f"no such checkpoint{also}; put it there or correct the path"
    yield NodeFile(engine.checkpoint, "checkpoint", advice, "checkpoint", engine.family)
    for path in engine.sources:
        yield NodeFile(path, "source", "no such file; install it again", "settings")


def engine_key(engine: EngineSettings) -> str:
    """Return what a loaded engine depends on; a user's own that was edited is loaded anew."""
    # All settings: the same name with other scales is another load.
    return repr(engine) + engine.checksum


def explain_engine(engine: EngineSettings) -> Iterator[str]:
    """Yield what would keep an engine from being loaded; no weights are read."""
    from propagate.engines.table import check_engine

    return explain(lambda: check_engine(engine))
