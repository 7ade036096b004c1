"""Detectors with an engine that makes masks of their boxes: what cannot work, the two loaded, and the masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from propagate.engines.settings import EngineSettings
from runners.detectors.base import DetectorSettings
from rvos.errors import InputError
from rvos.masks.detections import FrameInstances
from rvos.videos import Video
from rvos_fusion.kinds.base import Task
from rvos_fusion.kinds.networks.loaded import choose_device

if TYPE_CHECKING:
    from propagate.engines.protocol import Engine
    from runners.detectors.base import Detector


def explain_boxes(detectors: Sequence[DetectorSettings], engine: EngineSettings | None) -> Iterator[str]:
    """Yield which detectors give boxes that nothing makes masks of, and that an engine cannot."""
    for detector in detectors:
        if not detector.gives_masks and engine is None:
            yield (
                f"detector {detector.name} gives boxes alone; name under 'engine' a SAM 2 or SAM 3 engine that makes "
                "masks of them, or take a detector that gives masks"
            )
    if engine is not None and not engine.takes_boxes:
        yield f"engine {engine.name} starts from masks; name a SAM 2 or SAM 3 engine to make masks of boxes"


def load_detectors(
    detectors: Sequence[DetectorSettings], engine: EngineSettings | None, task: Task
) -> tuple[list[Detector], Engine | None]:
    """Return both, loaded on the task's device; raises as `build_detector` and `build_engine` do."""
    from propagate.engines.table import build_engine
    from runners.detectors.table import build_detector

    device = choose_device(task.device)
    asked = [build_detector(one, device=device) for one in detectors]
    loaded = None if engine is None else build_engine(engine, device=device, place=task.place)
    for detector in asked:
        share_trunk(detector, loaded)
    return asked, loaded


def share_trunk(detector: object, engine: object) -> None:
    """Let an engine stand on a detector's first part where both have one, so that it sees each frame once."""
    from propagate.engines.protocol import TakesMaps
    from runners.detectors.base import SharesTrunk

    if isinstance(detector, SharesTrunk) and isinstance(engine, TakesMaps) and detector.trunk_key == engine.trunk_key:
        engine.stand_on(detector.share_trunk(engine.keep_map))


def find_masks(
    video: Video,
    frame: int,
    instances: FrameInstances,
    engine: Engine | None,
    detector: str,
    *,
    only: int | None = None,
) -> tuple[bytes, ...]:
    """Return the masks of what was found in a frame, made of its boxes where there are none.

    Args:
        detector: its name.
        only: number of the one instance that is wanted; None: all.

    Raises:
        InputError: boxes alone, and no engine.
    """
    wanted = slice(None) if only is None else slice(only, only + 1)
    if instances.masks is not None:
        return instances.masks[wanted]
    if engine is None:
        raise InputError(
            f"{video.id}/{video.frames[frame]}: {detector} gives boxes alone; give masks too, or name under 'engine' a "
            "SAM 2 or SAM 3 engine that makes masks of them"
        )
    from propagate import box_masks

    return box_masks.find_masks(engine, video, frame, instances.boxes.boxes[wanted])
