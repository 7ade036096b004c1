"""CFBI and CFBI+ for four expressions with one key frame: against one alone, what is possible, and the machine.

What is possible is counted in multiply-adds at the size of the specification (section 11): image part and global
distances once for all expressions, the rest for each. The weights are random.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks.harness import CPU, Row, growth, matrix_rate, one_core, paired, peak_gib, run_apart
from benchmarks.roofline import measure as measure_parts
from benchmarks.scenes import draw_masks, start_sequences, write_video
from propagate.engines.cfbi.configs import find_config
from propagate.engines.cfbi.engine import CfbiEngine, CfbiSession
from propagate.engines.cfbi.network import Cfbi
from propagate.engines.cfbi.settings import CfbiSettings
from propagate.frames import Frame
from propagate.propagator import Propagator, Source

_SIZE = (480, 854)
_KEY, _NEXT = 0, 1
_EXPRESSIONS = 4
_GOES = 2
# Multiply-adds in units of 10^9: of one expression, and of each further one with the same key frame.
_COSTS = {"cfbi": (275, 65), "cfbi+": (274, 85)}
_OF_BOUND = 0.9
_OF_MACHINE = 0.6
_LENGTHS = (100, 1600)
_SMALL_NETWORK, _SMALL_SIZE = "compact-cfbi+", (16, 16)
_PERIOD = 20


def run(lengths: tuple[int, int] = _LENGTHS) -> Iterator[Row]:
    """Yield of both networks the gain by sharing and the share of the machine, and the memory of two lengths."""
    with one_core():
        limit = matrix_rate()
        for network in _COSTS:
            yield measure_sharing(network)
            whole = measure_parts(network)[0]
            name = f"{network}, a frame and one expression"
            yield Row(name, whole.rate / 1e9, limit / 1e9, whole.rate / limit, f">= {_OF_MACHINE}", "G/s")
    code = "import sys; from benchmarks.cfbi import track_small; track_small(int(sys.argv[1]))"
    short, long = (run_apart(code, str(length))[0] for length in lengths)
    yield growth(f"peak memory, {lengths[1]} frames against {lengths[0]}", long, short, 1.1, "MiB")


@torch.inference_mode()
def measure_sharing(name: str) -> Row:
    """Return how many times less a frame of each of several expressions takes than one alone, against the bound."""
    one, further = _COSTS[name]
    bound = _EXPRESSIONS * one / (one + (_EXPRESSIONS - 1) * further)
    engine = make_engine(name)
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder) / "discs", _SIZE, 2)
        frames = [Frame(video, index, _SIZE) for index in (_KEY, _NEXT)]
        masks = torch.from_numpy(draw_masks(_SIZE, _KEY))
        sessions = [engine.open() for _ in range(2)]
        features = [engine.read(frames[0], engine.augmentations[0])]
        for session, given in zip(sessions, (masks, masks[:1]), strict=True):
            session.start(features, masks=given)
        together, alone = (partial(step_anew, engine, session, frames[1]) for session in sessions)
        (_, shared), (_, unshared) = paired(together, alone, _GOES)
    found = _EXPRESSIONS * unshared / shared
    title = f"{name} {_SIZE[0]}x{_SIZE[1]}, {_EXPRESSIONS} expressions, gain by sharing"
    return Row(title, found, bound, found / bound, f">= {_OF_BOUND}", "times")


def make_engine(name: str, cache_megabytes: int = 1024) -> CfbiEngine:
    """Return an engine with random weights."""
    torch.manual_seed(0)
    settings = CfbiSettings(name, Path("untrained"), cache_megabytes=cache_megabytes)
    return CfbiEngine(Cfbi(find_config(name)).eval(), settings, device=CPU)


def step_anew(engine: CfbiEngine, session: CfbiSession, frame: Frame) -> None:
    """Read a frame, not from the cache, and let a session propagate to it; the session stays where it was."""
    engine.features.clear()
    session.fork().step([engine.read(frame, engine.augmentations[0])])


def track_small(n_frames: int) -> None:
    """Track one object from the first frame to the last, with a small network on small frames; print its MiB."""
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder) / "discs", _SMALL_SIZE, n_frames, period=_PERIOD)
        engine = make_engine(_SMALL_NETWORK, cache_megabytes=16)
        Propagator(engine).propagate(video, [Source(start_sequences(video, _SMALL_SIZE, [0]))])
    print(1024 * peak_gib())
