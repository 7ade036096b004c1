"""Seconds per expression of propagation with everything shared, against one plain run per expression.

Four discs move over a shaded ground; each is one expression, and their key frames differ. The networks have
random weights, but for the last layer, which is fitted so that masks have clear outlines: with purely random
weights every frame has pixels whose two probabilities are equal to seven digits, and "identical masks" would be
a matter of luck. Both sides run the same network on the same frames, and all masks that both compute must agree.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import deaot_toolkit
import numpy as np
import torch
from deaot_toolkit import VosNetwork
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.harness import CPU, Row, compare_masks, fastest, gain, limit, timed
from benchmarks.plain_propagation import propagate_plain
from benchmarks.scenes import draw_masks, start_sequences, write_video
from propagate.engines.aot.engine import AotEngine
from propagate.engines.aot.settings import AotSettings
from propagate.engines.inputs import prepare_frame
from propagate.propagator import Propagator, Source
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video

_N_FRAMES = 4
_N_PLAIN = 2  # expressions that the plain side is timed on; it does the same work for each
_GOES = 2
_KEYS = (1, 2, 1, 2)
_SMALL_CACHE = 64
_MEGABYTE = 1 << 20
_ID_GAIN = 8.0
_READOUT_GAIN = 8.0


@dataclass(frozen=True, slots=True)
class Case:
    """One network at one frame size, and the ratio that is promised."""

    network: str
    size: tuple[int, int]
    bound: float

    @property
    def title(self) -> str:
        """Network and size."""
        return f"{self.network} {self.size[0]}x{self.size[1]}"


CASES = (
    Case("r50-aotl", (480, 854), 5.0),
    Case("r50-deaotl", (480, 854), 3.0),
    Case("swinl-aotl", (240, 427), 5.0),
    Case("swinl-deaotl", (240, 427), 5.0),
)


SOURCES = Case("swinl-aotl", (240, 427), 1.5)
"""Timed with several mask sources, as when a stage propagates three members and their fusion."""


def run(networks: Sequence[str] = ()) -> Iterator[Row]:
    """Yield the time of every network, that of several mask sources, and the memory of the sharing.

    Args:
        networks: the time of these alone.
    """
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if not networks or case.network in networks:
                yield from measure(case, Path(folder))
        if not networks:
            yield from measure_sources(SOURCES, Path(folder))
            yield measure_memory(CASES[0], Path(folder))


def measure(case: Case, folder: Path) -> Iterator[Row]:
    """Yield the processor seconds per expression of both sides, and how far their masks differ."""
    video = write_video(folder / case.network, case.size, _N_FRAMES)
    engine, images = prepare(case, video)
    starts = start_sequences(video, case.size, _KEYS)
    propagate = partial(_propagate_anew, engine.shared, video, [Source(starts)])
    plain, goes = [], []
    # Both sides take turns: what slows the machine down for a while slows both.
    for expression, key in enumerate(_KEYS[:_N_PLAIN]):
        mask = draw_masks(case.size, key)[expression]
        plain.append(timed(partial(propagate_plain, engine.network, images, key, mask)))
        goes.append(timed(propagate))
    (ours,), _ = goes[0]
    our_seconds = min(seconds for _, seconds in goes) / len(_KEYS)
    name = f"{case.title}, {len(_KEYS)} expressions"
    yield gain(f"{name}, time of one", our_seconds, min(seconds for _, seconds in plain), case.bound, "s/expression")
    yield compare_masks(name, [(expected, found.masks()) for (expected, _), found in zip(plain, ours, strict=False)])


def measure_sources(case: Case, folder: Path) -> Iterator[Row]:
    """Yield the seconds per source of all sources in one pass, against one after the other, and the difference.

    One after the other, features are shared by directions only: with many videos in between, those of the source
    before are gone.
    """
    video = write_video(folder / "sources", case.size, _N_FRAMES)
    engine, _ = prepare(case, video)
    sources = [Source([sequence]) for sequence in start_sequences(video, case.size, _KEYS)]
    together, joint = fastest(partial(_propagate_anew, engine.shared, video, sources), _GOES)
    apart = [timed(partial(_propagate_anew, engine.shared, video, [source])) for source in sources[:_N_PLAIN]]
    alone_seconds = min(seconds for _, seconds in apart)
    name = f"{case.title}, {len(sources)} mask sources"
    yield gain(f"{name}, time of one", joint / len(sources), alone_seconds, case.bound, "s/source")
    alone = [found.masks() for ((found,),), _ in apart]
    yield compare_masks(name, [(one, other[0].masks()) for one, other in zip(alone, together, strict=False)])


def _propagate_anew(engine: AotEngine, video: Video, sources: list[Source]) -> Sequence[Sequence[MaskSequence]]:
    """Propagate without the features that an earlier go left behind."""
    engine.features.clear()
    return Propagator(engine).propagate(video, sources)


def measure_memory(case: Case, folder: Path) -> Row:
    """Return the megabytes of shared features after a propagation, against the bound that was set."""
    video = write_video(folder / "memory", case.size, _N_FRAMES)
    network = deaot_toolkit.build(case.network)
    settings = AotSettings(case.network, Path("untrained"), cache_megabytes=_SMALL_CACHE)
    engine = AotEngine(network, settings, device=CPU)
    Propagator(engine).propagate(video, [Source(start_sequences(video, case.size, _KEYS[:1]))])
    held = engine.features.n_bytes / _MEGABYTE
    return limit(f"{case.network}, features kept of {_N_FRAMES} frames", held, float(_SMALL_CACHE), "MiB")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A network with a fitted last layer, and the product's engine on it."""

    network: VosNetwork
    shared: AotEngine


