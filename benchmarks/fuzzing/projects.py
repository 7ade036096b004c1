"""Small valid projects with every kind of file that commands read."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco
from safetensors.torch import load_file

from benchmarks.fuzzing.trials import MODEL, attempt
from benchmarks.harness import ROOT
from rvos_fusion.clips.overlays import write_video

SIZE = (32, 48)
FRAMES = ("00000", "00005", "00010")
VIDEOS = ("v1", "v2")
OBJECTS = {"0": 1, "1": 1, "2": 2}
"""Expression -> object."""
RECIPE = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: ws
groups: {by: object_id}
models:
  first: {import: png, path: masks/a}
  second: {import: png, path: masks/b}
  third: {import: png, path: masks/c}
stages:
  stage1:
    pair: {fuse: [first, second, third], threshold: 0.5, groups: {by: agreement, members: [first, second]}}
  stage2:
    final: {fuse: [pair, third], weights: {pair: 2, third: 1}, threshold: 2, singles: {only: pair}}
submission: {node: final}
"""
_DEMO = ROOT / "demo"


def make_masks(video: int) -> NDArray[np.uint8]:
    """Return index maps `(T, H, W)` with two objects."""
    maps = np.zeros((len(FRAMES), *SIZE), np.uint8)
    for t, one in enumerate(maps):
        one[4 + t : 14 + t, 5 + 3 * t + video : 17 + 3 * t + video] = 1
        one[18:28, 30 - 2 * t : 42 - 2 * t] = 2
    return maps


def write_project(folder: Path) -> None:
    """Write a data set of two videos, three members as PNG files, and a recipe."""
    listed: dict[str, Any] = {}
    for index, video in enumerate(VIDEOS):
        texts = ("the red ball", "a ball", "the box")
        expressions = {
            name: {"exp": text, "obj_id": str(OBJECTS[name])} for name, text in zip(OBJECTS, texts, strict=True)
        }
        listed[video] = {"frames": list(FRAMES), "expressions": expressions}
        for frame, labels in zip(FRAMES, make_masks(index), strict=True):
            picture = np.full((*SIZE, 3), 100 + 10 * index, np.uint8)
            picture[labels == 1], picture[labels == 2] = (200, 30, 30), (30, 30, 200)
            write_image(folder / f"data/valid/JPEGImages/{video}/{frame}.jpg", picture)
            write_image(folder / f"data/valid/Annotations/{video}/{frame}.png", labels)
            for step, member in enumerate("abc"):
                for expression, number in OBJECTS.items():
                    mask = np.roll(labels == number, step - 1, 1)
                    write_image(
                        folder / f"masks/{member}/{video}/{expression}/{frame}.png", 255 * mask.astype(np.uint8)
                    )
    write_json(folder / "data/meta_expressions/valid/meta_expressions.json", {"videos": listed})
    write_json(
        folder / "data/valid/meta.json",
        {"videos": {v: {"objects": {"1": {"category": "ball", "frames": list(FRAMES)}}} for v in VIDEOS}},
    )
    (folder / "my.yaml").write_text(RECIPE)
    (folder / "evil.py").write_text("open('was_run', 'w').close()\n\n\ndef build(*_, **__):\n    raise ValueError\n")


def write_image(path: Path, values: NDArray[np.uint8]) -> None:
    """Write an image and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write_json(path: Path, content: object) -> None:
    """Write a JSON file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def each_mask() -> list[tuple[str, str, NDArray[np.bool_]]]:
    """Return (video, expression, masks `(T, H, W)`)."""
    return [
        (video, expression, make_masks(index) == number)
        for index, video in enumerate(VIDEOS)
        for expression, number in OBJECTS.items()
    ]


def write_imports(folder: Path) -> None:
    """Write the project, and its masks in every form that can be imported."""
    write_project(folder)
    runs: dict[str, Any] = {video: {} for video in VIDEOS}
    dump: dict[str, Any] = {video: {} for video in VIDEOS}
    for video, expression, masks in each_mask():
        packed = [coco.encode(np.asfortranarray(one.astype(np.uint8))) for one in masks]
        lists = [{"size": list(SIZE), "counts": one["counts"].decode()} for one in packed]
        runs[video][expression] = {"masks": lists, "scores": [0.5, 0.9, 0.1], "key_frame": 1}
        soft = np.where(masks, 0.9, 0.1).astype(np.float16)
        place = folder / f"npz/{video}/{expression}.npz"
        place.parent.mkdir(parents=True, exist_ok=True)
        np.savez(place, probabilities=soft, masks=masks, scores=np.array([0.5, 0.9, 0.1], np.float32), key_frame=1)
        logits = torch.from_numpy(np.where(masks, 3.0, -3.0).astype(np.float32))
        dump[video][expression] = {"mask_logits": logits, "class_info": [0.5, 0.9, 0.1]}
        for frame, one in zip(FRAMES, soft, strict=True):
            values = (65535 * one.astype(np.float64)).astype(np.uint16)
            write_image(folder / f"png16/{video}/{expression}/{frame}.png", values)
    write_json(folder / "runs.json", runs)
    torch.save(dump, folder / "dump.pth")
    torch.save(dump, folder / "old.pth", _use_new_zipfile_serialization=False)
    write_json(folder / "masks/a/key_frame.json", {video: dict.fromkeys(OBJECTS, 1) for video in VIDEOS})
    zip_masks(folder / "masks.zip", folder / "masks/b")


