"""What a frame query knows of its own box over time; the official SOC knows nothing of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from runners.networks.parts.heads import Perceptron

_FEATURES = 5
_SMALLEST_SIDE = 1e-3


class Trajectories(nn.Module):
    """Turns the boxes of a clip into what is added to its frame queries; adds nothing before it is trained.

    The clustering has no notion of time: its keys tell the slot of a frame query, never the frame. With centre, size
    and time in the queries themselves it can tell "moves left" from "moves right".

    Args:
        channels: of the frame queries.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = Perceptron(_FEATURES, channels, channels)
        self.layers.reset_last(torch.zeros(channels))

    def forward(self, boxes: Tensor) -> Tensor:
        """Return `(B, T, Q, C)` of boxes `(B, T, Q, 4)`, (cx, cy, w, h) in parts of the frame."""
        frames = boxes.shape[1]
        # From -1 in the first frame to 1 in the last; a clip of one frame has no direction.
        time = torch.linspace(-1, 1, frames, device=boxes.device) if frames > 1 else boxes.new_zeros(1)
        time = time.to(boxes.dtype)[:, None, None].expand(*boxes.shape[:3], 1)
        # Centres around 0 like the time; logarithms make growing and shrinking by a factor equal steps.
        sizes = boxes[..., 2:].clamp(min=_SMALLEST_SIDE).log()
        result: Tensor = self.layers(torch.cat([2 * boxes[..., :2] - 1, sizes, time], -1))
        return result
