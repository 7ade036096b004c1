"""Parity cases of ReferFormer."""

from __future__ import annotations

from pathlib import Path

from runners.networks.referformer.network import ReferFormer
from rvos_fusion.parity.cases import Case, Results
from rvos_fusion.parity.networks.referring import config_of, run_network


def run(case: Case, checkpoint: Path) -> Results:
    """Return our arrays for a case."""
    return run_network(case, checkpoint, ReferFormer(config_of(case)))
