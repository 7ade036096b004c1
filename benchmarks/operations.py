"""What a network multiplies and holds, for `rvos plan` and `rvos doctor`: the rows of `kinds/networks/operations.py`.

Counted on one pass with random weights, as the roofline counts: what sentences share of a frame, what every answer
adds, and what a remembered frame adds to an answer. Bytes beside the parameters are what the process grew by. Shares of
the rate of a large product are not counted but measured (docs/measured/performance.md; the bundled ones on the demo).

`python -m benchmarks.operations NAME ...` prints the rows of some networks, or of all.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import deaot_toolkit
import torch

from benchmarks.harness import ROOT
from benchmarks.roofline import count_products
from benchmarks.roofline_networks import Pass, build_cfbi, build_sam2, build_sam3_tracker
from runners.base import ModelSettings
from runners.networks.backbones.table import find_backbone
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.mutr import Mutr, MutrConfig
from runners.networks.referformer.network import ReferFormer
from runners.networks.soc.network import SOC
from runners.networks.soc.types import SOCConfig
from runners.networks.uninext.config import RELEASED, UninextConfig
from runners.networks.uninext.network import Uninext, pad_frames
from runners.registry import build_runner
from rvos_fusion.kinds.networks.operations import Operations

FRAME, CLIP = (480, 854), (360, 640)
SMALL_FRAME, SMALL_CLIP = (128, 224), (96, 168)
_LENGTHS = (1, 3)
_WORDS = 12
_DEMO = ROOT / "demo" / "checkpoints"
_GIGA, _MEGA = 1e9, 1e6


def count_clip(build: Callable[[], SOC | ReferFormer], size: tuple[int, int] = CLIP) -> Operations:
    """Return the row of a network of clips; its memory grows with the frames."""
    network = build().eval().requires_grad_(False)
    ids = torch.randint(4, network.config.text.vocab_size, (1, _WORDS))

    def answer(visual: Any) -> None:
        network.segment(visual, network.encode_text(ids, torch.ones_like(ids)))

    def see(n_frames: int) -> Any:
        return network.encode_video(torch.randn(1, n_frames, 3, *size))

    def pass_through(n_frames: int) -> None:
        answer(see(n_frames))

    shared, visual = _count(partial(see, 1)), see(1)
    one_answer = _count(partial(answer, visual))
    short, long = (_measure_growth(partial(pass_through, n_frames)) for n_frames in _LENGTHS)
    per_frame = (long - short) / (_LENGTHS[1] - _LENGTHS[0])
    working = round(max(short - _LENGTHS[0] * per_frame, 0.0))
    return Operations(size, shared, one_answer, 0.0, _count_parameters(network), working, round(per_frame, 1))


def count_uninext(build: Callable[[], Uninext], size: tuple[int, int] = FRAME) -> Operations:
    """Return the row of UNINEXT, which sees frame by frame."""
    network = build().eval().requires_grad_(False)
    frame = pad_frames(torch.randn(1, 3, *size), network.config.backbone.multiple)
    ids, sizes = torch.randint(0, network.config.text.vocabulary, (1, _WORDS)), torch.tensor([size])

    def answer(*, shared_only: bool = False) -> None:
        visual = network.look(frame, sizes)
        if not shared_only:
            network.segment(visual, network.read(ids, torch.ones_like(ids)))

    shared, whole = _count(partial(answer, shared_only=True)), _count(answer)
    growth = round(_measure_growth(answer))
    return Operations(size, shared, round(whole - shared, 4), 0.0, _count_parameters(network), growth)


def count_aot(build: Callable[[], deaot_toolkit.VosNetwork], of: tuple[int, int] = FRAME) -> Operations:
    """Return the row of AOT or DeAOT, whose memory grows with the frames; `of` is the size of a frame."""
    network = build().eval().requires_grad_(False)
    size = deaot_toolkit.network_size(of, align_corners=network.config.align_corners)
    image, labels = torch.randn(1, 3, *size), torch.zeros(1, *size, dtype=torch.int64)
    labels[:, size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 1
    features = network.encode(image)
    steps, held = [], []
    for n_frames in (1, 2):
        engine = deaot_toolkit.Engine(network, max_memory_frames=n_frames)
        for _ in range(n_frames):
            engine.reference(features, labels, n_objects=1)
        held.append(engine.n_bytes / _MEGA)

        def step(engine: deaot_toolkit.Engine = engine) -> None:
            engine.propagate(features)
            engine.remember(labels)

        steps.append(_count(step))
    frame, base = _count(lambda: network.encode(image)), _measure_growth(lambda: network.encode(image))
    remembered, memory = round(steps[1] - steps[0], 4), round(held[1] - held[0], 2)
    return Operations(of, frame, steps[0], remembered, _count_parameters(network), round(base), memory=memory)


def count_pass(build: Callable[[], Pass], *encoders: str, size: tuple[int, int] | None) -> Operations:
    """Return the row of a network whose memory does not grow. `encoders`: parts that sentences share."""
    one = build()
    counted = count_products(one)
    parameters = {id(value): value.numel() for part in one.parts.values() for value in part.parameters()}
    shared, whole = (sum(counted[name] for name in names) / _GIGA for names in (encoders, ("all",)))
    held, growth = round(sum(parameters.values()) / _MEGA), round(_measure_growth(one.call))
    return Operations(size, round(shared, 1), round(whole - shared, 1), 0.0, held, growth)


def _count(call: Callable[[], object]) -> float:
    counted = count_products(Pass(call, {}))["all"] / _GIGA
    return round(counted, 1 if counted > 1 else 4)


def _count_parameters(network: torch.nn.Module) -> int:
    return round(sum(value.numel() for value in network.parameters()) / _MEGA)


def _measure_growth(call: Callable[[], object]) -> float:
    """Return by how many megabytes the process grows in a call, at its peak."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _read_status("VmRSS")
    call()
    return max(_read_status("VmHWM") - before, 0.0)


