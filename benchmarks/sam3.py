"""SAM 3: what phrases, sentences and frames share, against one of each, against the library's session, and in bytes.

The networks are of the official size with random weights, frames are made smaller than officially: 336 instead of 1008
pixels, where what cannot be shared is a smaller part. Bounds are what the counted products of each side allow
(docs/specs/sam3.md, section 11), and a share for all that is no product.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from sam3_toolkit.configs import find_config
from sam3_toolkit.detector import Detector
from sam3_toolkit.images import prepare_frame, prepare_mask
from sam3_toolkit.session import TrackedObject, TrackerFrame
from sam3_toolkit.tracker import ImageMaps, Tracker
from transformers import Sam3TrackerVideoInferenceSession
from transformers.models.sam3.modeling_sam3 import Sam3VisionModel

from benchmarks.harness import CPU, Row, gain, growth, limit, peak_gib, run_apart, timed
from benchmarks.scenes import draw_masks, start_sequences, write_video
from propagate.engines.sam3.engine import Sam3Engine
from propagate.engines.sam3.settings import Sam3Settings
from propagate.propagator import Propagator, Source
from rvos.videos import Video

_NETWORK, _SIDE, _SIZE = "sam3", 336, (270, 480)
_N_FRAMES, _AT_ONCE = 3, 4
_OF_PHRASES, _OF_SENTENCES, _OF_SESSION = 1.3, 1.6, 0.9
_STORED_FRAMES, _MOST_STORED = 6, 5.0
_LENGTHS = (100, 1600)
_SMALL_NETWORK, _SMALL_SIDE, _SMALL_SIZE = "sam3-mini", 56, (48, 64)
_SMALL_CACHE = 4
"""Megabytes: full of frames in both lengths, so that only what the tracker remembers differs."""
_PERIOD = 20


def run(network: str = _NETWORK, side: int = _SIDE, lengths: tuple[int, int] = _LENGTHS) -> Iterator[Row]:
    """Yield time of phrases and sentences, bytes of the memory, and memory of videos of two lengths.

    Args:
        side: of the network input where time is measured, pixels.
    """
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder) / "discs", _SIZE, _N_FRAMES)
        yield measure_phrases(network, video, side)
        yield from measure_sentences(network, video, side)
    yield measure_stored(network)
    code = "import sys; from benchmarks.sam3 import track_small; track_small(int(sys.argv[1]))"
    short, long = (run_apart(code, str(length))[0] for length in lengths)
    yield growth(f"peak memory, {lengths[1]} frames against {lengths[0]}", long, short, 1.1, "MiB")


@torch.inference_mode()
def measure_phrases(name: str, video: Video, side: int) -> Row:
    """Return what several phrases cost against one, texts, masks of ten instances and all frames included."""
    torch.manual_seed(0)
    config = find_config(name)
    detector = Detector(config, side)
    images = [prepare_frame(video.read_frame(index), side, "bilinear") for index in range(video.n_frames)]
    tokens = torch.zeros(1, 32, dtype=torch.int64)
    tokens[0, :4] = torch.tensor([config.vocabulary - 2, 5, 6, config.vocabulary - 1])

    def ask(n_phrases: int) -> None:
        concepts = [detector.read(tokens) for _ in range(n_phrases)]
        for image in images:
            maps = detector.encode(image)
            for concept in concepts:
                detector.draw(maps, detector.find(maps, concept), torch.arange(10))

    ask(1)  # what is allocated first must not count
    (_, several), (_, one) = timed(partial(ask, _AT_ONCE)), timed(partial(ask, 1))
    return growth(f"{name} {side}, {_AT_ONCE} phrases against one", several, one, _OF_PHRASES, "s")


@torch.inference_mode()
def measure_sentences(name: str, video: Video, side: int) -> Iterator[Row]:
    """Yield what several sentences cost against one, and one against the library's session on the same frames."""
    torch.manual_seed(0)
    tracker = Tracker(find_config(name), side)
    engine = Sam3Engine(tracker, Sam3Settings(name, Path("untrained"), image_size=side), device=CPU)

    def carry(n_sentences: int) -> None:
        engine.features.clear()
        Propagator(engine).propagate(video, [Source(start_sequences(video, _SIZE, [0] * n_sentences))])

    carry(1)
    (_, several), (_, one) = timed(partial(carry, _AT_ONCE)), timed(partial(carry, 1))
    yield growth(f"{name} {side}, {_AT_ONCE} sentences against one", several, one, _OF_SENTENCES, "s")
    _, session = timed(partial(track_plainly, tracker, video))
    yield gain(f"{name} {side}, one sentence against a session", one, session, _OF_SESSION, "s")
    yield gain(
        f"{name} {side}, {_AT_ONCE} sentences against sessions",
        several,
        _AT_ONCE * session,
        _AT_ONCE / _OF_SENTENCES,
        "s",
    )


