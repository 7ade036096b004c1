"""A grid of variants in one table against as many recipes, run and tabled one by one, over stored masks.

`python -m benchmarks.variants VIDEOS THRESHOLDS RECIPES` measures another size: a whole split is 202 videos, a grid 25
times the thresholds; so many recipes are run, as each costs the same.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness import ROOT, Masks, Row, gain
from rvos.files.atomic import write_atomically
from rvos.masks.mask_sequences import encode

_VIDEOS, _THRESHOLDS, _RECIPES = 40, 4, 4
_SENTENCES, _FRAMES, _SIZE = 4, 8, (180, 320)
_MEMBERS = ("a", "b", "c", "d")
_WEIGHTS = range(1, 6)
_NODE = "stages.stage1.fused"
_LEAST = 3


def run(n_videos: int = _VIDEOS, n_thresholds: int = _THRESHOLDS, n_recipes: int = _RECIPES) -> Iterator[Row]:
    """Yield the row of this module."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write_split(folder, n_videos)
        _measure(folder, "run", "my.yaml", "--quiet")
        recipes = sum(_measure_recipe(folder, threshold) for threshold in range(1, 1 + n_recipes)) / n_recipes
        grid = {"weights.a": _WEIGHTS, "weights.b": _WEIGHTS, "threshold": range(1, 1 + n_thresholds)}
        words = [f"{_NODE}.{key}={','.join(map(str, values))}" for key, values in grid.items()]
        varied = [word for text in words for word in ("--vary", text)]
        n_variants = len(_WEIGHTS) ** 2 * n_thresholds
        ours = _measure(folder, "table", "my.yaml", "fused", *varied, "--run", "--json") / n_variants
        name = f"a variant of a grid of {n_variants} against a recipe of its own, {n_videos} videos, CPU"
        yield gain(name, ours, recipes, _LEAST, "s")


def _measure_recipe(folder: Path, threshold: int) -> float:
    """Return the processor seconds of a recipe of one variant; the members' masks are stored."""
    words = ["--set", f"{_NODE}.weights.c=2", "--set", f"{_NODE}.threshold={threshold}"]
    return _measure(folder, "run", "my.yaml", "--quiet", *words) + _measure(folder, "table", "my.yaml", "fused", *words)


def _measure(folder: Path, *words: str) -> float:
    """Return the processor seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "rvos_fusion.commands.cli", *words]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "third_party/deaot_toolkit")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _write_split(folder: Path, n_videos: int) -> None:
    """Write a split with truth, members as run lengths, and a recipe."""
    random, frames = np.random.default_rng(0), [f"{t:05d}" for t in range(_FRAMES)]
    expressions = {str(e): {"exp": "a thing", "obj_id": str(1 + e // 2)} for e in range(_SENTENCES)}
    names = [f"video{number:03d}" for number in range(n_videos)]
    for name in names:
        centres = random.uniform((40, 50), (140, 270), (2, 2))
        first, second = (_draw(centre) for centre in centres)
        for frame, labels in zip(frames, np.where(first, 1, np.where(second, 2, 0)).astype(np.uint8), strict=True):
            path = folder / f"data/valid/Annotations/{name}/{frame}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(labels).save(path)
        for member in _MEMBERS:
            runs = [encode(_draw(centre + random.normal(0, 6, 2))) for centre in centres]
            content = {e: [{"size": list(_SIZE), "counts": r.decode()} for r in runs[int(e) // 2]] for e in expressions}
            write_atomically(folder / member / f"{name}.json", json.dumps(content).encode())
    listed = {"videos": {name: {"expressions": expressions, "frames": frames} for name in names}}
    path = folder / "data/meta_expressions/valid/meta_expressions.json"
    write_atomically(path, json.dumps(listed).encode())
    models = "".join(f"  {name}: {{import: rle, path: {name}}}\n" for name in _MEMBERS)
    (folder / "my.yaml").write_text(
        "dataset: {format: ref-youtube-vos, root: data, split: valid}\nworkspace: ws\ngroups: {by: object_id}\n"
        f"models:\n{models}stages:\n  stage1:\n    fused: {{fuse: [{', '.join(_MEMBERS)}], threshold: 4}}\n"
        "submission: {node: fused}\n"
    )


def _draw(centre: NDArray[np.float64]) -> Masks:
    """Return a disc that moves, `(T, H, W)`."""
    rows, columns = np.mgrid[: _SIZE[0], : _SIZE[1]]
    return np.stack([np.hypot(rows - centre[0] - t, columns - centre[1] - 2 * t) < 35 for t in range(_FRAMES)])


if __name__ == "__main__":
    for row in run(*map(int, sys.argv[1:])):
        print(f"{row.name}: {row.ours:.3f} {row.unit} against {row.baseline:.3f}, ratio {row.ratio:.1f} ({row.bound})")
