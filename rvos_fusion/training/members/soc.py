"""Training of SOC. Source: soc.md, section 6."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from runners.networks.soc.network import SOC
from runners.networks.soc.types import SOCConfig
from rvos.settings import load
from rvos_fusion.training.building import build_network
from rvos_fusion.training.config import TrainingConfig
from rvos_fusion.training.criteria.soc import SOCCriterion, SOCWeights
from rvos_fusion.training.data.clips import ClipBatch
from rvos_fusion.training.members.referring import MemberTask, read_member_settings


def build(config: TrainingConfig) -> MemberTask[SOCConfig]:
    """Return the task.

    Raises:
        ConfigError: settings that do not fit.
    """
    settings = read_member_settings(config)
    network_config = load(SOCConfig, config.network, where=config.name, part="network")
    network = build_network(lambda: SOC(network_config), where=config.name)
    weights = load(SOCWeights, settings.options.weights, where=config.name, part="options.weights")
    criterion = SOCCriterion(weights)

    def losses(batch: ClipBatch, ids: Tensor, mask: Tensor) -> Mapping[str, Tensor]:
        outputs = network(batch.frames, batch.padding_mask, ids, mask, batch.sizes, batch.annotated)
        return criterion(outputs, batch.targets)

    return MemberTask("soc", network, network_config, losses, settings)