def track_plainly(tracker: Tracker, video: Video) -> int:
    """Track one object from the first frame by the library's own session, and return the number of frames given."""
    side, cells = tracker.side, tracker.cells
    model = tracker.model
    with torch.device("meta"):
        vision = Sam3VisionModel(model.config.vision_config)
    vision.backbone, vision.neck = tracker.trunk, tracker.neck
    model.vision_encoder = vision
    model.backbone_feature_sizes = [[scale * cells, scale * cells] for scale in (4, 2, 1)]
    pixels = torch.cat([prepare_frame(video.read_frame(index), side) for index in range(video.n_frames)])
    session = Sam3TrackerVideoInferenceSession(
        video=pixels, video_height=_SIZE[0], video_width=_SIZE[1], dtype=torch.float32
    )
    place = session.obj_id_to_idx(1)
    session.add_mask_inputs(place, 0, prepare_mask(torch.from_numpy(draw_masks(_SIZE, 0)[0]), side))
    session.obj_with_new_inputs = [1]
    model(session, frame_idx=0)
    steps = sum(1 for _ in model.propagate_in_video_iterator(session, start_frame_idx=0))
    model.vision_encoder = None
    return steps


@torch.inference_mode()
def measure_stored(name: str) -> Row:
    """Return what an object's memory takes after a few frames of the official input; the maps of frames are drawn."""
    torch.manual_seed(0)
    config = find_config(name)
    tracker = Tracker(config)
    cells, width = tracker.cells, config.channels
    walker = TrackedObject(tracker)
    for index in range(_STORED_FRAMES):
        fine = (torch.randn(1, width // 8, 4 * cells, 4 * cells), torch.randn(1, width // 4, 2 * cells, 2 * cells))
        frame = TrackerFrame(ImageMaps(fine, torch.randn(1, width, cells, cells)), index, _STORED_FRAMES, _SIZE)
        if index == 0:
            walker.start_from_mask(frame, torch.from_numpy(draw_masks(_SIZE, 0)[0]))
        else:
            walker.step(frame)
            walker.commit(torch.from_numpy(draw_masks(_SIZE, index)[0]))
    return limit(f"{name}, stored of {_STORED_FRAMES} frames", walker.memory.n_bytes / 1e6, _MOST_STORED, "MB")


def track_small(n_frames: int) -> None:
    """Track one object from the first frame to the last, with a small network on small frames; print its MiB."""
    torch.manual_seed(0)
    tracker = Tracker(find_config(_SMALL_NETWORK), _SMALL_SIDE)
    settings = Sam3Settings(_SMALL_NETWORK, Path("untrained"), image_size=_SMALL_SIDE, cache_megabytes=_SMALL_CACHE)
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder) / "discs", _SMALL_SIZE, n_frames, period=_PERIOD)
        start = start_sequences(video, _SMALL_SIZE, [0])
        Propagator(Sam3Engine(tracker, settings, device=CPU)).propagate(video, [Source(start)])
    print(1024 * peak_gib())
