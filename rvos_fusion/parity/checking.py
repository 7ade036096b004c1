"""One case checked: every output of our network against the official one."""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path

from rvos.errors import InputError
from rvos_fusion.parity.cases import ArrayDifference, Case, Results, as_stored, compare, read_case
from rvos_fusion.parity.condensed import read_condensed

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
    "sam3": "rvos_fusion.parity.networks.sam3",
}
"""Which module runs the cases of a model; each has `run(case, checkpoint) -> Results`."""


def check_case(path: Path) -> tuple[list[ArrayDifference], list[ArrayDifference]]:
    """Return the differences of outputs and known stages, of a folder or a condensed file; InputError: unusable."""
    return check(read_condensed(path) if path.is_file() else read_case(path))


def check(case: Case) -> tuple[list[ArrayDifference], list[ArrayDifference]]:
    """Return a read case's differences, outputs first; InputError: no such adapter, or an impossible network."""
    model = case.keys.get("model")
    if model not in ADAPTERS:
        raise InputError(f"{case.folder}: model {model!r} is unknown; known are {', '.join(ADAPTERS)}")
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = Path(temporary) / "checkpoint.pth"
        case.write_checkpoint(checkpoint)
        results: Results = import_module(ADAPTERS[model]).run(case, checkpoint)
        arrays = as_stored(case, results.arrays)
    judged = {row.name: row for row in results.judged}
    outputs = [
        judged.pop(name) if name in judged else compare(case.gate, name, expected, arrays.get(name))
        for name, expected in case.outputs.items()
    ]
    stages = [
        compare(case.gate, name, expected, arrays[name]) for name, expected in case.stages.items() if name in arrays
    ]
    return outputs + list(judged.values()), stages
