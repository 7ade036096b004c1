"""What known networks multiply and hold, so that a plan knows hours and memory before anything has run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from propagate.engines.aot.settings import AotSettings
from propagate.engines.cfbi.settings import CfbiSettings
from propagate.engines.settings import EngineSettings, ScaledSettings
from runners.base import ModelSettings

Size = tuple[float, float]
AT_ONCE = 8
"""Sentences whose memories an engine holds at the same time."""
LONG_TERM_GAP = 5
"""Frames from one remembered frame of AOT and DeAOT to the next."""
SIDES: Mapping[str, tuple[int | None, int | None]] = {
    "soc": (360, 640),
    "mutr": (432, None),
    "referformer": (360, None),
    "uninext": (None, 1333),
}
"""Short side that a runner brings frames to (None: that of its row), less where the long one would pass the second."""
_MB_OF_MILLION = 4.0
_MEAN_DISTANCE = 3


@dataclass(frozen=True, slots=True)
class Operations:
    """One network: products are counted as multiply-adds, bytes at float32.

    Args:
        size: (H, W) of the input that it was counted at; None: it brings every frame to one size.
        frame: G multiply-adds of a frame that all sentences share.
        answer: G multiply-adds that a frame and a sentence add.
        remembered: G multiply-adds that every remembered frame adds to an answer.
        parameters: millions.
        working: MB that a pass needs beside the parameters.
        clip: MB that every further frame of a clip needs.
        memory: MB that an engine keeps of a remembered frame and a sentence.
        share: of the rate of a large product that a pass reaches on a CPU; small networks do much beside products.
    """

    size: Size | None
    frame: float
    answer: float
    remembered: float
    parameters: int
    working: int
    clip: float = 0.0
    memory: float = 0.0
    share: float = 0.75


# Rows as `python -m benchmarks.operations` prints them.
TABLE: Mapping[str, Operations] = {
    "soc video_swin_t": Operations((360, 640), 21.6, 21.9, 0.0, 174, 0, clip=124.7),
    "soc video_swin_b": Operations((360, 640), 73.3, 21.9, 0.0, 235, 0, clip=131.5),
    "mutr video_swin_b": Operations((360, 640), 73.8, 63.3, 0.0, 248, 0, clip=201.5),
    "mutr swin_l": Operations((360, 640), 163.9, 63.3, 0.0, 356, 0, clip=223.0),
    "referformer video_swin_b": Operations((360, 640), 73.8, 62.5, 0.0, 238, 0, clip=186.5),
    "referformer swin_l": Operations((360, 640), 163.9, 62.5, 0.0, 346, 0, clip=187.5),
    "uninext resnet50": Operations((480, 854), 35.6, 89.6, 0.0, 165, 54),
    "uninext convnext_large": Operations((480, 854), 285.5, 90.1, 0.0, 336, 259),
    "uninext vit_huge": Operations((480, 854), 1242.1, 90.1, 0.0, 774, 361),
    "r50-aotl": Operations((480, 854), 32.2, 20.9, 4.3, 15, 79, memory=10.3),
    "swinb-aotl": Operations((480, 854), 117.8, 19.6, 3.9, 65, 186, memory=9.8),
    "swinl-aotl": Operations((480, 854), 268.3, 19.6, 3.9, 140, 397, memory=9.8),
    "r50-deaotl": Operations((480, 854), 30.6, 42.7, 9.6, 20, 13, memory=23.1),
    "swinb-deaotl": Operations((480, 854), 116.4, 39.7, 8.8, 70, 147, memory=22.0),
    "swinl-deaotl": Operations((480, 854), 266.8, 39.7, 8.8, 145, 410, memory=22.0),
    "aott": Operations((480, 854), 7.4, 10.3, 1.4, 6, 59, memory=3.4),
    "deaott": Operations((480, 854), 5.8, 18.4, 3.2, 7, 65, memory=7.7),
    "cfbi": Operations((480, 854), 142.9, 134.6, 0.0, 66, 357),
    "cfbi+": Operations((480, 854), 142.9, 134.1, 0.0, 74, 264),
    "sam2.1-hiera-tiny": Operations(None, 145.5, 311.2, 0.0, 39, 201),
    "sam2.1-hiera-large": Operations(None, 911.7, 311.2, 0.0, 224, 453),
    "soc small": Operations((96, 168), 0.0543, 0.0293, 0.0, 1, 0, clip=3.1, share=0.23),
    "mutr small": Operations((96, 168), 0.0566, 0.1097, 0.0, 2, 0, clip=3.4, share=0.39),
    "referformer small": Operations((96, 168), 0.0566, 0.1036, 0.0, 2, 0, clip=4.7, share=0.28),
    "uninext small": Operations((96, 168), 0.0522, 0.0393, 0.0, 1, 0, share=0.2),
    "small-aot": Operations((128, 224), 0.0564, 0.0629, 0.0047, 1, 0, memory=0.14, share=0.13),
    "small-deaot": Operations((128, 224), 0.0533, 0.1187, 0.0105, 1, 0, memory=0.31, share=0.11),
    "sam3": Operations(None, 2699.3, 592.6, 0.0, 458, 281),
}


@dataclass(frozen=True, slots=True)
class Clip:
    """A video as a network meets it: how many frames and sentences, and (H, W) of the frames."""

    n_frames: int
    n_sentences: int
    size: Size


@dataclass(frozen=True, slots=True)
class Effort:
    """What a network will do to a video.

    Args:
        multiply_adds: G, of its products.
        megabytes: that it holds at most, in float32.
        share: of the rate of a large product that it reaches on a CPU.
    """

    multiply_adds: float
    megabytes: float
    share: float


def find_operations(network: str) -> Operations | None:
    """Return the row of an engine's network, or of a runner and its backbone; None: it is not in the table."""
    model, _, backbone = network.lower().partition(" ")
    # `video-swin-b` and `video_swin_b_p4w7` are one backbone, SAM 2 and 2.1 have the same sizes.
    plain = backbone.replace("-", "_").removesuffix("_p4w7")
    return TABLE.get(f"{model} {plain}" if plain else model.replace("sam2-", "sam2.1-"))


