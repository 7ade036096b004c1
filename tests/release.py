"""Writes the reference dumps and masks in the layout of the 2023 release, and reads what is expected of its recipe."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

DUMPS = ("soc", "mutr", "referformer_ft", "vit_huge", "convnext")
Masks = dict[tuple[str, str], np.ndarray]


@dataclass(frozen=True, slots=True)
class Release:
    """A release written below `root`, and a data set with its expression files below `data`."""

    root: Path
    data: Path
    overrides: tuple[str, ...]


def write_release(reference: Path, folder: Path, *, propagated: bool = True) -> Release:
    """Write dumps, propagated masks and expression files."""
    data, root = folder / "data", folder / "release"
    for split in ("test", "valid"):
        target = data / "meta_expressions" / split
        target.mkdir(parents=True)
        shutil.copy(reference / f"meta_expressions_{split}.json", target / "meta_expressions.json")
    _write_dumps(reference, root / "model_pth")
    if propagated:
        _write_propagated(reference, root)
    overrides = (f"paths.release={root}", f"dataset.root={data}", "dataset.split=test")
    return Release(root, data, overrides)


def read_listed(reference: Path) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return frames and expressions of every video."""
    content = json.loads((reference / "meta_expressions_test.json").read_text())["videos"]
    return {video: (tuple(entry["frames"]), tuple(entry["expressions"])) for video, entry in content.items()}


def read_expected(reference: Path, node: str) -> Masks:
    """Return the expected masks of a node of the release by video and expression."""
    sizes = json.loads((reference / "sizes.json").read_text())
    arrays = np.load(reference / "expected.npz")
    masks = {}
    for name in arrays.files:
        if name.startswith(f"{node}/"):
            video, expression = name[len(node) + 1 :].split("/")
            masks[video, expression] = unpack(arrays[name], sizes[video]["width"])
    return masks


def unpack(packed: np.ndarray, width: int) -> np.ndarray:
    """Return boolean masks of packed ones."""
    return np.unpackbits(packed, axis=-1, count=width).astype(bool)


def _write_dumps(reference: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    arrays = np.load(reference / "dumps.npz")
    for model in DUMPS:
        content: dict[str, dict[str, object]] = {}
        for video, (_, expressions) in read_listed(reference).items():
            content[video] = {
                expression: {
                    "mask_logits": torch.from_numpy(arrays[f"{model}/{video}/{expression}/mask"].astype(np.float32)),
                    "class_info": [float(value) for value in arrays[f"{model}/{video}/{expression}/score"]],
                }
                for expression in expressions
            }
        torch.save(content, folder / f"{model}.pth")


def _write_propagated(reference: Path, root: Path) -> None:
    arrays = np.load(reference / "propagated.npz")
    sizes = json.loads((reference / "sizes.json").read_text())
    listed = read_listed(reference)
    for name in arrays.files:
        source, engine, video, expression = name.split("/")
        folder = root / source / f"Annotations_{engine}_class_index" / video / expression
        folder.mkdir(parents=True)
        masks = unpack(arrays[name], sizes[video]["width"])
        for frame, mask in zip(listed[video][0], masks, strict=True):
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{frame}.png")
