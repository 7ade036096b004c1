"""The colours of nodes stay apart, for eyes without red or green cones too."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import rvos_fusion.report

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "no green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "no red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])


def to_lab(linear: np.ndarray) -> np.ndarray:
    xyz = np.clip(linear, 0, 1) @ TO_XYZ.T / WHITE
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def read_colours(name: str, pattern: str) -> list[np.ndarray]:
    text = (Path(rvos_fusion.report.__path__[0]) / "assets" / name).read_text()
    line = re.search(pattern, text)
    assert line is not None
    values = [
        [int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)] for code in re.findall("#([0-9a-f]{6})", line.group())
    ]
    return [np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4) for v in map(np.array, values)]


@pytest.mark.parametrize("eyes", VISION)
@pytest.mark.parametrize(
    ("name", "pattern", "least", "count"),
    [("palette.js", r"colours: \[.*\]", 20, 12), ("stage.js", "const COLOURS = .*", 20, 6)],
    ids=["nodes", "stage"],
)
def test_colours_stay_apart(eyes: str, name: str, pattern: str, least: float, count: int) -> None:
    colours = read_colours(name, pattern)
    assert len(colours) == count
    seen = [to_lab(colour @ VISION[eyes].T) for colour in colours]
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) >= least
