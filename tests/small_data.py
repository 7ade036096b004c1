"""A small Ref-YouTube-VOS split with ground truth, images and PNG members, written in a moment."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH, N_FRAMES = 32, 48, 3
FRAMES = tuple(f"{5 * index:05d}" for index in range(N_FRAMES))

RECIPE = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
groups: {by: object_id}
models:
  a: {import: png, path: members/a}
  b: {import: png, path: members/b}
  c: {import: png, path: members/c}
stages:
  stage1:
    ab: {fuse: [a, b, c], threshold: 0.5, singles: {threshold: 2}}
  stage2:
    final: {fuse: [ab, c], threshold: 2}
submission: {node: final}
"""


def write_split(root: Path, n_videos: int = 3) -> None:
    """Write `data` (two objects a video, two expressions for the first, one for the other) and three members."""
    videos = {}
    for index in range(n_videos):
        video = f"video{index}"
        expressions = {
            "0": {"exp": "the left thing", "obj_id": "1"},
            "1": {"exp": "a thing that moves", "obj_id": "1"},
            "2": {"exp": "the other thing", "obj_id": "2"},
        }
        videos[video] = {"expressions": expressions, "frames": list(FRAMES)}
        _write_video(root, video, index)
    folder = root / "data" / "meta_expressions" / "valid"
    folder.mkdir(parents=True)
    (folder / "meta_expressions.json").write_text(json.dumps({"videos": videos}))
    (root / "pipeline.yaml").write_text(RECIPE)


def _write_video(root: Path, video: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    images = root / "data" / "valid" / "JPEGImages" / video
    annotations = root / "data" / "valid" / "Annotations" / video
    images.mkdir(parents=True)
    annotations.mkdir(parents=True)
    for t, frame in enumerate(FRAMES):
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        labels[4:20, 4 + 2 * t : 18 + 2 * t] = 1
        labels[10:28, 28:42] = 2
        picture = random.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(picture).save(images / f"{frame}.jpg")
        Image.fromarray(labels).save(annotations / f"{frame}.png")
        for member in "abc":
            for expression, value in (("0", 1), ("1", 1), ("2", 2)):
                shift = tuple(random.integers(-2, 3, 2))
                mask = np.roll(labels == value, shift, (0, 1)).astype(np.uint8) * 255
                folder = root / "members" / member / video / expression
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(folder / f"{frame}.png")
