"""What starts the propagation of a true mask, for each sort of network: its own session, one frame after the other."""

from __future__ import annotations

import numpy as np
import torch
from deaot_toolkit import Engine, VosNetwork, network_size, prepare_image, resize_labels, upsample_logits
from numpy.typing import NDArray

from propagate.engines.cfbi.engine import prepare_frame
from propagate.engines.cfbi.memory import CfbiMemory, MatchingRules
from propagate.engines.cfbi.network import Cfbi
from rvos_fusion.training.scores.propagation import Start, Step


def read_toolkit(network: VosNetwork, frames: NDArray[np.uint8]) -> Start:
    """Return what starts the propagation of a mask through RGB frames `(T, H, W, 3)` at their own size."""
    align_corners = network.config.align_corners
    frame_size = (frames.shape[1], frames.shape[2])
    size = network_size(frame_size, align_corners=align_corners)
    pixels = torch.from_numpy(frames).to(next(network.parameters()).device)
    features = [network.encode(prepare_image(frame, size)) for frame in pixels]

    def start(key: int, mask: NDArray[np.bool_]) -> Step:
        label = torch.from_numpy(mask.astype(np.int64))[None].to(pixels.device)
        engine = Engine(network)
        engine.reference(features[key], resize_labels(label, features[key].size))

        def step(index: int) -> NDArray[np.bool_]:
            logits = engine.propagate(features[index])
            decided = upsample_logits(logits, frame_size, align_corners=align_corners).argmax(1)
            engine.remember(resize_labels(decided, features[index].size))
            return decided[0].cpu().numpy() == 1

        return step

    return start


def read_cfbi(network: Cfbi, frames: NDArray[np.uint8]) -> Start:
    """Return what starts the propagation of a mask through RGB frames `(T, H, W, 3)` at their own size."""
    device = next(network.parameters()).device
    frame_size = (frames.shape[1], frames.shape[2])
    size = network_size(frame_size, align_corners=True)
    features = [network.encode(prepare_frame(frame, size, mirrored=False, device=device)) for frame in frames]

    def start(key: int, mask: NDArray[np.bool_]) -> Step:
        memory = CfbiMemory(network, MatchingRules())
        label = torch.from_numpy(mask.astype(np.int64)).to(device)
        memory.refer(features[key], label[None], n_objects=1)

        def step(index: int) -> NDArray[np.bool_]:
            (logits,) = memory.propagate(features[index])
            decided = upsample_logits(logits[None], frame_size, align_corners=True).argmax(dim=1)
            memory.remember(decided)
            return decided[0].cpu().numpy() == 1

        return step

    return start