def zip_masks(path: Path, masks: Path) -> None:
    """Write an archive of a folder of masks, as a server takes it."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(masks.rglob("*.png")):
            archive.write(file, f"Annotations/{file.relative_to(masks)}")


def write_finished(folder: Path) -> None:
    """Write the project, run it, and write what commands make of it and read again."""
    write_project(folder)
    call(folder, "run", "my.yaml", "--quiet")
    call(folder, "submit", "my.yaml")
    write_json(folder / "team.json", {"team": "ours"})


def call(folder: Path, *words: str) -> None:
    """Run a command there that must not fail."""
    outcome = attempt(words, folder, own=[""])
    if outcome.status:
        raise RuntimeError(f"rvos {' '.join(words)}: status {outcome.status}: {outcome.shown} {outcome.faults}")


def write_checkpoints(folder: Path) -> None:
    """Write files of networks: our own, and such as other programs save."""
    for name in ("soc", "aot", "uninext"):
        (folder / f"{name}.safetensors").write_bytes((_DEMO / f"checkpoints/{name}.safetensors").read_bytes())
    small = dict(list(load_file(str(folder / "aot.safetensors")).items())[:20])
    saved = {"model": small, "epoch": 3, "args": {"lr": 1e-4}}
    torch.save(saved, folder / "new.pth")
    torch.save(saved, folder / "old.pth", _use_new_zipfile_serialization=False)
    arrays = {name: tensor.float().numpy() for name, tensor in list(small.items())[:5]}
    (folder / "arrays.pkl").write_bytes(pickle.dumps({"model": arrays, "__author__": "x"}, protocol=2))


def write_recipes(folder: Path) -> None:
    """Write the bundled recipes, beside the files that they name."""
    write_project(folder)
    for path in (ROOT / "pipeline.yaml", *sorted((ROOT / "recipes").glob("*.yaml"))):
        (folder / path.name).write_text(
            path.read_text().replace("../demo", str(_DEMO)).replace(": demo/", f": {_DEMO}/")
        )


def write_trainings(folder: Path) -> None:
    """Write the bundled configurations of trainings; the data that they name are not there."""
    for path in sorted((ROOT / "rvos_fusion/training/configs").glob("small_*.yaml")):
        (folder / path.name).write_text(path.read_text())


def write_samples(form: str) -> Callable[[Path], None]:
    """Return what writes a data set of another format, a recipe for it that is finished, and its masks as files."""

    def write(folder: Path) -> None:
        split = {"mevis": "valid_u", "a2d-sentences": "test", "jhmdb-sentences": "test"}.get(form, "valid")
        call(folder, "synthesize", "--seed", "3", "--videos", "1", "--format", form, "--split", split, "--out", "data")
        write_plain_model(folder, f"{{format: {form}, root: data, split: {split}}}")
        call(folder, "run", "pipeline.yaml", "--quiet")
        call(folder, "export", "plain", "--workspace", "ws", "--out", "masks")

    return write


def write_plain_model(folder: Path, dataset: str) -> None:
    """Write a recipe whose model needs no network."""
    (folder / MODEL).write_text(MODELS[0])
    (folder / "pipeline.yaml").write_text(
        f"dataset: {dataset}\nworkspace: ws\ngroups: {{by: none}}\n"
        'models: {plain: {runner: "plain_model:build"}}\n'
        "stages: {one: {kept: {fuse: [plain], threshold: 1}}}\nsubmission: {node: plain}\n"
    )


def write_clip(folder: Path) -> None:
    """Write a clip, a folder of pictures, and a recipe whose model needs no network."""
    random = np.random.default_rng(0)
    frames = [random.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(3)]
    write_video(folder / "clip.mp4", frames, frames_per_second=6)
    for number, frame in enumerate(frames):
        for suffix in ("png", "jpg", "webp", "bmp"):
            write_image(folder / f"pictures_{suffix}/{number}.{suffix}", frame)
    write_plain_model(folder, "{format: ref-youtube-vos, root: elsewhere, split: valid}")


MODELS = [
    part.split("```")[0] for part in (ROOT / "docs/own_model.md").read_text(encoding="utf-8").split("```python\n")
][1:3]
"""A model as a module, and one as a program, from the documents."""
