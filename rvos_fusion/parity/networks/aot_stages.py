"""Intermediate activations of AOT and DeAOT, under the names of `stages.npz`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from deaot_toolkit import EngineGroup, VosNetwork
from deaot_toolkit.transformer.positions import sine_positions
from deaot_toolkit.transformer.tokens import split_axis
from numpy.typing import NDArray
from torch import Tensor, nn

from rvos_fusion.parity.cases import Arrays

_ENCODER_NAMES = ("4x", "8x", "16x", "last")
_PARTS = ("key", "value", "id_value")


class StageTape:
    """Records modules' results for the stages `f{t}.<stage>.<field>` of a case; `grid`: the frames' stride-16 cells."""

    def __init__(self, network: VosNetwork, wanted: Mapping[str, NDArray[Any]], grid: tuple[int, int]) -> None:
        self.frame = 0
        self._grid = grid
        self.arrays: Arrays = {}
        self._names = {name.rpartition(".")[0] for name in wanted}
        self._wanted = wanted
        self._hooks = [
            module.register_forward_hook(self._hook(stages)) for module, stages in _watched(network) if self._names
        ]
        positions = sine_positions(*grid, network.config.embedding_dim, torch.device("cpu"))
        self._record("pos_emb", positions.transpose(0, 1), framed=False)

    def close(self) -> None:
        """Record nothing from now on."""
        for hook in self._hooks:
            hook.remove()
        self._names = set()

    def record_memory(self, group: EngineGroup) -> None:
        """Record the memories of the first engine after a frame."""
        engine = group.engines[0]
        if not any(name.startswith(f"f{self.frame}.memory") for name in self._names):
            return
        for kind, entry in (("long", engine.long_term), ("short", engine.short_term)):
            for index, layer in enumerate(entry):
                for name, tokens in zip(_PARTS, (layer.key, *layer.values), strict=False):
                    shaped = self._as_map(tokens) if kind == "short" else tokens.transpose(0, 1)
                    self._record(f"memory.{kind}.layer{index}.{name}", shaped)

    def _hook(self, stages: Sequence[str]) -> Callable[[nn.Module, Any, Any], None]:
        def record(module: nn.Module, inputs: Any, output: Any) -> None:
            parts = output if isinstance(output, tuple) else (output,)
            for stage, part in zip(stages, parts, strict=False):
                # Maps are stored as they are, tokens sequence first.
                laid_out = part if part.ndim == 4 else part.transpose(0, 1)
                self._record(stage, self._as_map(part) if stage == "id_emb" else laid_out)

        return record

    def _as_map(self, tokens: Tensor) -> Tensor:
        return split_axis(tokens.transpose(1, 2).contiguous(), 2, self._grid)

    def _record(self, stage: str, value: Tensor, *, framed: bool = True) -> None:
        name = f"f{self.frame}.{stage}" if framed else stage
        if name not in self._names:
            return
        array = value.float().numpy()
        flat = array.astype(np.float64).ravel()
        index = self._wanted[f"{name}.index"]
        # Means are left out: those near zero have no relative difference worth judging.
        fields = {"shape": np.shape(array), "std": flat.std(), "index": index}
        self.arrays |= {f"{name}.{part}": np.asarray(content) for part, content in fields.items()}
        # A sample outside a map of another size is a difference, not an error.
        self.arrays[f"{name}.values"] = flat[index[index < flat.size]].astype(np.float32)


def _watched(network: VosNetwork) -> list[tuple[nn.Module, tuple[str, ...]]]:
    """Return the modules to listen to, each with the stage names of its results."""
    modules: list[tuple[nn.Module, tuple[str, ...]]] = [
        (network.encoder, tuple(f"encoder.{name}" for name in _ENCODER_NAMES)),
        (network.encoder_projector, ("encoder_projector",)),
        (network.id_norm, ("id_emb",)),
    ]
    for name, module in network.named_modules():
        layer = re.fullmatch(r"LSTT\.layers\.(\d+)(?:\.(self_attn|long_term_attn|short_term_attn))?", name)
        norm = re.fullmatch(r"LSTT\.decoder_norms\.(\d+)", name)
        if layer:
            stage = f"layer{layer[1]}.{layer[2] or 'out'}"
            modules.append((module, (stage,) if layer[2] else (stage, f"{stage}_id")))
        elif norm:
            modules.append((module, (f"decoder_norm{norm[1]}",)))
        elif re.fullmatch(r"decoder\.conv_\w+", name):
            modules.append((module, (name,)))
    return modules
