"""ReferFormer: one visual pass for four expressions against each expression alone; memory of long videos in windows.

"Alone" has two meanings, and both are measured in the same run on the same weights: our own path from pixels, which
decides the bound that sharing allows, and the official procedure written plainly (`plain_referring`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.harness import Row, fastest, gain, growth, limit, peak_gib, run_apart, timed
from benchmarks.plain_referring import plain_predict
from runners.networks.parts.referring import Selection, VisualFeatures
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.network import ReferFormer
from runners.networks.text.text_encoder import TextConfig

EXPRESSIONS = 4
WINDOW, LONG = 36, 300
_WORDS = 12
_REPEATS = 2
_LIMIT = 1e-5
_GATE = 1e-4
_MOST_GIB = 8.0


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of processor time: the shared visual part, each expression after it, one alone, one done plainly."""

    visual: float
    expression: float
    alone: float
    plain: float

    @property
    def per_expression(self) -> float:
        """Seconds for each of the expressions that share the visual part."""
        return self.visual / EXPRESSIONS + self.expression

    @property
    def possible(self) -> float:
        """The gain over `alone` that the measured share of the visual part allows."""
        share = self.visual / self.alone
        return 1 / (1 - share + share / EXPRESSIONS)


def run(size: tuple[int, int] = (360, 640), n_frames: int = 10) -> Iterator[Row]:
    """Yield time per expression, the largest difference of logits, and peak memory."""
    torch.manual_seed(0)
    network = ReferFormer(ReferFormerConfig()).eval()
    frames = torch.randn(1, n_frames, 3, *size)
    ids = [torch.randint(4, TextConfig().vocab_size, (1, _WORDS)) for _ in range(EXPRESSIONS)]
    with torch.inference_mode():
        measured = measure(network, frames, ids)
    times = measured.times
    own = times.alone / times.per_expression
    share = times.visual / times.alone
    yield gain(
        "ReferFormer, four expressions against the official way", times.per_expression, times.plain, 2, "s/expression"
    )
    name = f"  against ours alone; {share:.0%} is visual"
    yield Row(name, own, times.possible, own / times.possible, ">= 0.85", "times")
    yield limit("  logits, shared and alone", measured.to_alone, _LIMIT, "difference")
    yield limit("  logits, ours and the official way", measured.to_plain, _GATE, "of the largest")
    yield limit(f"  peak memory of a window of {n_frames} frames", measured.peak, _MOST_GIB, "GiB")
    one, long = run_apart("from benchmarks.sharing import print_windowed_peaks as p; p()")
    yield growth(f"  peak memory, {LONG} frames against one window of {WINDOW}", long, one, 1.25, "GiB")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run gives.

    Args:
        to_alone: largest difference of mask logits, shared and alone.
        to_plain: of those of the official procedure, as a share of the largest logit.
        peak: our memory in GiB, weights included.
    """

    times: Timed
    to_alone: float
    to_plain: float
    peak: float


def measure(network: ReferFormer, frames: Tensor, ids: list[Tensor]) -> Measured:
    """Return times, differences and memory of both sides."""
    # The first pass pays for allocations that later ones reuse.
    network.encode_video(frames[:, :1])
    visual, visual_seconds = fastest(lambda: network.encode_video(frames), _REPEATS)
    shared = [timed(partial(segment, network, visual, row)) for row in ids]
    alone, alone_seconds = fastest(lambda: segment(network, network.encode_video(frames), ids[-1]), _REPEATS)
    difference = float((shared[-1][0].masks - alone.masks).abs().max())
    peak = peak_gib()
    predictions, plain_seconds = timed(lambda: plain_predict(network, frames, ids[-1]))
    to_plain = distance(predictions.masks[-1], alone)
    expression = min(seconds for _, seconds in shared)  # the same work four times
    times = Timed(visual_seconds, expression, alone_seconds, plain_seconds)
    return Measured(times, difference, to_plain, peak)


def distance(masks: Tensor, chosen: Selection) -> float:
    """Return how far the plain masks (1, T, Q, h, w) of the chosen query are, as a share of the largest logit."""
    plain = masks[:, :, int(chosen.query)]
    return float((plain - chosen.masks).abs().max() / plain.abs().max())


def segment(network: ReferFormer, visual: VisualFeatures, ids: Tensor) -> Selection:
    """Return the chosen masks of one expression."""
    return network.segment(visual, network.encode_text(ids, torch.ones_like(ids)))


def print_windowed_peaks() -> None:
    """Print both peaks of a small network on frames of 180x320; run in a process of its own."""
    from runners.base import ModelSettings
    from runners.networks.text.tokenizers import SmallTokens
    from runners.passes.clip_runner import ClipProtocol
    from runners.passes.referring_runner import run_referring
    from runners.referring import ReferringOptions
    from rvos.videos import Expression, Video

    text = TextConfig(vocab_size=256, hidden=64, layers=2, heads=2, intermediate=64, max_tokens=32)
    config = ReferFormerConfig(
        backbone="resnet_tiny", text=text, hidden_dim=64, encoder_layers=2, decoder_layers=2, feedforward=128
    )
    settings = ModelSettings("referformer", Path(), window=WINDOW, overlap=4, keep_soft=False)
    clips = ClipProtocol(settings, short_side=180, smallest=29)
    runner = run_referring(
        ReferFormer(config), SmallTokens(), torch.device("cpu"), clips=clips, options=ReferringOptions()
    )
    expressions = (Expression("0", "the red circle"), Expression("1", "the star"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (180, 320, 3), dtype=np.uint8)).save(path)
        for n_frames in (WINDOW, LONG):
            video = Video("video", tuple(map(str, range(n_frames))), expressions, (path,) * n_frames)
            for _ in runner.segment(video, expressions):
                pass
            print(peak_gib())
