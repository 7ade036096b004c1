"""Frames a second as ReferFormer's and SOC's papers report them: images of 360 x 640, one expression, whole passes.

On a GPU where there is one, the time between two synchronisations; else processor time of one core. A pass holds
the backbone, the text and the masks at stride 4, with random weights; reading images and writing masks are left out.

`python -m benchmarks.frame_rates [FRAMES]` prints the table of `docs/measured/performance.md` for clips of so many
frames.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping

import torch

from benchmarks.harness import Row, figure, one_core, print_markdown, processor_name
from benchmarks.roofline_networks import CLIP_FRAMES, CLIP_SIZE, clip_pass
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.network import ReferFormer
from runners.networks.soc.network import SOC
from runners.networks.soc.types import SOCConfig

_GOES = 2
_NETWORKS: Mapping[str, Callable[[], SOC | ReferFormer]] = {
    "SOC, Video-Swin-T": lambda: SOC(SOCConfig()),
    "ReferFormer, Video-Swin-T": lambda: ReferFormer(ReferFormerConfig()),
}


def run() -> Iterator[Row]:
    """Yield the frames a second of every network; there is nothing here that they could be compared with."""
    device = _find_device()
    where = _name_device(device)
    for name, build in _NETWORKS.items():
        label = f"{name}, {CLIP_FRAMES} x {CLIP_SIZE[0]} x {CLIP_SIZE[1]}, {where}"
        yield figure(label, measure(build, device=device, n_frames=CLIP_FRAMES), "frames/s")


def measure(build: Callable[[], SOC | ReferFormer], *, device: torch.device, n_frames: int, goes: int = _GOES) -> float:
    """Return the frames a second of the fastest of some passes of one clip, after one that warms up."""
    torch.manual_seed(0)
    network = build().eval().requires_grad_(False).to(device)
    call = clip_pass(network, n_frames=n_frames, device=device)
    with torch.inference_mode(), one_core():
        seconds = []
        for _ in range(goes + 1):
            start = _read_clock(device)
            call()
            seconds.append(_read_clock(device) - start)
    return n_frames / min(seconds[1:])


def _read_clock(device: torch.device) -> float:
    """Return seconds: processor time, or on a GPU the time after everything that was asked of it."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def _find_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _name_device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"one core of {processor_name()}"


def main(n_frames: int) -> None:
    """Print the table."""
    device = _find_device()
    print(f"{_name_device(device)}, clips of {n_frames} frames of {CLIP_SIZE[0]} x {CLIP_SIZE[1]}\n")
    rates = ((name, measure(build, device=device, n_frames=n_frames)) for name, build in _NETWORKS.items())
    print_markdown(("network", "frames a second"), ((name, f"{rate:.3g}") for name, rate in rates))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CLIP_FRAMES)
