"""AOT and DeAOT: video object segmentation networks and their engine, in plain PyTorch."""

from __future__ import annotations

from deaot_toolkit.checkpoints import load, save
from deaot_toolkit.configs import CONFIGS, EncoderConfig, NetworkConfig, find_config, find_encoder
from deaot_toolkit.engine import Engine
from deaot_toolkit.errors import CheckpointError, EngineError, NetworkConfigError, ToolkitError
from deaot_toolkit.features import FrameFeatures
from deaot_toolkit.groups import EngineGroup
from deaot_toolkit.images import network_size, prepare_image
from deaot_toolkit.labels import merge_groups, resize_labels, split_labels, upsample_logits
from deaot_toolkit.network import VosNetwork, build

__all__ = [
    "CONFIGS",
    "CheckpointError",
    "EncoderConfig",
    "Engine",
    "EngineError",
    "EngineGroup",
    "FrameFeatures",
    "NetworkConfig",
    "NetworkConfigError",
    "ToolkitError",
    "VosNetwork",
    "build",
    "find_config",
    "find_encoder",
    "load",
    "merge_groups",
    "network_size",
    "prepare_image",
    "resize_labels",
    "save",
    "split_labels",
    "upsample_logits",
]
