"""Whole recipes with files of official size on a few synthetic clips: time, memory and share of the machine by node.

Each node runs in a process of its own, right after a large product was measured, and what counts is processor time.
Masks of networks whose weights follow from names mean nothing; what is multiplied and held is that of official ones.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.harness import ROOT, matrix_rate
from rvos.videos import Video
from rvos_fusion.kinds.base import Node
from rvos_fusion.planning.foresight import Foresight
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.synthetic.writers.files import write_dataset
from rvos_fusion.synthetic.writers.mevis import write_mevis

_GIB_OF_KIB, _GIGA = 1 << 20, 1e9
_SEED = 1
_PATHS = ("checkpoint={}/sam3.pt", "tokenizer={}/clip")


@dataclass(frozen=True, slots=True)
class Clips:
    """What the recipes run on: how many videos, frames and sentences of each, and (H, W) of the frames."""

    n_videos: int = 2
    n_frames: int = 5
    n_sentences: int = 3
    size: tuple[int, int] = (720, 1280)


@dataclass(frozen=True, slots=True)
class Trial:
    """A recipe: the split that it reads, and what it needs beside the folders of data and weights.

    Args:
        settings: for `--set`; `{}` stands for the folder of weights.
    """

    split: str
    settings: tuple[str, ...] = ()


TRIALS: Mapping[str, Trial] = {
    "paper": Trial("valid"),
    "mevis_refinement": Trial("valid_u", ("models.mutr.checkpoint={}/mutr_video_swin_b.pth",)),
    "mevis_concepts": Trial(
        "valid_u",
        (
            "engines.sam3.checkpoint={}/sam3.pt",
            *(f"detectors.concepts.{path}" for path in _PATHS),
            "detectors.dino.checkpoint={}/grounding-dino-base",
        ),
    ),
}
"""By the name of the recipe. The released one reads what other programs wrote; its engines are those of the paper."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A node that has run.

    Args:
        seconds: of processors, a frame of a video with all its sentences; starting and loading are included.
        gib: largest memory of its process.
        share: of the rate of a large product on as many processor seconds; None: nobody has counted its network.
        status: of its process.
    """

    recipe: str
    node: str
    seconds: float
    gib: float
    share: float | None
    status: int


def run(weights: Path, work: Path, names: Sequence[str], clips: Clips) -> Iterator[Ran]:
    """Yield the nodes with a network of some recipes, as soon as each has run; `work` gets clips and results."""
    for name in names or TRIALS:
        trial = TRIALS[name]
        data = write_clips(work / f"data-{trial.split}", trial.split, clips)
        settings = [f"paths.weights={weights.resolve()}", f"dataset.root={data}", f"dataset.split={trial.split}"]
        settings += [text.format(weights.resolve()) for text in trial.settings]
        settings.append(f"workspace={(work / 'runs' / name).resolve()}")
        path = ROOT / "recipes" / f"{name}.yaml"
        recipe = read_recipe(path, settings)
        videos = recipe.dataset.open().videos
        for node in build_graph(recipe).nodes:
            yield _run_node(path, settings, node, videos)


def _run_node(path: Path, settings: Sequence[str], node: Node, videos: Sequence[Video]) -> Ran:
    rate = matrix_rate() / _GIGA
    words = [word for text in settings for word in ("--set", text)]
    command = [
        sys.executable,
        "-m",
        "rvos_fusion.commands.cli",
        "run",
        str(path),
        "--node",
        node.name,
        "--quiet",
        *words,
    ]
    process = subprocess.Popen(command, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = usage.ru_utime + usage.ru_stime
    efforts = [Foresight().foresee(node, video) for video in videos]
    products = sum(effort.multiply_adds for effort in efforts if effort is not None)
    code = os.waitstatus_to_exitcode(status)
    share = products / seconds / rate if products and not code else None
    frames = sum(video.n_frames for video in videos)
    return Ran(path.stem, node.name, seconds / frames, usage.ru_maxrss / _GIB_OF_KIB, share, code)


def write_clips(root: Path, split: str, clips: Clips) -> Path:
    """Write synthetic clips of a size, without their truth, and return their folder; what is there is made anew."""
    shutil.rmtree(root, ignore_errors=True)
    write = write_mevis if split == "valid_u" else write_dataset
    write(root, seed=_SEED, n_videos=clips.n_videos, split=split)
    listed = next(root.rglob("meta_expressions*.json"))
    entries = json.loads(listed.read_text(encoding="utf-8"))
    for name, video in entries["videos"].items():
        video["frames"] = video["frames"][: clips.n_frames]
        video["expressions"] = dict(list(video["expressions"].items())[: clips.n_sentences])
        for path in (root / split / "JPEGImages" / name).iterdir():
            if path.stem in video["frames"]:
                with Image.open(path) as picture:
                    picture.resize(clips.size[::-1], Image.Resampling.BICUBIC).save(path, quality=95)
            else:
                path.unlink()
    listed.write_text(json.dumps(entries), encoding="utf-8")
    shutil.rmtree(root / split / "Annotations", ignore_errors=True)
    for truth in ("mask_dict.json", "meta.json"):
        (root / split / truth).unlink(missing_ok=True)
    return root.resolve()
