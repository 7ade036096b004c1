"""Training of ReferFormer. Source: referformer.md, section 12."""

from __future__ import annotations

from runners.networks.referformer.baseline import build_referformer
from runners.networks.referformer.config import ReferFormerConfig
from rvos_fusion.training.criteria.referformer import ReferFormerCriterion, ReferFormerWeights
from rvos_fusion.training.members.referring import Member

build = Member("referformer", ReferFormerConfig, build_referformer, ReferFormerWeights, ReferFormerCriterion)
