"""Everything of a frame that depends on the image only, to be shared by directions, expressions and engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deaot_toolkit.transformer.aot import AotLooked
from deaot_toolkit.transformer.deaot import DeaotLooked
from deaot_toolkit.transformer.tokens import Grid

Looked = AotLooked | DeaotLooked


@dataclass(frozen=True, slots=True)
class FrameFeatures:
    """A frame, encoded; n frames where several were encoded at once.

    Args:
        size: of the network input.
        grid: its stride-16 cells.
        adapted: the decoder's adapted maps at strides 16, 8 and 4, each (n, C', h', w').
        image_part: the decoder entry's share of the image (n, C, h, w); None for DeAOT.
        first: what the first transformer layer makes of the image.
    """

    size: tuple[int, int]
    grid: Grid
    adapted: tuple[Tensor, Tensor, Tensor]
    image_part: Tensor | None
    first: Looked

    @property
    def n_frames(self) -> int:
        """Frames encoded together."""
        return int(self.adapted[0].shape[0])

    @property
    def n_bytes(self) -> int:
        """Memory held: what a cache of features must count."""
        # Views of one tensor count twice: a cache may rather hold too little than too much.
        tensors = (*self.adapted, self.image_part, *self.first)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors if tensor is not None)

    def select(self, frames: Sequence[int]) -> FrameFeatures:
        """Return the features of some of the frames that were encoded together."""

        def pick(tensor: Tensor) -> Tensor:
            return tensor[torch.as_tensor(list(frames), device=tensor.device)]

        sixteenth, eighth, fourth = (pick(tensor) for tensor in self.adapted)
        # Of DeAOT's first layer some fields are None: there is no identity stream yet.
        fields = self.first._asdict().items()
        first = self.first._replace(**{name: pick(tensor) for name, tensor in fields if tensor is not None})
        image_part = None if self.image_part is None else pick(self.image_part)
        return FrameFeatures(self.size, self.grid, (sixteenth, eighth, fourth), image_part, first)
