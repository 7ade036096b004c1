"""The dense baseline gives the masks that votes on runs give; bounds are read as they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.dense_fusion import fuse_pair, write_dump
from benchmarks.harness import Row
from fusion.votes import count_votes
from rvos.masks.mask_sequences import encode
from rvos.masks.runs import Runs


def test_the_dense_baseline_equals_votes_on_runs(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (3, 2, 2, 20, 30)).astype(np.float32)
    dumps = [tmp_path / f"{index}.pkl" for index in range(3)]
    for path, own in zip(dumps, logits, strict=True):
        write_dump(path, {"0": own[0], "1": own[1]})
    fuse_pair(dumps, ("0", "1"), 3, tmp_path / "out")
    masks = logits.reshape(6, 2, 20, 30) > 0
    fused = count_votes([Runs.decode(encode(mask), (20, 30)) for mask in masks]).keep(3)
    for expression in "01":
        written = [np.asarray(Image.open(tmp_path / "out" / expression / f"{t:05d}.png")) for t in range(2)]
        assert encode(np.stack(written) == 255) == fused.encode()


@pytest.mark.parametrize(
    ("ratio", "bound", "passes"), [(20, ">= 20", True), (19.9, ">= 20", False), (2, "<= 2", True), (2.1, "<= 2", False)]
)
def test_a_row_passes_within_its_bound(ratio: float, bound: str, passes: bool) -> None:
    assert Row("a", 1, 2, ratio, bound, "ms").passes is passes
