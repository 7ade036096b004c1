"""SAM 2 for four expressions and both directions: against the library's own sessions, and against what is possible.

The plain side is a session of `transformers` for every expression and direction, as its documentation has it. Each
encodes every frame again. What is possible is counted from parts that are timed alone in the same run: every frame
encoded once, and the part that no two objects can share. The weights are random.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from transformers import Sam2VideoInferenceSession

from benchmarks.harness import CPU, Row, gain, growth, peak_gib, run_apart, timed
from benchmarks.scenes import draw_masks, start_sequences, write_video
from propagate.engines.sam2.engine import Sam2Engine
from propagate.engines.sam2.input import prepare_frame, prepare_mask
from propagate.engines.sam2.network import Sam2Network
from propagate.engines.sam2.settings import Sam2Settings
from propagate.engines.sam2.sizes import IMAGE_SIDE, find_config
from propagate.frames import Frame
from propagate.propagator import Propagator, Source
from rvos.videos import Video

NETWORKS = ("sam2.1-hiera-large", "sam2.1-hiera-tiny")
_SIZE = (270, 480)
_N_FRAMES, _KEY = 3, 1
_EXPRESSIONS = 4
_OF_BOUND = 1.15
_LENGTHS = (300, 3000)
_SMALL_NETWORK, _SMALL_SIDE, _SMALL_SIZE = "sam2.1-mini", 64, (48, 64)
_PERIOD = 20


def run(side: int = IMAGE_SIDE, lengths: tuple[int, int] = _LENGTHS) -> Iterator[Row]:
    """Yield the time of both networks against the library and the bound, and the memory of videos of two lengths.

    Args:
        side: of the network input, pixels.
    """
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder) / "discs", _SIZE, _N_FRAMES)
        for network in NETWORKS:
            yield from measure(network, video, side)
    code = "import sys; from benchmarks.sam2 import track_small; track_small(int(sys.argv[1]))"
    short, long = (run_apart(code, str(length))[0] for length in lengths)
    yield growth(f"peak memory, {lengths[1]} frames against {lengths[0]}", long, short, 1.1, "MiB")


@torch.inference_mode()
def measure(name: str, video: Video, side: int) -> Iterator[Row]:
    """Yield ours against the bound, and ours against the library's sessions."""
    torch.manual_seed(0)
    network = Sam2Network(find_config(name, side)).eval()
    engine = Sam2Engine(network, Sam2Settings(name, Path("untrained"), image_size=side), device=CPU)
    # Every part is timed once, since it takes minutes: what is allocated first must not count.
    network.encode(torch.zeros(1, 3, side, side))
    encoder, alone = time_parts(engine, video)
    source = Source(start_sequences(video, _SIZE, [_KEY] * _EXPRESSIONS))
    _, ours = timed(partial(Propagator(engine).propagate, video, [source]))
    library = sum(timed(partial(track_plainly, network, video, reverse=reverse))[1] for reverse in (False, True))
    bound, plain = _N_FRAMES * encoder + _EXPRESSIONS * alone, _EXPRESSIONS * library
    title = f"{name} {side}, {_EXPRESSIONS} expressions"
    yield growth(f"{title}, against the bound", ours, bound, _OF_BOUND, "s")
    # The library encodes the key frame once for each direction; without this the bound is what can be gained.
    possible = _EXPRESSIONS * (_N_FRAMES * encoder + alone) / bound
    yield gain(f"{title}, against sessions", ours, plain, possible / _OF_BOUND, "s")


def time_parts(engine: Sam2Engine, video: Video) -> tuple[float, float]:
    """Return the seconds of encoding a frame, and those of one object alone in all frames once they are encoded."""
    engine.features.clear()
    frame = Frame(video, 0, _SIZE)
    _, encoder = timed(partial(engine.read, frame, engine.augmentations[0]))
    for index in range(1, _N_FRAMES):
        engine.read(Frame(video, index, _SIZE), engine.augmentations[0])
    _, alone = timed(partial(Propagator(engine).propagate, video, [Source(start_sequences(video, _SIZE, [_KEY]))]))
    engine.features.clear()
    return encoder, alone


def track_plainly(network: Sam2Network, video: Video, *, reverse: bool) -> int:
    """Track one object in one direction by the library's own session, and return the number of frames given."""
    side = network.side
    pixels = torch.cat([prepare_frame(video.read_frame(index), side) for index in range(video.n_frames)])
    session = Sam2VideoInferenceSession(video=pixels, video_height=_SIZE[0], video_width=_SIZE[1], dtype=torch.float32)
    place = session.obj_id_to_idx(1)
    given = torch.from_numpy(draw_masks(_SIZE, _KEY)[0])
    session.add_mask_inputs(place, _KEY, prepare_mask(given, side))
    session.obj_with_new_inputs = [1]
    network.model(session, frame_idx=_KEY)
    steps = network.model.propagate_in_video_iterator(session, start_frame_idx=_KEY, reverse=reverse)
    return sum(1 for _ in steps)


def track_small(n_frames: int) -> None:
    """Track one object from the first frame to the last, with a small network on small frames; print its MiB."""
    torch.manual_seed(0)
    network = Sam2Network(find_config(_SMALL_NETWORK, _SMALL_SIDE)).eval()
    settings = Sam2Settings(_SMALL_NETWORK, Path("untrained"), image_size=_SMALL_SIDE, cache_megabytes=16)
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder) / "discs", _SMALL_SIZE, n_frames, period=_PERIOD)
        start = start_sequences(video, _SMALL_SIZE, [0])
        Propagator(Sam2Engine(network, settings, device=CPU)).propagate(video, [Source(start)])
    print(1024 * peak_gib())