def _read_status(key: str) -> float:
    found = re.search(rf"^{key}:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024 / _MEGA


def _soc(backbone: str) -> Operations:
    return count_clip(lambda: SOC(SOCConfig(backbone=find_backbone(f"{backbone}_p4w7"))))


def _referformer(backbone: str) -> Operations:
    return count_clip(lambda: ReferFormer(ReferFormerConfig(backbone=backbone)))


def _mutr(backbone: str) -> Operations:
    return count_clip(lambda: Mutr(MutrConfig(backbone=backbone)))


def _uninext(backbone: str) -> Operations:
    return count_uninext(lambda: Uninext(UninextConfig(backbone=RELEASED[backbone])))


def _small_clip(name: str) -> Operations:
    return count_clip(lambda: _read_demo(name), SMALL_CLIP)


def _small_engine(name: str) -> Operations:
    return count_aot(lambda: deaot_toolkit.load(_DEMO / f"{name}.safetensors"), SMALL_FRAME)


def _read_demo(name: str) -> Any:
    """Return the bundled network of a runner."""
    runner = build_runner(ModelSettings(name, _DEMO / f"{name}.safetensors"), device=torch.device("cpu"))
    return runner.network  # type: ignore[attr-defined]


COUNTS: Mapping[str, Callable[[], Operations]] = {
    "soc video_swin_t": partial(_soc, "video_swin_t"),
    "soc video_swin_b": partial(_soc, "video_swin_b"),
    **{f"mutr {name}": partial(_mutr, f"{name}_p4w7") for name in ("video_swin_b", "swin_l")},
    **{f"referformer {name}": partial(_referformer, f"{name}_p4w7") for name in ("video_swin_b", "swin_l")},
    **{f"uninext {name}": partial(_uninext, name) for name in ("resnet50", "convnext_large", "vit_huge")},
    **{
        f"{encoder}{kind}": partial(count_aot, partial(deaot_toolkit.build, f"{encoder}{kind}"))
        for kind in ("aotl", "deaotl")
        for encoder in ("r50-", "swinb-", "swinl-")
    },
    **{name: partial(count_aot, partial(deaot_toolkit.build, name)) for name in ("aott", "deaott")},
    **{name: partial(count_pass, partial(build_cfbi, name), "image", size=FRAME) for name in ("cfbi", "cfbi+")},
    **{
        f"sam2.1-hiera-{name}": partial(count_pass, partial(build_sam2, f"sam2.1-hiera-{name}"), "encoder", size=None)
        for name in ("tiny", "large")
    },
    **{f"{name} small": partial(_small_clip, name) for name in ("soc", "mutr", "referformer")},
    "uninext small": lambda: count_uninext(lambda: _read_demo("uninext"), SMALL_CLIP),
    **{f"small-{name}": partial(_small_engine, name) for name in ("aot", "deaot")},
    "sam3": partial(count_pass, partial(build_sam3_tracker, side=1008), "encoder", size=None),
}
"""By the name of the row."""


def main(names: Sequence[str]) -> Iterator[str]:
    """Yield the rows of some networks, each counted in a process of its own."""
    if len(names) == 1:
        torch.manual_seed(0)
        with torch.inference_mode():
            yield f'    "{names[0]}": {COUNTS[names[0]]()!r},'
        return
    for name in names or COUNTS:
        command = [sys.executable, "-m", "benchmarks.operations", name]
        yield subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.rstrip()


if __name__ == "__main__":
    for line in main(sys.argv[1:]):
        print(line, flush=True)
