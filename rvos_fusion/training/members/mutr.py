"""Training of MUTR. Source: mutr.md, section 7."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from runners.networks.referformer.mutr import Mutr, MutrConfig
from rvos.errors import ConfigError
from rvos.settings import load
from rvos_fusion.training.building import build_network
from rvos_fusion.training.config import TrainingConfig
from rvos_fusion.training.criteria.referformer import ReferFormerCriterion, ReferFormerWeights
from rvos_fusion.training.data.clips import ClipBatch
from rvos_fusion.training.members.referring import MemberTask, read_member_settings


def build(config: TrainingConfig) -> MemberTask[MutrConfig]:
    """Return the task.

    Raises:
        ConfigError: settings that do not fit.
    """
    settings = read_member_settings(config)
    network_config = load(MutrConfig, config.network, where=config.name, part="network")
    network = build_network(lambda: Mutr(network_config), where=config.name)
    weights = load(ReferFormerWeights, settings.options.weights, where=config.name, part="options.weights")
    criterion = ReferFormerCriterion(weights)

    if any(one.sampling == "annotated" for one in settings.data.videos):
        raise ConfigError(f"{config.name}: MUTR has no published training on single annotated frames; take ReferFormer")

    def losses(batch: ClipBatch, ids: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        outputs = network(batch.frames, batch.padding_mask, ids, mask, batch.sizes)
        return criterion(outputs, batch.targets)

    return MemberTask("mutr", network, network_config, losses, settings)
