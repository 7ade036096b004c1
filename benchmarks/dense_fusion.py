"""The dense procedure that run boundaries replace: float32 logits in pickles, NumPy sums, Pillow files.

Source: fusion recipe, sections 2, 3 and 9.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Logits = NDArray[np.float32]


def write_dump(path: Path, logits: dict[str, Logits]) -> None:
    """Write the logits `(T, H, W)` of every expression of a video as one pickle."""
    with path.open("wb") as stream:
        pickle.dump(logits, stream, protocol=pickle.HIGHEST_PROTOCOL)


def fuse_pair(dumps: Sequence[Path], pair: tuple[str, str], threshold: int, folder: Path) -> None:
    """Vote over all dumps and both expressions of a pair and write the result for each expression.

    Args:
        dumps: one pickle a model.
        threshold: votes needed.
        folder: gets `<expression>/<frame>.png`, greyscale 0 and 255.
    """
    votes: NDArray[np.float32] | None = None
    for path in dumps:
        with path.open("rb") as stream:
            logits: dict[str, Logits] = pickle.load(stream)
        for expression in pair:
            masks = (1 / (1 + np.exp(-logits[expression])) > 0.5).astype(np.float32)
            votes = masks if votes is None else votes + masks
    assert votes is not None
    fused = (votes >= threshold).astype(np.uint8) * 255
    for expression in pair:
        (folder / expression).mkdir(parents=True, exist_ok=True)
        for index, mask in enumerate(fused):
            Image.fromarray(mask, mode="L").save(folder / expression / f"{index:05d}.png")
