"""The report of a whole validation split in Chromium: how long it takes to open, what it holds in memory, its size.

The workspace is fabricated: 202 videos of 12 frames at 720p with four expressions, and masks of 14 nodes that no
network made. `rvos report` then does what it does for real results. `python -m benchmarks.report_page FOLDER` keeps it
there; a second call measures the same page again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.harness import Row, growth, limit
from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main as rvos
from rvos_fusion.planning.plan import make_plan
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe

N_VIDEOS, N_FRAMES, N_PATTERNS = 202, 12, 8
SIZE = (720, 1280)
MOST_HEAP = 150.0
_TENTH, _MOST_TIMES = 20, 3.0
_LOOKED_AT = 40
_MEGABYTE = 1e6
_MEMBERS = tuple(f"member{place}" for place in range(6))
_FUSIONS = tuple(f"fused{place}" for place in range(8))


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds to the first drawn masks; megabytes of the JavaScript heap then, and after a walk through many videos."""

    seconds: float
    heap: float
    heap_after: float


def run() -> Iterator[Row]:
    """Yield the bounds of the page."""
    with tempfile.TemporaryDirectory() as folder:
        page = write_report(Path(folder) / "whole")
        small = measure(write_report(Path(folder) / "tenth", _TENTH))
        found = measure(page)
        size = measure_size(page)
    name = f"report of {N_VIDEOS} videos x 4 x 14"
    yield growth(f"{name}: opens, against {_TENTH} videos", found.seconds, small.seconds, _MOST_TIMES, "s")
    for when, heap in (("opened", found.heap), (f"after {_LOOKED_AT} videos", found.heap_after)):
        yield limit(f"{name}: heap {when}", heap, MOST_HEAP, "MB, ours/limit")
    yield growth(f"{name}: page alone, of whole report", *size, 0.1, "MB")


def write_report(folder: Path, n_videos: int = N_VIDEOS) -> Path:
    """Write data, a workspace that looks finished, and its report, as far as they are not there; return the page."""
    page, recipe = folder / "runs" / "report.html", folder / "recipe.yaml"
    if not recipe.is_file():
        _write_data(folder, n_videos)
        _write_results(_write_recipe(folder))
    if not page.is_file():
        words = [str(recipe), "--no-sweeps", "--quiet", "--jobs", "2"]
        if rvos(["report", *words]) != 0:
            raise RuntimeError("rvos report failed")
    return page