def foresee_runner(model: ModelSettings, clip: Clip) -> Effort | None:
    """Return what a referring network will do, all its views; None: it is not in the table."""
    row = _find_by_file(model) if model.backbone is None else find_operations(f"{model.runner} {model.backbone}")
    if row is None or row.size is None:
        return None
    short, long = (model.options.get(name) or side for name, side in zip(_SIDE_NAMES, SIDES[model.runner], strict=True))
    views = [None] if model.test_time is None else [view.short_side for view in model.test_time.views()]
    limit = None if long is None else int(long)
    shares = [_area(_resize(clip.size, view or int(short or min(row.size)), limit)) / _area(row.size) for view in views]
    together = min(clip.n_frames, model.window or clip.n_frames)
    return Effort(
        sum(shares) * clip.n_frames * (row.frame + clip.n_sentences * row.answer),
        _count_megabytes(row) + max(shares) * (row.working + row.clip * together),
        row.share,
    )


def foresee_engine(engine: EngineSettings, clip: Clip) -> Effort | None:
    """Return what a propagation will do, wherever its key frames lie; None: its network is not in the table."""
    row = find_operations(engine.network)
    if row is None:
        return None
    shares = [_share(row, engine, clip.size, scale) for scale in _list_scales(engine)]
    gap = (engine.long_term_gap if isinstance(engine, AotSettings) else None) or LONG_TERM_GAP
    most = (engine.max_memory_frames if isinstance(engine, AotSettings) else None) or clip.n_frames
    # Over all places of the key frame, a frame is a third of the video away from it in the mean.
    read = min(1 + clip.n_frames / _MEAN_DISTANCE / gap, most)
    kept = min(1 + clip.n_frames // gap, most)
    alone = sum(share * (row.frame + clip.n_sentences * row.answer) for share in shares)
    # Every cell looks at every cell of the remembered frames.
    looking = sum(share**2 for share in shares) * clip.n_sentences * row.remembered * (read - 1)
    held = sum(shares) * row.memory * kept * min(clip.n_sentences, AT_ONCE)
    working = _count_megabytes(row) + max(shares) * row.working
    return Effort(clip.n_frames * (alone + looking), working + held, row.share)


_SIDE_NAMES = ("short_side", "long_side")
_OF_FILE = 0.98


def _find_by_file(model: ModelSettings) -> Operations | None:
    """Return the largest network of a runner that a checkpoint has room for, else its smallest; None without a file.

    Files hold more than a network reads, bundled ones are in half precision.
    """
    if not model.checkpoint.is_file():
        return None
    room = model.checkpoint.stat().st_size / 1e6
    rows = sorted((row for name, row in TABLE.items() if name.startswith(f"{model.runner} ")), key=_count_megabytes)
    return next((row for row in reversed(rows) if _OF_FILE * _count_megabytes(row) <= room), next(iter(rows), None))


def _count_megabytes(row: Operations) -> float:
    return _MB_OF_MILLION * row.parameters


def _list_scales(engine: EngineSettings) -> list[float]:
    """Return the scale of every pass over a frame."""
    if not isinstance(engine, ScaledSettings):
        return [1.0]
    return [scale for scale in engine.scales for _ in range(2 if engine.flip else 1)]


def _share(row: Operations, engine: EngineSettings, size: Size, scale: float) -> float:
    """Return the pixels of a pass as a share of those that the row was counted at."""
    if row.size is None:
        return 1.0
    limit = engine.long_edge if isinstance(engine, ScaledSettings) else None
    if isinstance(engine, CfbiSettings):
        limit = engine.longest_edge
    if limit is not None and max(size) > limit:
        size = _resize(size, None, limit)
    return scale**2 * _area(size) / _area(row.size)


def _resize(size: Size, short_side: int | None, long_side: int | None) -> Size:
    """Return (H, W) with that short side, less where the long one would pass its limit."""
    limits = ((short_side, min(size)), (long_side, max(size)))
    factor = min(side / edge for side, edge in limits if side is not None)
    return size[0] * factor, size[1] * factor


def _area(size: Size) -> float:
    return size[0] * size[1]
