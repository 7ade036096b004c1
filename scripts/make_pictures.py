"""The pictures of the README and the documentation, from the results of `make demo`.

`python scripts/make_pictures.py` draws the sentence that fusion gains most on, and takes the report page with Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image

import rvos_fusion as rf

PROJECT = Path(__file__).resolve().parents[1]
MEMBERS = {"soc": "SOC", "mutr": "MUTR", "referformer": "ReferFormer", "uninext": "UNINEXT"}
STAGES = {"stage1": "Stage I", "stage2": "Stage II", "final": "Final"}
# Told apart by people who see few colours too, and seldom the colours of objects.
COLOURS = {"right": "#56b4e9", "too much": "#d55e00", "missed": "#cc0077"}
OPACITY = 0.75
LEAST_AREA = 0.02
"""Of the frame."""
WINDOW = "1280,900"


def main() -> int:
    """Draw both pictures into a folder; 1 where there is no Chromium for the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, default=PROJECT / "runs" / "demo")
    parser.add_argument("--out", type=Path, default=PROJECT / "docs")
    options = parser.parse_args()
    recipe = rf.open_recipe(PROJECT / "pipeline.yaml", workspace=options.workspace)
    video, sentence = choose(recipe)
    draw(recipe, video, sentence, options.out / "answers.png")
    return take_page(options.workspace / "report.html", options.out / "report.png", video, sentence)


def measure(recipe: rf.OpenedRecipe, node: str, video: str) -> dict[str, float]:
    """Return J&F in per cent of every sentence of a video."""
    truth = recipe.truth(video)
    masks = recipe.masks(node, video)
    return {name: 0.5 * float(sum(rf.score(masks[name], truth[name]))) for name in truth}


def choose(recipe: rf.OpenedRecipe) -> tuple[str, str]:
    """Return video and sentence of the largest gain where no stage falls, of an object large enough to see."""
    gains = {}
    for video in recipe.videos:
        scores = {node: measure(recipe, node, video) for node in (*MEMBERS, *STAGES)}
        for sentence, truth in recipe.truth(video).items():
            members = [scores[node][sentence] for node in MEMBERS]
            steps = [float(np.mean(members)), *(scores[node][sentence] for node in STAGES)]
            if truth.mean() >= LEAST_AREA and steps == sorted(steps):
                gains[video, sentence] = steps[-1] - steps[0]
    return max(gains, key=lambda place: gains[place])


def draw(recipe: rf.OpenedRecipe, video: str, sentence: str, target: Path) -> None:
    """Draw one frame with the truth, the answer of every member and of every stage."""
    truth = recipe.truth(video)[sentence]
    frame = int(np.median(np.flatnonzero(truth.any(axis=(1, 2)))))
    image = np.asarray(Image.open(recipe.images(video)[frame]).convert("RGB"))
    figure = Figure(figsize=(10, 4.1), layout="constrained")
    panels = figure.subplots(2, 4).flatten()
    tiles = [("the truth", "", truth[frame])]
    for node, name in {**MEMBERS, **STAGES}.items():
        score = measure(recipe, node, video)[sentence]
        tiles.append((name, f"  J&F {score:.0f}", recipe.masks(node, video)[sentence][frame]))
    for panel, (name, score, mask) in zip(panels, tiles, strict=True):
        panel.imshow(paint(image, mask, truth[frame]))
        panel.set_title(name + score, fontsize=11, loc="left")
        panel.set_axis_off()
    figure.suptitle(f"“{recipe.sentences(video)[sentence]}”", fontsize=14)
    figure.legend(
        handles=[Patch(color=colour, label=name) for name, colour in COLOURS.items()],
        loc="outside lower center",
        ncols=len(COLOURS),
        frameon=False,
    )
    figure.savefig(target, dpi=100, metadata={"Software": None})


def paint(image: NDArray[np.uint8], mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a frame with the pixels of a mask that are right, too much and missed in their colours."""
    painted = image.astype(np.float32)
    for name, area in {"right": mask & truth, "too much": mask & ~truth, "missed": truth & ~mask}.items():
        colour = np.array([int(COLOURS[name][start : start + 2], 16) for start in (1, 3, 5)], np.float32)
        painted[area] = (1 - OPACITY) * painted[area] + OPACITY * colour
    return painted.astype(np.uint8)


def take_page(page: Path, target: Path, video: str, sentence: str) -> int:
    """Photograph the report at a sentence, the first member beside the last stage."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None or not page.is_file():
        print(f"{target}: not made; it needs chromium and {page} (make demo)", file=sys.stderr)
        return 1
    link = f"{page.resolve().as_uri()}#video={video}&expression={sentence}&a=soc&b=final"
    with TemporaryDirectory() as folder:
        words = [browser, "--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}"]
        words += [f"--window-size={WINDOW}", "--virtual-time-budget=8000", f"--screenshot={target.resolve()}", link]
        subprocess.run(words, check=True, capture_output=True, timeout=300)
    return 0


if __name__ == "__main__":
    sys.exit(main())
