"""Which module runs the cases of a model; each has `run(case, checkpoint) -> Results`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from rvos.errors import InputError
from rvos_fusion.parity.cases import Case, Results

ADAPTERS = {
    "referformer": "rvos_fusion.parity.networks.referring",
    "mutr": "rvos_fusion.parity.networks.referring",
    "common": "rvos_fusion.parity.networks.common",
    "soc": "rvos_fusion.parity.networks.soc",
    "uninext": "rvos_fusion.parity.networks.uninext",
    "aot": "rvos_fusion.parity.networks.aot",
    "deaot": "rvos_fusion.parity.networks.aot",
    "cfbi": "rvos_fusion.parity.networks.cfbi",
    "propagation": "rvos_fusion.parity.networks.propagation",
    "sam2": "rvos_fusion.parity.networks.sam2",
}


def run_case(case: Case, checkpoint: Path) -> Results:
    """Return our arrays for `case`, with the weights in `checkpoint`.

    Raises:
        InputError: a model without an adapter.
    """
    model = case.keys.get("model")
    if model not in ADAPTERS:
        raise InputError(f"{case.folder}: model {model!r} is unknown; known are {', '.join(ADAPTERS)}")
    results: Results = import_module(ADAPTERS[model]).run(case, checkpoint)
    return results
