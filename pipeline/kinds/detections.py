"""What nodes with detectors need to know of them: their files, and what stands for detections made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.kinds.base import NodeFile
from pipeline.kinds.stamps import stamp
from pipeline.recipe.values import DetectorEntry
from rvos.videos import Video


def missing(what: str) -> str:
    """Return what to say of a file that is not there."""
    return f"no such {what}; put it there or correct the path"


def detector_files(detector: DetectorEntry) -> Iterator[NodeFile]:
    """Yield what must be on disk for a detector."""
    settings = detector.settings
    if settings.checkpoint is not None:
        yield NodeFile(settings.checkpoint, "checkpoint", missing("checkpoint"), "checkpoint")
    if settings.tokenizer is not None:
        yield NodeFile(settings.tokenizer, "tokeniser", missing("tokeniser folder"), "settings")
    if settings.path is not None:
        yield NodeFile(settings.path, "detections", missing("file of detections"), "data")


def stamp_detections(detector: DetectorEntry, video: Video) -> object:
    """Return, for the fingerprint, what stands for detections that were made elsewhere; None without."""
    path = detector.settings.path
    return None if path is None else stamp(path / f"{video.id}.json" if path.is_dir() else path)
