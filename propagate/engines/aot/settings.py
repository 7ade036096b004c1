"""Settings of AOT and DeAOT; free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from propagate.engines.settings import ScaledSettings
from rvos.settings import Size

AotProtocol = Literal["fresh", "legacy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AotSettings(ScaledSettings):
    """An AOT or DeAOT network.

    Args:
        protocol: `fresh` resets the memory between the directions and knows one object; `legacy` repeats the 2023
            entry: memory carried over, ten identities competing.
        max_memory_frames: long-term memory, the reference included; None: as many as the gap writes.
        long_term_gap: frames between long-term writes; None: as the network says.
    """

    family: ClassVar[str] = "aot"
    lets_compete: ClassVar[bool] = True

    protocol: AotProtocol = "fresh"
    max_memory_frames: Size | None = None
    long_term_gap: Size | None = None
