"""SOC with one visual pass for four expressions against each expression alone from pixels, same weights, one run.

"Alone" is our own path from pixels, and the official procedure written plainly (`plain_referring`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import Row, fastest, gain, limit, timed
from benchmarks.plain_referring import plain_soc
from runners.networks.soc.network import SOC
from runners.networks.soc.types import ChosenQuery, SOCConfig, VisualFeatures

EXPRESSIONS = 4
_WORDS = 12
_ALONE = 2
_REPEATS = 2
_LIMIT = 1e-5
_GATE = 1e-4


@dataclass(frozen=True, slots=True)
class Workload:
    """Frames (1, T, 3, H, W) and token ids (1, L), one row an expression."""

    frames: Tensor
    ids: tuple[Tensor, ...]


def make_workload(size: tuple[int, int], n_frames: int) -> Workload:
    """Return random frames and expressions of twelve tokens."""
    torch.manual_seed(0)
    ids = tuple(torch.randint(4, SOCConfig().text.vocab_size, (1, _WORDS)) for _ in range(EXPRESSIONS))
    return Workload(torch.randn(1, n_frames, 3, *size), ids)


def run(size: tuple[int, int] = (360, 640), n_frames: int = 10) -> Iterator[Row]:
    """Yield time per expression, how much of the possible gain is reached, and the largest difference of logits."""
    work = make_workload(size, n_frames)
    network = SOC(SOCConfig()).eval()
    with torch.inference_mode():
        # The first pass pays for allocations that the later ones reuse.
        network.encode_video(work.frames[:, :1])
        visual, visual_seconds = fastest(lambda: network.encode_video(work.frames), _REPEATS)
        shared = [timed(partial(_segment, network, visual, ids)) for ids in work.ids]
        # All sides take turns: what slows the machine down for a while slows all.
        both = [
            (
                timed(partial(_from_pixels, network, work.frames, ids)),
                timed(partial(plain_soc, network, work.frames, ids)),
            )
            for ids in work.ids[:_ALONE]
        ]
    alone, plain = [one for one, _ in both], [one for _, one in both]
    # Each kind of work was done several times; the fewest seconds are those that nothing disturbed.
    per_expression = visual_seconds / EXPRESSIONS + min(seconds for _, seconds in shared)
    per_expression_alone = min(seconds for _, seconds in alone)
    share = visual_seconds / per_expression_alone
    possible = 1 / (1 - share + share / EXPRESSIONS)
    own = per_expression_alone / per_expression
    official = min(seconds for _, seconds in plain)
    yield gain(
        f"SOC, {EXPRESSIONS} expressions against the official way", per_expression, official, 2.2, "s/expression"
    )
    yield gain(f"SOC, visual part {share:.0%} of a pass", per_expression, per_expression_alone, 1.5, "s/expr")
    yield Row("SOC, gain against what that share allows", own, possible, own / possible, ">= 0.85", "times")
    pairs = zip(shared[:_ALONE], alone, strict=True)
    difference = max(_difference(one.mask_logits, other.mask_logits) for (one, _), (other, _) in pairs)
    yield limit("SOC, logits shared and alone", difference, _LIMIT, "of the largest")
    found, outputs = alone[0][0], plain[0][0]
    # In evaluation the first layer speaks: (1, T, Q, h, w) of all queries.
    masks = outputs.layers[0].mask_logits[0, :, found.index]
    yield limit("SOC, logits ours and the official way", _difference(found.mask_logits, masks), _GATE, "of the largest")


def _segment(network: SOC, visual: VisualFeatures, ids: Tensor) -> ChosenQuery:
    return network.segment(visual, network.encode_text(ids, torch.ones_like(ids)))


def _from_pixels(network: SOC, frames: Tensor, ids: Tensor) -> ChosenQuery:
    return _segment(network, network.encode_video(frames), ids)


def _difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())
