"""Training of ReferFormer. Source: referformer.md, section 12."""

from __future__ import annotations

from runners.networks.referformer.network import ReferFormer, ReferFormerConfig
from rvos_fusion.training.criteria.referformer import ReferFormerCriterion, ReferFormerWeights
from rvos_fusion.training.members.referring import Member

build = Member("referformer", ReferFormerConfig, ReferFormer, ReferFormerWeights, ReferFormerCriterion)