def measure(page: Path) -> Measured:
    """Return what opening the page and walking through its videos takes."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1500, "height": 950})
        opened.goto("about:blank")
        start = time.perf_counter()
        opened.goto(page.as_uri())
        _wait(opened)
        seconds = time.perf_counter() - start
        heap = _read_heap(opened)
        opened.focus("#expressions")
        for _ in range(_LOOKED_AT * 4):
            opened.keyboard.press("ArrowDown")
            _wait(opened)
        found = Measured(seconds, heap, _read_heap(opened))
        browser.close()
    return found


def measure_size(page: Path) -> tuple[float, float]:
    """Return megabytes of the page, and of it with its folder."""
    files = page.with_name(f"{page.stem}_files")
    parts = sum(path.stat().st_size for path in files.rglob("*") if path.is_file())
    own = page.stat().st_size
    return own / _MEGABYTE, (own + parts) / _MEGABYTE


def _wait(page: Page) -> None:
    page.wait_for_function("!document.body.hasAttribute('aria-busy') && document.querySelector('#live-vote')")


def _read_heap(page: Page) -> float:
    session = page.context.new_cdp_session(page)
    used: float = session.send("Runtime.getHeapUsage")["usedSize"]
    return used / _MEGABYTE


def _write_data(folder: Path, n_videos: int) -> None:
    """Write a split with two objects a video; the pictures of equal patterns are one file each."""
    split = folder / "data" / "valid"
    frames = [f"{5 * index:05d}" for index in range(N_FRAMES)]
    for pattern in range(N_PATTERNS):
        for index, frame in enumerate(frames):
            labels = sum((place + 1) * draw_object(pattern, place, index, 0) for place in range(2))
            for kind in ("JPEGImages", "Annotations"):
                (folder / "patterns" / kind / str(pattern)).mkdir(parents=True, exist_ok=True)
            picture = _draw_picture(pattern, np.minimum(labels, 2).astype(np.uint8))
            Image.fromarray(picture).save(folder / "patterns" / "JPEGImages" / str(pattern) / f"{frame}.jpg")
            Image.fromarray(np.minimum(labels, 2).astype(np.uint8)).save(
                folder / "patterns" / "Annotations" / str(pattern) / f"{frame}.png"
            )
    videos = {}
    for number in range(n_videos):
        name = f"video{number:03d}"
        for kind in ("JPEGImages", "Annotations"):
            own = split / kind / name
            own.mkdir(parents=True)
            for path in (folder / "patterns" / kind / str(number % N_PATTERNS)).iterdir():
                os.link(path, own / path.name)
        texts = ("the shape on the left", "a shape that sinks", "the other shape", "the one that moves to the right")
        expressions = {str(e): {"exp": f"{text} of {name}", "obj_id": str(e // 2 + 1)} for e, text in enumerate(texts)}
        videos[name] = {"expressions": expressions, "frames": frames}
    words = folder / "data" / "meta_expressions" / "valid"
    words.mkdir(parents=True)
    (words / "meta_expressions.json").write_text(json.dumps({"videos": videos}))


def _write_recipe(folder: Path) -> Path:
    models = "".join(f"  {name}: {{import: png, path: members/{name}}}\n" for name in _MEMBERS)
    fusions = "".join(
        f"    {name}: {{fuse: [{', '.join(_MEMBERS[place % 4 : place % 4 + 3])}], threshold: 0.5}}\n"
        for place, name in enumerate(_FUSIONS)
    )
    for name in _MEMBERS:
        (folder / "members" / name).mkdir(parents=True)
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        "dataset: {format: ref-youtube-vos, root: data, split: valid}\nworkspace: runs\ngroups: {by: object_id}\n"
        f"models:\n{models}stages:\n  stage1:\n{fusions}submission: {{node: {_FUSIONS[-1]}}}\n"
    )
    return recipe


def _write_results(path: Path) -> None:
    """Store masks of every node under the fingerprints that the recipe asks for."""
    recipe = read_recipe(path)
    dataset = recipe.dataset.open()
    plan = make_plan(recipe, build_graph(recipe), dataset.videos)
    store = Store(recipe.workspace)
    order = {video.id: number for number, video in enumerate(dataset.videos)}
    known: dict[tuple[int, int, int], tuple[bytes, ...]] = {}
    for place, (node, tasks) in enumerate(plan.tasks.items()):
        for task in tasks:
            pattern = order[task.video.id] % N_PATTERNS
            sequences = []
            for number, expression in enumerate(task.video.expressions):
                key = (pattern, number if place < len(_MEMBERS) else number // 2 * 2, place)
                if key not in known:
                    drawn = [draw_object(pattern, number // 2, frame, 1 + sum(key)) for frame in range(N_FRAMES)]
                    known[key] = encode(np.stack(drawn).astype(np.bool_))
                scores = np.linspace(0.3, 0.9, N_FRAMES, dtype=np.float32)
                sequences.append(
                    MaskSequence(
                        task.video.id, expression.id, task.video.frames, SIZE, known[key], np.roll(scores, place)
                    )
                )
            # Nobody needs these results after a power cut: without waiting for the disk.
            with patch("os.fsync"):
                store.write(node, task.video.id, sequences, task.fingerprint)


def draw_object(pattern: int, place: int, frame: int, noise: int) -> NDArray[np.uint8]:
    """Return a moving blob `(H, W)`, 0 or 1; `noise` bends its outline, 0 does not."""
    random = np.random.default_rng([pattern, place, noise, frame])
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    radius = (90 + 25 * place + 12 * pattern) * (1 + 0.15 * np.sin(3 * angles + pattern))
    radius += (9 if noise else 0) * random.standard_normal(angles.size)
    centre = np.array([300 + 500 * place + 12 * frame, 330 + 6 * frame * (1 - 2 * place)])
    outline = centre + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    mask = np.zeros(SIZE, np.uint8)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    return mask


def _draw_picture(pattern: int, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    random = np.random.default_rng(pattern)
    coarse = random.integers(40, 200, (9, 16, 3), dtype=np.uint8)
    picture = np.asarray(cv2.resize(coarse, (SIZE[1], SIZE[0]), interpolation=cv2.INTER_CUBIC), np.uint8)
    colours = random.integers(0, 255, (3, 3), dtype=np.uint8)
    return np.where((labels > 0)[..., None], colours[labels], picture)


def main(folder: Path) -> None:
    """Write the report to a folder, measure it, and print the figures."""
    start = time.perf_counter()
    page = write_report(folder)
    print(f"written in {time.perf_counter() - start:.0f} s (0 where it was there)")
    found = measure(page)
    own, whole = measure_size(page)
    print(
        f"opens in {found.seconds:.2f} s; heap {found.heap:.1f} MB, after {_LOOKED_AT} videos {found.heap_after:.1f} MB"
    )
    print(f"page {own:.2f} MB, with its folder {whole:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
