"""SAM 2 for four expressions and both directions: against the library's own sessions, and against what is possible.

The plain side is a session of `transformers` for every expression and direction, as its documentation has it. Each
encodes every frame again. What is possible is counted from parts that are timed alone in the same run: every frame
encoded once, and the part that no two objects can share. The weights are random.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import Sam2VideoInferenceSession

from benchmarks.propagation import draw_masks
from benchmarks.rows import Row
from benchmarks.timing import timed
from propagate.engines.sam2.engine import Sam2Engine
from propagate.engines.sam2.input import prepare_frame, prepare_mask
from propagate.engines.sam2.network import Sam2Network
from propagate.engines.sam2.settings import Sam2Settings
from propagate.engines.sam2.sizes import IMAGE_SIDE, find_config
from propagate.frames import Frame
from propagate.propagator import Propagator, Source
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Expression, Video

NETWORKS = ("sam2.1-hiera-large", "sam2.1-hiera-tiny")
_SIZE = (270, 480)
_N_FRAMES, _KEY = 3, 1
_EXPRESSIONS = 4
_OF_BOUND = 1.15
_LENGTHS = (300, 3000)
_SMALL_NETWORK, _SMALL_SIDE, _SMALL_SIZE = "sam2.1-mini", 64, (48, 64)
_MEGABYTE = 1 << 10  # the system counts in KiB


def run(side: int = IMAGE_SIDE, lengths: tuple[int, int] = _LENGTHS) -> Iterator[Row]:
    """Yield the time of both networks against the library and the bound, and the memory of videos of two lengths.

    Args:
        side: of the network input, pixels.
    """
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder), _N_FRAMES, _SIZE)
        for network in NETWORKS:
            yield from measure(network, video, side)
    short, long = (measure_memory(length) for length in lengths)
    yield Row(f"peak memory, {lengths[1]} frames against {lengths[0]}", long, short, long / short, "<= 1.1", "MiB")


@torch.inference_mode()
def measure(name: str, video: Video, side: int) -> Iterator[Row]:
    """Yield ours against the bound, and ours against the library's sessions."""
    torch.manual_seed(0)
    network = Sam2Network(find_config(name, side)).eval()
    engine = Sam2Engine(network, Sam2Settings(name, Path("untrained"), image_size=side), device=torch.device("cpu"))
    # Every part is timed once, since it takes minutes: what is allocated first must not count.
    network.encode(torch.zeros(1, 3, side, side))
    encoder, alone = time_parts(engine, video)
    _, ours = timed(partial(Propagator(engine).propagate, video, [Source(start_sequences(video))]))
    library = sum(timed(partial(track_plainly, network, video, reverse=reverse))[1] for reverse in (False, True))
    bound, plain = _N_FRAMES * encoder + _EXPRESSIONS * alone, _EXPRESSIONS * library
    title = f"{name} {side}, {_EXPRESSIONS} expressions"
    yield Row(f"{title}, against the bound", ours, bound, ours / bound, f"<= {_OF_BOUND}", "s")
    # The library encodes the key frame once for each direction; without this the bound is what can be gained.
    possible = _EXPRESSIONS * (_N_FRAMES * encoder + alone) / bound
    yield Row(f"{title}, against sessions", ours, plain, plain / ours, f">= {possible / _OF_BOUND:.3g}", "s")


def time_parts(engine: Sam2Engine, video: Video) -> tuple[float, float]:
    """Return the seconds of encoding a frame, and those of one object alone in all frames once they are encoded."""
    engine.features.clear()
    frame = Frame(video, 0, _SIZE)
    _, encoder = timed(partial(engine.read, frame, engine.augmentations[0]))
    for index in range(1, _N_FRAMES):
        engine.read(Frame(video, index, _SIZE), engine.augmentations[0])
    _, alone = timed(partial(Propagator(engine).propagate, video, [Source(start_sequences(video)[:1])]))
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


def start_sequences(video: Video) -> list[MaskSequence]:
    """Return one sequence an expression, with a mask on the key frame alone."""
    scores = np.eye(video.n_frames, dtype=np.float32)[_KEY]
    masks = np.zeros((video.n_frames, *_SIZE), bool)
    sequences = []
    for number, disc in enumerate(draw_masks(_SIZE, _KEY)[:_EXPRESSIONS]):
        masks[_KEY] = disc
        names = {"video": video.id, "expression": str(number), "frames": video.frames}
        sequences.append(MaskSequence.from_masks(masks, scores=scores, key_frame=_KEY, **names))  # type: ignore[arg-type]
    return sequences


def write_video(folder: Path, n_frames: int, size: tuple[int, int]) -> Video:
    """Write frames of moving discs and return the video."""
    names = tuple(f"{frame:05d}" for frame in range(n_frames))
    paths = tuple(folder / f"{name}.png" for name in names)
    for frame, path in enumerate(paths):
        picture = np.full((*size, 3), 90, np.uint8)
        picture[draw_masks(size, frame % 20).any(axis=0)] = (220, 60, 40)
        Image.fromarray(picture).save(path)
    return Video("discs", names, (Expression("0", "the disc"),), paths)


def measure_memory(n_frames: int) -> float:
    """Return the peak memory in MiB of a process that tracks one object through a video."""
    command = [sys.executable, "-m", "benchmarks.sam2", str(n_frames)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def track_small(n_frames: int) -> None:
    """Track one object from the first frame to the last, with a small network on small frames."""
    torch.manual_seed(0)
    network = Sam2Network(find_config(_SMALL_NETWORK, _SMALL_SIDE)).eval()
    settings = Sam2Settings(_SMALL_NETWORK, Path("untrained"), image_size=_SMALL_SIDE, cache_megabytes=16)
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder), n_frames, _SMALL_SIZE)
        masks = np.zeros((n_frames, *_SMALL_SIZE), bool)
        masks[0] = draw_masks(_SMALL_SIZE, 0)[0]
        scores = np.eye(1, n_frames, dtype=np.float32)[0]
        start = MaskSequence.from_masks(
            masks, video=video.id, expression="0", frames=video.frames, scores=scores, key_frame=0
        )
        del masks
        Propagator(Sam2Engine(network, settings, device=torch.device("cpu"))).propagate(video, [Source([start])])


if __name__ == "__main__":
    track_small(int(sys.argv[1]))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MEGABYTE)
