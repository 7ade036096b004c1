"""One case checked: every output of our network against the official one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rvos_fusion.parity.adapters import run_case
from rvos_fusion.parity.cases import ArrayDifference, Case, as_stored, compare, read_case
from rvos_fusion.parity.condensed import read_condensed


def check_case(path: Path) -> tuple[list[ArrayDifference], list[ArrayDifference]]:
    """Return the differences of the outputs and of those stages that our network has.

    Args:
        path: folder of a case, or a condensed case in one file.

    Raises:
        InputError: no case, a damaged one, or one that names a network which cannot be built.
    """
    return check(read_condensed(path) if path.is_file() else read_case(path))


def check(case: Case) -> tuple[list[ArrayDifference], list[ArrayDifference]]:
    """Return the differences of a case that is read already, outputs first, then stages."""
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = Path(temporary) / "checkpoint.pth"
        case.write_checkpoint(checkpoint)
        results = run_case(case, checkpoint)
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
