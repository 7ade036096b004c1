"""UNINEXT: one visual pass for several expressions against each alone from pixels; ViT-H's memory from a count.

"Alone" is our own path from pixels with ConvNeXt-L, and the official procedure written plainly (`plain_referring`) with
ResNet-50.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.harness import Row, fastest, gain, limit, paired
from benchmarks.plain_referring import plain_uninext
from runners.networks.text.bert import Text
from runners.networks.uninext.config import RELEASED, UninextConfig
from runners.networks.uninext.frames import count_tokens
from runners.networks.uninext.network import Selection, Uninext, pad_frames
from runners.passes.frame_runner import CPU_TOKENS_AT_ONCE, TOKENS_AT_ONCE

_WORDS = 12
_ALONE = 2
_REPEATS = 3
_FRAME = (240, 426)
_OFFICIAL = (480, 853)
_TOLERANCE = 1e-4
_EXPRESSIONS = 4
_ASSOCIATION_LAYERS = 2  # of the released files
# Rounding may swap two of 900 proposals of random weights, which changes the content of two queries a little.
_GATE = 1e-2
_GPU_GIB = 8.0
_GIB = 1 << 30


def run(
    backbone: str | UninextConfig = "convnext_large",
    size: tuple[int, int] = _FRAME,
    expressions: tuple[int, ...] = (1, 2, 4),
) -> Iterator[Row]:
    """Yield time an expression at several numbers of expressions, the memory of ViT-H, and the official way's time.

    Args:
        backbone: of the timed network, as released; or another network whole.
        size: height and width of the timed frame, pixels.
    """
    config = UninextConfig(backbone=RELEASED[backbone]) if isinstance(backbone, str) else backbone
    network = Uninext(config).eval()
    torch.manual_seed(0)
    frame = torch.randn(1, 3, *size)
    ids = torch.randint(0, network.config.text.vocabulary, (max(expressions), _WORDS))
    with torch.inference_mode():
        # The first pass pays for allocations that the later ones reuse.
        _segment(network, frame, ids[:1])
        alone = [fastest(partial(_segment, network, frame, row[None]), _REPEATS) for row in ids[:_ALONE]]
        _, visual = fastest(partial(_look, network, frame), _REPEATS)
        together = {count: fastest(partial(_segment, network, frame, ids[:count]), _REPEATS) for count in expressions}
    single = sum(seconds for _, seconds in alone) / len(alone)
    share = visual / single
    for count, (_, seconds) in together.items():
        possible = 1 / (1 - share + share / count)
        own = single / (seconds / count)
        name = f"UNINEXT, {count} expressions (visual part {share:.0%})"
        yield Row(name, seconds / count, single, own / possible, ">= 0.75", "s/expr, of bound")
    both = together[max(expressions)][0].scores[: len(alone), 0]
    difference = float((both - torch.stack([found.scores[0, 0] for found, _ in alone])).abs().max())
    yield limit("UNINEXT, scores together and alone", difference, _TOLERANCE, "score")
    config = UninextConfig(backbone=RELEASED["vit_huge"])
    n_frames = TOKENS_AT_ONCE // count_tokens(_OFFICIAL, config.backbone.multiple)
    weights, activations = count_memory(config, _OFFICIAL, n_frames)
    total = (weights + activations) / _GIB
    yield limit(f"UNINEXT ViT-H, {n_frames} frames 480x853, counted", total, _GPU_GIB, "GiB")
    yield from measure_plain(size)


def measure_plain(size: tuple[int, int]) -> Iterator[Row]:
    """Yield the time of an expression of four with ResNet-50 against the official way, and the difference of logits."""
    torch.manual_seed(0)
    config = UninextConfig(backbone=RELEASED["resnet50"], association_layers=_ASSOCIATION_LAYERS)
    network = Uninext(config).eval()
    frame = torch.randn(1, 3, *size)
    ids = torch.randint(0, network.config.text.vocabulary, (_EXPRESSIONS, _WORDS))
    with torch.inference_mode():
        # The first pass pays for allocations that the later ones reuse.
        _segment(network, frame, ids[:1])
        together, plain = paired(
            partial(_segment, network, frame, ids), partial(plain_uninext, network, frame, ids[:1]), _REPEATS
        )
    per_expression = together[1] / _EXPRESSIONS
    name = f"UNINEXT R50, {_EXPRESSIONS} expressions against the official way"
    yield gain(name, per_expression, plain[1], 2, "s/expression")
    found = together[0].logits[0, 0]
    difference = float((found - plain[0]).abs().max() / plain[0].abs().max())
    yield limit("UNINEXT R50, logits ours and the official way", difference, _GATE, "of largest")


def _look(network: Uninext, frame: Tensor) -> Any:
    sizes = torch.tensor([frame.shape[-2:]], device=frame.device).expand(len(frame), -1)
    return network.look(pad_frames(frame, network.config.backbone.multiple), sizes)


def _segment(network: Uninext, frame: Tensor, ids: Tensor) -> Selection:
    """Return the best query of one frame for each row of token ids, the frame being encoded once.

    As many expressions pass together as the runner lets on the CPU.
    """
    text, visual = network.read(ids, torch.ones_like(ids)), _look(network, frame)
    step = max(1, CPU_TOKENS_AT_ONCE // visual.tokens.shape[1])
    found = []
    for start in range(0, len(ids), step):
        rows = torch.arange(start, min(start + step, len(ids)))
        found.append(network.segment(visual.select(torch.zeros_like(rows)), text.select(rows)))
    queries, scores, logits = (
        torch.cat(parts) for parts in zip(*((one.queries, one.scores, one.logits) for one in found), strict=True)
    )
    return Selection(queries, scores, logits, None)


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors that are alive at once while it is active."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now, self.peak = 0, 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and count the storages that it made."""
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def count_memory(config: UninextConfig, size: tuple[int, int], n_frames: int = 1) -> tuple[int, int]:
    """Return the bytes of the weights, and the largest number of bytes of live activations.

    Nothing is computed: the network runs on tensors without data, each frame with one expression. Fused attention
    is counted as torch does it: the table of distance scores is in memory, the softmax is not.
    """
    with torch.device("meta"):
        network = Uninext(config).eval()
        frame, words = torch.zeros(n_frames, 3, *size), torch.zeros(n_frames, _WORDS, config.text.width)
    weights = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    counter = LiveBytes()
    with torch.inference_mode(), torch.device("meta"), counter:
        network.segment(_look(network, frame), Text(words, torch.ones(n_frames, _WORDS, dtype=torch.bool)))
    return weights, counter.peak
