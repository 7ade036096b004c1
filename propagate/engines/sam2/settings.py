"""Settings of SAM 2 and 2.1; free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from propagate.engines.settings import NetworkSettings
from rvos.settings import Size

Sam2Protocol = Literal["fresh", "shared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sam2Settings(NetworkSettings):
    """A SAM 2 or SAM 2.1 network.

    Args:
        protocol: `fresh` resets the memory between the directions; `shared`: the backward pass sees what the forward
            pass found, as in the official predictor.
        image_size: side of the square network input, a multiple of 32; None: 1024.
    """

    family: ClassVar[str] = "sam2"
    takes_boxes: ClassVar[bool] = True

    protocol: Sam2Protocol = "fresh"
    image_size: Size | None = None
