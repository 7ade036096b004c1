"""Training of MUTR. Source: mutr.md section 7."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from runners.configs import config_from
from runners.networks.mutr import Mutr, MutrConfig
from training.config import TrainingConfig
from training.criteria.referformer import ReferFormerCriterion, ReferFormerWeights
from training.data.clips import ClipBatch
from training.members.referring import MemberTask, read_member_settings
from training.settings import from_mapping


def build(config: TrainingConfig) -> MemberTask[MutrConfig]:
    """Return the task.

    Raises:
        ConfigError: settings that do not fit.
    """
    settings = read_member_settings(config)
    network_config = config_from(MutrConfig, config.network)
    network = Mutr(network_config)
    weights = from_mapping(ReferFormerWeights, settings.options.weights, where=f"{config.name}: options.weights")
    criterion = ReferFormerCriterion(weights)

    def losses(batch: ClipBatch, ids: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        outputs = network(batch.frames, batch.padding_mask, ids, mask, batch.sizes)
        return criterion(outputs, batch.targets)

    return MemberTask("mutr", network, network_config, losses, settings)
