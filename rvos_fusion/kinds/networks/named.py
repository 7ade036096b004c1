"""What nodes need to know of the engines and detectors that they name: files, what keeps them from being loaded."""

from __future__ import annotations

from collections.abc import Iterator

from propagate.engines.settings import EngineSettings
from runners.detectors.base import DetectorSettings
from runners.detectors.settings import OwnDetectorSettings
from rvos.language.nouns import NounSettings
from rvos.videos import Video
from rvos_fusion.kinds.base import NodeFile
from rvos_fusion.kinds.foreign.stamps import stamp
from rvos_fusion.kinds.networks.loaded import explain


def engine_files(engine: EngineSettings, also: str = "") -> Iterator[NodeFile]:
    """Yield the checkpoint of an engine, `also` saying what else is missing with it, and the code of a user's own."""
    advice = f"no such checkpoint{also}; put it there or correct the path"
    if engine.checkpoint is not None:
        yield NodeFile(engine.checkpoint, "checkpoint", advice, "checkpoint", engine.family)
    for path in engine.sources:
        yield NodeFile(path, "source", "no such file; install it again", "settings")


def engine_key(engine: EngineSettings) -> str:
    """Return what a loaded engine depends on; a user's own that was edited is loaded anew."""
    # All settings: the same name with other scales is another load.
    return repr(engine) + engine.checksum


def explain_engine(engine: EngineSettings) -> Iterator[str]:
    """Yield what would keep an engine from being loaded; no weights are read."""
    from propagate.engines.table import check_engine

    return explain(lambda: check_engine(engine))


def detector_files(detector: DetectorSettings) -> Iterator[NodeFile]:
    """Yield what must be on disk for a detector."""
    advice = "no such {}; put it there or correct the path"
    files = detector.files
    if path := files.get("checkpoint"):
        yield NodeFile(path, "checkpoint", advice.format("checkpoint"), "checkpoint", detector.detector)
    if path := files.get("tokenizer"):
        yield NodeFile(path, "tokeniser", advice.format("tokeniser folder"), "settings", detector.words)
    if isinstance(detector, OwnDetectorSettings):
        for source in detector.find_code().sources:
            yield NodeFile(source, "source", "no such file; install it again", "settings")
    if path := files.get("detections"):
        yield NodeFile(path, "detections", advice.format("file of detections"), "results")


def explain_detector(detector: DetectorSettings) -> Iterator[str]:
    """Yield what would keep a detector from being loaded; no weights are read."""
    from runners.detectors.table import check_detector

    return explain(lambda: check_detector(detector))


def stamp_detections(detector: DetectorSettings, video: Video) -> object:
    """Return, for the fingerprint, what stands for detections that were made elsewhere; None without."""
    path = detector.files.get("detections")
    return None if path is None else stamp(path / f"{video.id}.json" if path.is_dir() else path)


def noun_files(nouns: NounSettings) -> tuple[NodeFile, ...]:
    """Return the user's file of nouns; what it says of a video counts, not the file."""
    advice = "no such file of nouns; correct nouns.file"
    return () if nouns.file is None else (NodeFile(nouns.file, "nouns", advice, "data"),)