def prepare(case: Case, video: Video) -> tuple[Prepared, list[Tensor]]:
    """Return the network of a case, and its input of every frame."""
    torch.manual_seed(0)
    network = deaot_toolkit.build(case.network)
    engine = AotEngine(network, AotSettings(case.network, Path("untrained")), device=CPU)
    size = engine.input_size(case.size, 1.0)
    images = [
        prepare_frame(video.read_frame(frame), size, mirrored=False, device=CPU) for frame in range(video.n_frames)
    ]
    bank = network.patch_wise_id_bank
    with torch.no_grad():
        bank.weight *= _ID_GAIN * bank.kernel_size[0] ** 2
    fit_readout(network, images[:2], [draw_masks(case.size, frame) for frame in range(2)])
    return Prepared(network, engine), images


@torch.inference_mode()
def fit_readout(network: VosNetwork, images: list[Tensor], masks: list[NDArray[np.bool_]]) -> None:
    """Fit the last layer so that the masks of the first frame lead to those of the second, by least squares."""
    given, wanted = (torch.from_numpy(part).float() for part in masks)
    size = (images[0].shape[2], images[0].shape[3])
    engine = deaot_toolkit.Engine(network)
    engine.reference(network.encode(images[0]), deaot_toolkit.resize_labels(given.long(), size))
    seen: list[Tensor] = []
    hook = network.decoder.conv_out.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    engine.propagate(network.encode(images[1]))
    hook.remove()
    target = torch.nn.functional.interpolate(wanted[:, None], seen[0].shape[2:], mode="area").flatten().double()
    inputs = torch.nn.functional.pad(seen[0].permute(0, 2, 3, 1).flatten(0, 2).double(), (0, 1), value=1.0)
    # Objects are small: without the weights the best answer would be background everywhere.
    weights = torch.where(target > 0.5, 1 / target.mean(), 1.0)[:, None]
    moments = inputs.t() @ (weights * inputs)
    moments += 1e-4 * moments.diagonal().mean() * torch.eye(len(moments))
    solution = torch.linalg.solve(moments, inputs.t() @ (weights * (2 * target[:, None] - 1)))[:, 0].float()
    state = network.decoder.conv_out.state_dict()
    for parameter, fitted in ((state["weight"][:, :, 0, 0], solution[:-1]), (state["bias"], solution[-1])):
        parameter[0] = 0
        parameter[1] = _READOUT_GAIN * fitted
