"""A tiny labelled data set in the layout of Ref-YouTube-VOS: coloured squares that move."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (48, 64)
TRAINING = """\
name: small
task: referformer
network:
  hidden_dim: 32
  heads: 4
  encoder_layers: 1
  decoder_layers: 2
  feedforward: 16
  queries: 3
  mask_dim: 8
  backbone: small
  backbone_sizes: {kind: resnet, width: 8, depths: [1, 1, 1, 1], norm: group}
  text: {vocab_size: 200, hidden: 16, layers: 1, heads: 2, intermediate: 16, max_tokens: 32}
data:
  videos:
    - {folder: {root: videos}, frames: 2, sampling: spread, augmentation: {short_sides: [48]}}
optimiser: {rate: 1e-3}
loop: {steps: 1, batch: 2, save_every: 0}
"""
"""A small training on them, where they lie in a folder `videos` beside it."""


def write_small_videos(root: Path, *, n_videos: int = 2, n_frames: int = 6, split: str = "train") -> Path:
    """Write videos with two squares each; object 2 is missing in frame 0. Return `root`."""
    meta, expressions = {}, {}
    for number in range(n_videos):
        name = f"video{number}"
        frames = [f"{5 * index:05d}" for index in range(n_frames)]
        pictures, masks = (root / split / part / name for part in ("JPEGImages", "Annotations"))
        for folder in (pictures, masks):
            folder.mkdir(parents=True)
        for index, frame in enumerate(frames):
            label = np.zeros(SIZE, np.uint8)
            label[10:22, 4 + 4 * index : 16 + 4 * index] = 1
            if index:
                label[28:42, 40 - 3 * index : 54 - 3 * index] = 2
            colours = np.array([[40, 40, 40], [200, 30, 30], [30, 30, 200]], np.uint8)
            Image.fromarray(colours[label]).save(pictures / f"{frame}.jpg", quality=95)
            Image.fromarray(label).save(masks / f"{frame}.png")
        texts = (("the red square on the left", "1", "appearance"), ("the blue square moving left", "2", "motion"))
        expressions[name] = {
            "frames": frames,
            "expressions": {
                str(i): {"exp": text, "obj_id": target, "kind": kind} for i, (text, target, kind) in enumerate(texts)
            },
        }
        meta[name] = {"objects": {"1": {"category": "square"}, "2": {"category": "square"}}}
    folder = root / "meta_expressions" / split
    folder.mkdir(parents=True)
    (folder / "meta_expressions.json").write_text(json.dumps({"videos": expressions}), encoding="utf-8")
    (root / split / "meta.json").write_text(json.dumps({"videos": meta}), encoding="utf-8")
    return root
