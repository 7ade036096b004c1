"""Training of MUTR. Source: mutr.md, section 7."""

from __future__ import annotations

from runners.networks.referformer.mutr import Mutr, MutrConfig
from rvos_fusion.training.criteria.referformer import ReferFormerCriterion, ReferFormerWeights
from rvos_fusion.training.members.referring import Member

build = Member("mutr", MutrConfig, Mutr, ReferFormerWeights, ReferFormerCriterion, takes_annotated=False)
