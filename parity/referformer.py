"""Parity cases of ReferFormer."""

from __future__ import annotations

from pathlib import Path

from parity.adapters import Results
from parity.cases import Case
from parity.referring import config_of, run_network
from runners.networks.referformer import ReferFormer


def run(case: Case, checkpoint: Path) -> Results:
    """Return our arrays for a case."""
    return run_network(case, checkpoint, ReferFormer(config_of(case)))
