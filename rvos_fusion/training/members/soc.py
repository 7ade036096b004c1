"""Training of SOC. Source: soc.md, section 6."""

from __future__ import annotations

from runners.networks.soc.network import SOC
from runners.networks.soc.types import SOCConfig
from rvos_fusion.training.criteria.soc import SOCCriterion, SOCWeights
from rvos_fusion.training.members.referring import Member

build = Member("soc", SOCConfig, SOC, SOCWeights, SOCCriterion)
