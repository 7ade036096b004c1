"""A tiny labelled data set in the layout of Ref-YouTube-VOS: coloured squares that move."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

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


def write_small_mevis(root: Path, *, split: str = "train") -> Path:
    """Write one of these videos in the layout of MeViS: sentences about one square, about both, and about none."""
    write_small_videos(root, n_videos=1, split=split)
    folder = root / split
    label_paths = sorted((folder / "Annotations" / "video0").iterdir())
    labels = [np.array(Image.open(path)) for path in label_paths]
    (folder / "mask_dict.json").write_text(
        json.dumps({str(name): [_run_lengths(label == name) for label in labels] for name in (1, 2)})
    )
    named = {"the red square": [1], "the squares": [1, 2], "the circle": []}
    expressions = {str(i): {"exp": text, "anno_id": ids, "obj_id": ids} for i, (text, ids) in enumerate(named.items())}
    video = {"frames": [path.stem for path in label_paths], "expressions": expressions}
    listed = root / "meta_expressions" / split / "meta_expressions.json"
    listed.write_text(json.dumps({"videos": {"video0": video}}))
    return root


def _run_lengths(mask: NDArray[np.bool_]) -> dict[str, object]:
    found = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": found["counts"].decode()}
