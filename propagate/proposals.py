"""Proposals: which frames are looked at, and which instance masks of a frame tracklets start from.

Source: docs/specs/tracklets.md, section 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Literal

from rvos.errors import ConfigError
from rvos.masks.detections import Proposal
from rvos.masks.runs import Runs, tracklet_iou
from rvos.settings import Chance, Count, Range

Sampling = Literal["ends", "midpoints"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalSettings:
    """Which frames are looked at, and what of the detectors' masks is used there.

    Args:
        key_frames: K, how many frames are looked at, evenly spread.
        sampling: `ends`: the first and the last frame are among them; `midpoints`: the centres of K equal parts.
        min_confidence: proposals below are dropped.
        max_per_frame: proposals of one detector in one frame at most, the surest ones.
        frame_nms_iou: of two masks of a frame with a higher IoU the less sure one is dropped; `off`.
        factors: detector -> what its confidences are multiplied with; 1 where none is given.

    Raises:
        ConfigError: a factor that is not above 0.
    """

    key_frames: Count = 7
    sampling: Sampling = "ends"
    min_confidence: Chance = 0.3
    max_per_frame: Count = 20
    frame_nms_iou: Annotated[float, Range(above=0, most=1)] | Literal["off"] = 0.7
    factors: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, factor in self.factors.items():
            if not factor > 0:
                raise ConfigError(f"factors: {name}: {factor}; give a number above 0")


@dataclass(slots=True)
class ProposalCount:
    """What became of the proposals of one detector in one frame.

    Args:
        frame: its name.
        found: masks that the detector gave.
        empty: without a pixel.
        unsure: below the smallest confidence.
        capped: surer ones were as many as are allowed.
        repeated: of what a surer mask of the frame shows.
        kept: the rest.
    """

    frame: str
    detector: str
    found: int
    empty: int = 0
    unsure: int = 0
    capped: int = 0
    repeated: int = 0
    kept: int = 0

    def as_json(self) -> dict[str, object]:
        """Return plain values."""
        return asdict(self)


def list_key_frames(n_frames: int, count: int, sampling: Sampling = "ends") -> tuple[int, ...]:
    """Return `count` evenly spread frames, all of a shorter video. Source: tracklets.md, section 2.1."""
    if n_frames <= count:
        return tuple(range(n_frames))
    if count == 1:
        return ((n_frames - 1) // 2,)
    if sampling == "midpoints":
        return tuple((2 * k + 1) * n_frames // (2 * count) for k in range(count))
    # Rounded half up in whole numbers: floats would miss their own halves.
    gaps = count - 1
    return tuple((2 * k * (n_frames - 1) + gaps) // (2 * gaps) for k in range(count))


def pool_frame(
    by_detector: Mapping[str, Sequence[Proposal]], *, frame: str, size: tuple[int, int], settings: ProposalSettings
) -> tuple[list[Proposal], list[ProposalCount]]:
    """Return the proposals of a frame that are used, surest first, and what became of the others.

    Equal confidences keep the order of the detectors, and of a detector's masks. Source: tracklets.md, section 2.2.

    Args:
        by_detector: what each detector gives for the frame, in the order of the recipe.
        frame: its name, for the counts.
        size: (H, W).
    """
    counts, pooled = {}, []
    for name, found in by_detector.items():
        counts[name] = ProposalCount(frame, name, len(found))
        pooled += list(_pick(found, counts[name], size, settings))
    order = sorted(range(len(pooled)), key=lambda place: -pooled[place][0].confidence)
    kept: list[tuple[Proposal, Runs]] = []
    for proposal, runs in (pooled[place] for place in order):
        limit = settings.frame_nms_iou
        if limit != "off" and any(tracklet_iou(runs, other) > limit for _, other in kept):
            counts[proposal.detector].repeated += 1
        else:
            counts[proposal.detector].kept += 1
            kept.append((proposal, runs))
    return [proposal for proposal, _ in kept], list(counts.values())


def _pick(
    found: Sequence[Proposal], count: ProposalCount, size: tuple[int, int], settings: ProposalSettings
) -> Iterator[tuple[Proposal, Runs]]:
    """Yield what of one detector's masks may be used, surest first."""
    factor = settings.factors.get(count.detector, 1.0)
    usable = []
    for proposal in found:
        runs = Runs.decode((proposal.mask,), size)
        confidence = min(proposal.confidence * factor, 1.0)
        if not runs.starts.size:
            count.empty += 1
        elif confidence < settings.min_confidence:
            count.unsure += 1
        else:
            usable.append((replace(proposal, confidence=confidence), runs))
    usable.sort(key=lambda pair: -pair[0].confidence)
    count.capped = max(0, len(usable) - settings.max_per_frame)
    yield from usable[: settings.max_per_frame]
