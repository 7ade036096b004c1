"""A data set in the refer format: one image with two things in it, two sentences about the first."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (40, 48)
_SQUARES = {1: [5, 5, 22, 5, 22, 30, 5, 30], 2: [28, 8, 44, 8, 44, 36, 28, 36]}


def write_refer(root: Path) -> None:
    """Write `refs(unc).p`, `instances.json` and the image."""
    sentences = [{"sent": "the left thing"}, {"sent": "a thing"}]
    references = [{"ann_id": 1, "split": "train", "sentences": sentences}]
    (root / "refs(unc).p").write_bytes(pickle.dumps(references, protocol=2))
    instances = {
        "images": [{"id": 3, "file_name": "one.jpg", "height": SIZE[0], "width": SIZE[1]}],
        "annotations": [{"id": key, "image_id": 3, "segmentation": [points]} for key, points in _SQUARES.items()],
    }
    (root / "instances.json").write_text(json.dumps(instances))
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)).save(root / "one.jpg")
