"""Which executor a run takes."""

from __future__ import annotations

from pathlib import Path

from rvos.errors import ConfigError
from rvos_fusion.executors.base import Executor
from rvos_fusion.executors.processes import Processes
from rvos_fusion.executors.this_process import ThisProcess


def choose_executor(*, jobs: int, cluster: str | None = None, folders: tuple[Path, ...] = ()) -> Executor:
    """Return this process, processes beside it, or the workers of a cluster, which must see `folders`.

    `cluster` is a dask scheduler's address or file, the workspace the first folder. ConfigError where dask is missing.
    """
    if cluster is None:
        # One job runs here: no second copy of the network, all cores, and a debugger that works.
        return ThisProcess() if jobs == 1 else Processes(jobs)
    try:
        # Imported late: dask is an extra.
        from rvos_fusion.executors.dask import Dask
    except ImportError:
        raise ConfigError("--cluster needs dask; install the extra with pip install 'rvos-fusion[cluster]'") from None
    return Dask(cluster, folders)
