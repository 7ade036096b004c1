"""`rvos segment`: a clip and sentences in, masks, an overlay video and a page out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from referring_helpers import small_network

from pipeline.cli import main
from pipeline.overlays import read_video, write_video
from runners.checkpoints import save_network

RECIPE = """\
dataset: {format: ref-youtube-vos, root: elsewhere, split: valid}
workspace: runs
groups: {by: object_id}
models:
  referformer: {runner: referformer, checkpoint: referformer.safetensors, options: {short_side: 48}}
stages:
  stage1:
    kept: {fuse: [referformer], threshold: 0.5, singles: {only: referformer}}
submission: {node: kept}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    network = small_network("referformer")
    save_network(tmp_path / "referformer.safetensors", "referformer", network.config, network, torch.float16)
    (tmp_path / "pipeline.yaml").write_text(RECIPE)
    random = np.random.default_rng(0)
    frames = [random.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(3)]
    write_video(tmp_path / "clip.mp4", frames, frames_per_second=6)
    return tmp_path


def segment(folder: Path, *words: str) -> int:
    recipe, out = str(folder / "pipeline.yaml"), str(folder / "out")
    return main(["segment", str(folder / "clip.mp4"), *words, "--recipe", recipe, "--out", out, "--quiet"])


def test_masks_overlay_and_page_are_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segment(folder, "the red ball", "the box it hits") == 0
    printed = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == [folder / "out" / name for name in ("masks", "overlay.mp4", "report.html")]
    masks = sorted(path.relative_to(printed[0]) for path in printed[0].rglob("*.png"))
    assert masks == [Path(e) / f"{frame:05d}.png" for e in ("0", "1") for frame in range(3)]
    with Image.open(printed[0] / masks[0]) as mask:
        assert (mask.mode, mask.size) == ("L", (64, 48))
    assert len(list(read_video(printed[1]))) == 3
    assert "the box it hits" in printed[2].read_text()


def test_a_second_call_reuses_the_masks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segment(folder, "the red ball") == 0
    stored = next((folder / "out" / "workspace").rglob("kept/*.masks"))
    before = stored.stat().st_mtime_ns
    assert segment(folder, "the red ball") == 0
    assert stored.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "--node", "stage9"], "no result 'stage9'"),
        (["a", "--every", "0"], "--every 0"),
        (["a", "--set", "models.referformer.checkpoint=absent.pth"], "absent.pth"),
    ],
    ids=["node", "every", "checkpoint"],
)
def test_wrong_words_give_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert segment(folder, *words) == 2
    assert message in capsys.readouterr().err
