"""What nodes with detectors need to know of them: their files, and what stands for detections made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from runners.detectors.table import find_own
from rvos.errors import PipelineError
from rvos.videos import Video
from rvos_fusion.kinds.base import NodeFile, plain_fields
from rvos_fusion.kinds.stamps import stamp
from rvos_fusion.kinds.values import DetectorEntry


def missing(what: str) -> str:
    """Return what to say of a file that is not there."""
    return f"no such {what}; put it there or correct the path"


def detector_files(detector: DetectorEntry) -> Iterator[NodeFile]:
    """Yield what must be on disk for a detector."""
    settings = detector.settings
    if settings.checkpoint is not None:
        yield NodeFile(settings.checkpoint, "checkpoint", missing("checkpoint"), "checkpoint", settings.detector)
    if settings.tokenizer is not None:
        yield NodeFile(settings.tokenizer, "tokeniser", missing("tokeniser folder"), "settings", "bert-base-uncased")
    if settings.is_own:
        advice = "no such file; install it again"
        yield from (NodeFile(path, "source", advice, "settings") for path in find_own(settings).sources)
    if settings.path is not None:
        yield NodeFile(settings.path, "detections", missing("file of detections"), "data")


def explain_detector(detector: DetectorEntry) -> Iterator[str]:
    """Yield what would keep a detector from being loaded; no weights are read."""
    from runners.detectors.table import check_detector

    try:
        check_detector(detector.settings)
    except PipelineError as error:
        yield str(error)


def describe_detector(detector: DetectorEntry) -> object:
    """Return, for the fingerprint, what of a detector changes the result."""
    return plain_fields(detector.settings, without=("beside",))


def stamp_detections(detector: DetectorEntry, video: Video) -> object:
    """Return, for the fingerprint, what stands for detections that were made elsewhere; None without."""
    path = detector.settings.path
    return None if path is None else stamp(path / f"{video.id}.json" if path.is_dir() else path)
