"""Writes files of official size whose values follow from their names, as those of parity cases do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

from benchmarks.full_size.official import OFFICIAL, Keys, OfficialFile
from benchmarks.full_size.vocabularies import write_bert, write_clip, write_roberta
from rvos_fusion.parity.filling import fill, fill_state

DINO = "grounding-dino-base"
NAMES = (*OFFICIAL, DINO)
_SWIN_B = {"embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32], "window_size": 12}
_PREPROCESSING = {
    "do_resize": True,
    "size": {"shortest_edge": 800, "longest_edge": 1333},
    "do_rescale": True,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


@dataclass(frozen=True, slots=True)
class Made:
    """A file that was written: its numbers, and where their names come from."""

    path: Path
    parameters: int
    source: str


def make(folder: Path, names: Sequence[str] = ()) -> Iterator[Made]:
    """Yield the files of some networks, or of all, as soon as they are written; those that are there stay.

    Args:
        folder: that a recipe names as its weights; tokenisers come into it too.
    """
    for write, name in ((write_roberta, "roberta-base"), (write_bert, "bert-base-uncased"), (write_clip, "clip")):
        write(folder / name)
    for name in names or NAMES:
        yield _make_dino(folder / DINO) if name == DINO else _make_file(folder, OFFICIAL[name])


def _make_file(folder: Path, official: OfficialFile) -> Made:
    path, keys = folder / official.file, official.keys()
    if not path.exists():
        # The values are held once: torch writes them from where they lie.
        state = {f"{official.prefix}{name}": value for name, value in fill_tensors(keys).items()}
        part = path.with_name(f"{path.name}.part")
        torch.save({official.envelope: state, "epoch": 0}, part)
        part.rename(path)
    tied = tuple(keys.get("tied", ()))
    counted = (shape for name, shape, kind in keys["keys"] if "float" in kind and not name.startswith(tied))
    return Made(path, sum(torch.Size(shape).numel() for shape in counted), official.source)


def fill_tensors(keys: Keys) -> dict[str, Tensor]:
    """Return the values of a list; tied names share one tensor."""
    drawn: dict[str, Tensor] = {}
    made: dict[str, Tensor] = {}
    for name, shape, kind in keys["keys"]:
        if "float" not in kind:
            continue
        ties = (
            right + name.removeprefix(left) for left, right in keys.get("tied", {}).items() if name.startswith(left)
        )
        source = next(ties, name)
        if source not in drawn:
            drawn[source] = torch.from_numpy(fill_state({**keys, "keys": [(source, shape, kind)]})[source])
        made[name] = drawn[source]
    return made


def _make_dino(folder: Path) -> Made:
    """Write a folder of the hub with Grounding DINO-B."""
    swin = SwinConfig(image_size=384, out_features=["stage2", "stage3", "stage4"], **_SWIN_B)
    with torch.device("meta"):
        network = GroundingDinoForObjectDetection(GroundingDinoConfig(backbone_config=swin))
    made = Made(folder / "model.safetensors", sum(one.numel() for one in network.parameters()), "size only")
    if not made.path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_bert(folder)
        (folder / "preprocessor_config.json").write_text(json.dumps(_PREPROCESSING))
        network = GroundingDinoForObjectDetection(network.config)
        with torch.no_grad():
            for name, value in network.named_parameters():
                value.copy_(torch.from_numpy(fill(name, tuple(value.shape), "")))
        network.save_pretrained(folder)
    return made
