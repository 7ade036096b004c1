"""Settings of SAM 3's tracker; free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from propagate.engines.settings import NetworkSettings
from rvos.settings import Size

Sam3Protocol = Literal["fresh", "shared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sam3Settings(NetworkSettings):
    """The tracker of a SAM 3 network.

    Args:
        protocol: `fresh` resets the memory between the directions; `shared`: the backward pass takes all that the
            forward pass found for its past, however far ahead, as in the official predictor.
        image_size: side of the square network input, a multiple of 14; None: the network's own, 1008.
    """

    family: ClassVar[str] = "sam3"
    takes_boxes: ClassVar[bool] = True

    protocol: Sam3Protocol = "fresh"
    image_size: Size | None = None
