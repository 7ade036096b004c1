"""Ref-DAVIS17: table and sweep score in the protocol of the data set, as `evaluate` does for the archive."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data_folders import listed, write_json, write_png

from rvos_fusion.commands.cli import main

FRAMES = ("00000", "00001", "00002")
RECIPE = """\
dataset: {format: ref-davis17, root: data, split: valid}
workspace: runs
models:
  a: {import: png, path: a}
  b: {import: png, path: b}
stages:
  stage1:
    both: {fuse: [a, b], threshold: 2, groups: {by: none}}
    any: {fuse: [a, b], threshold: 1, groups: {by: none}}
submission: {node: both}
"""


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Two objects, four annotators each; members whose masks of the two objects overlap."""
    rng = np.random.default_rng(0)
    videos = {}
    for video, n_objects in (("goat", 2), ("dog", 1)):
        videos[video] = listed({str(4 * o + a): str(o + 1) for o in range(n_objects) for a in range(4)}, FRAMES)
        for t, frame in enumerate(FRAMES):
            maps = np.zeros((24, 32), np.uint8)
            maps[2:14, 2 + t : 15 + t] = 1
            maps[10:22, 12 : 28 - t] = n_objects
            write_png(tmp_path / f"data/DAVIS/Annotations_unsupervised/480p/{video}/{frame}.png", maps, mode="P")
            for member in "ab":
                for expression in range(4 * n_objects):
                    mask = np.roll(maps == expression // 4 + 1, rng.integers(-3, 4, 2), (0, 1))
                    write_png(tmp_path / f"{member}/{video}/{expression}/{frame}.png", mask.astype(np.uint8) * 255)
    write_json(tmp_path / "data/meta_expressions/valid/meta_expressions.json", {"videos": videos})
    (tmp_path / "pipeline.yaml").write_text(RECIPE)
    assert main(["run", str(tmp_path / "pipeline.yaml"), "--quiet"]) == 0
    return tmp_path


def read_printed(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    content: dict = json.loads(capsys.readouterr().out)
    return content


def test_table_and_sweep_have_the_scores_of_the_archive(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, archive = str(finished / "pipeline.yaml"), str(finished / "runs/submission.zip")
    rows = {row["node"]: row for row in read_printed(capsys, "table", recipe, "a", "both", "any")["rows"]}
    swept = read_printed(capsys, "sweep", recipe, "both", "--thresholds", "2", "1")["settings"]
    for row, node in zip(swept, ("both", "any"), strict=True):
        assert main(["submit", recipe, "--node", node]) == 0
        scored = read_printed(capsys, "evaluate", str(finished / "data"), archive, "--format", "ref-davis17")
        assert [rows[node]["j"], rows[node]["f"]] == pytest.approx([100 * scored["J"], 100 * scored["F"]], abs=1e-9)
        assert [row["j"], row["f"]] == pytest.approx([100 * scored["J"], 100 * scored["F"]], abs=1e-9)


def test_a_video_of_two_frames_is_named_and_left_out(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without its first and last frame nothing of it is left, and the other video keeps its score."""
    words = ["evaluate", str(finished / "data"), str(finished / "a"), "--format", "ref-davis17"]
    words += ["--task", "semi-supervised"]
    expressions = finished / "data/meta_expressions/valid/meta_expressions.json"
    content = json.loads(expressions.read_text())
    whole = content["videos"].pop("goat")
    expressions.write_text(json.dumps(content))
    alone = read_printed(capsys, *words)
    content["videos"]["goat"] = whole | {"frames": FRAMES[:2]}
    expressions.write_text(json.dumps(content))
    scored = read_printed(capsys, *words)
    assert scored["J&F"] == alone["J&F"]
    assert scored["strays"] == ["goat: 2 frames, none is left without the first and the last; left out"]
    del content["videos"]["dog"]
    expressions.write_text(json.dumps(content))
    assert main(words) == 2
    assert "goat: 2 frames" in capsys.readouterr().err
