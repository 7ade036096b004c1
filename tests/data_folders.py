"""Small data sets on disk, in the layouts of the real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = (24, 32)
FRAMES = ("00000", "00005", "00015")


def listed(expressions: Mapping[str, str | None], frames: tuple[str, ...] = FRAMES) -> dict[str, Any]:
    """Return a video of an expression file: expression id -> object id or None."""
    return {
        "expressions": {
            name: {"exp": f"sentence {name}"} | ({} if object_id is None else {"obj_id": object_id})
            for name, object_id in expressions.items()
        },
        "frames": list(frames),
    }


def write_json(path: Path, content: object) -> Path:
    """Write a JSON file and its parents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_png(path: Path, values: NDArray[np.uint8], *, mode: str = "L") -> Path:
    """Write an image with the given stored values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if mode == "P":
        image = Image.frombytes("P", (values.shape[1], values.shape[0]), values.tobytes())
        image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0, 200] + [9] * 756)
    image.save(path)
    return path


def index_map(step: int) -> NDArray[np.uint8]:
    """Return a map with object 1 moving right and object 2 at rest."""
    values = np.zeros(SIZE, np.uint8)
    values[4:10, 2 + 3 * step : 9 + 3 * step] = 1
    values[15:22, 20:30] = 2
    return values


def write_ref_youtube_vos(
    root: Path, videos: Mapping[str, dict[str, Any]], *, split: str = "valid", annotated: bool = True
) -> Path:
    """Write a Ref-YouTube-VOS split with images and, if asked, index maps; return its root."""
    write_json(root / "meta_expressions" / split / "meta_expressions.json", {"videos": videos})
    for video, content in videos.items():
        for step, frame in enumerate(content["frames"]):
            folder = root / split / "JPEGImages" / video
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((*SIZE, 3), 90 + step, np.uint8)).save(folder / f"{frame}.jpg")
            if annotated:
                write_png(root / split / "Annotations" / video / f"{frame}.png", index_map(step), mode="P")
    return root


def write_predictions(folder: Path, videos: Mapping[str, dict[str, Any]]) -> Path:
    """Write perfect masks `<video>/<expression>/<frame>.png` of the data above; return the folder."""
    for video, content in videos.items():
        for name, expression in content["expressions"].items():
            for step, frame in enumerate(content["frames"]):
                mask = index_map(step) == int(expression.get("obj_id", 1))
                write_png(folder / video / name / f"{frame}.png", mask.astype(np.uint8) * 255)
    return folder
