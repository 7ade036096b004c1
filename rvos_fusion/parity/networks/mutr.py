"""Parity cases of MUTR."""

from __future__ import annotations

from pathlib import Path

from runners.networks.referformer.mutr import Mutr, MutrConfig
from rvos_fusion.parity.cases import Case, Results
from rvos_fusion.parity.networks.referring import run_network, sizes_of


def config_of(case: Case) -> MutrConfig:
    """Return the configuration of a case."""
    config = case.keys["config"]
    interaction = config["mti"]
    return MutrConfig(
        **sizes_of(config),
        aggregation_layers=config["mta"]["layers"],
        window=interaction["window_size"],
        interaction_layers=(interaction["enc_layers"], interaction["dec_layers"]),
    )


def run(case: Case, checkpoint: Path) -> Results:
    """Return our arrays for a case."""
    return run_network(case, checkpoint, Mutr(config_of(case)))
