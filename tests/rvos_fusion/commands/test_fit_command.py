"""`rvos fit`: what it learns, what it writes, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusion.fitted_files import read_fitted
from rvos.masks.mask_sequences import encode
from rvos_fusion.commands.cli import main

FRAMES = ["00000", "00005"]
RECIPE = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
groups: {by: runs, members: [a, b]}
models:
  a: {import: rle, path: a}
  b: {import: rle, path: b}
stages:
  stage1:
    final: {fuse: [a, b], method: assign, fitted: fit.json}
    voted: {fuse: [a, b], threshold: 0.5}
submission: {node: final}
"""


def write_set(root: Path, n_videos: int) -> Path:
    """Write videos of two objects with two sentences each; a tells by its score when it is wrong, b is often wrong."""
    random = np.random.default_rng(0)
    videos = {}
    for index in range(n_videos):
        expressions = {str(i): {"exp": f"thing {i}", "obj_id": str(1 + i // 2)} for i in range(4)}
        videos[f"v{index:02d}"] = {"expressions": expressions, "frames": FRAMES}
        for name, chance in (("a", 0.3), ("b", 0.5)):
            content = {}
            for i in range(4):
                wrong = random.random() < chance
                shown = (i // 2 + wrong) % 2
                score = random.uniform(0.1, 0.4) if wrong else random.uniform(0.5, 0.9)
                rows = encode(box(shown))
                masks = [{"size": [8, 16], "counts": row.decode()} for row in rows]
                content[str(i)] = {"masks": masks, "scores": [score, score]}
            (root / name).mkdir(exist_ok=True)
            (root / name / f"v{index:02d}.json").write_text(json.dumps(content))
        labels = np.where(box(0)[0], 1, np.where(box(1)[0], 2, 0)).astype(np.uint8)
        folder = root / "data/valid/Annotations" / f"v{index:02d}"
        folder.mkdir(parents=True)
        for frame in FRAMES:
            Image.fromarray(labels).save(folder / f"{frame}.png")
    listed = root / "data/meta_expressions/valid/meta_expressions.json"
    listed.parent.mkdir(parents=True)
    listed.write_text(json.dumps({"videos": videos}))
    (root / "pipeline.yaml").write_text(RECIPE)
    return root / "pipeline.yaml"


def box(place: int) -> np.ndarray:
    masks = np.zeros((2, 8, 16), bool)
    masks[:, 2:6, 8 * place + 1 : 8 * place + 6] = True
    return masks


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = write_set(tmp_path, 20)
    assert main(["run", str(path), "--quiet", "--set", "stages.stage1.final={fuse: [a, b], threshold: 0.5}"]) == 0
    return path


def test_scores_that_tell_right_from_wrong_are_learned(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(recipe), "final", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["videos"] == 20
    fitted = read_fitted(recipe.parent / "fit.json")
    assert fitted.members == ("a", "b")
    assert fitted.scores["a"].chance(0.8) > 0.8 > 0.2 > fitted.scores["a"].chance(0.2)
    assert fitted.deciders == ("a", "b")
    assert found["low"] > 0
    assert found["advice"] == "take the fit"
    assert main(["run", str(recipe), "--quiet"]) == 0


def test_a_gain_that_others_may_not_have_is_no_reason_to_change_the_recipe(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", str(recipe), "voted", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["low"] <= 0 < found["fitted"] - found["plain"] + 1e-9
    assert found["advice"] == "keep the recipe"
    assert main(["fit", str(recipe), "voted"]) == 0
    told = capsys.readouterr().out
    assert "keep the recipe" in told
    assert "for the recipe" not in told
    assert main(["fit", str(recipe), "final"]) == 0
    assert "keep the recipe" not in capsys.readouterr().out


def test_votes_print_weights_and_threshold(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(recipe), "voted", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["weights"]) == {"a", "b"}
    assert found["fitted"] >= found["plain"]
    settings = f"weights: {json.dumps(found['weights'])}, threshold: {found['threshold']}"
    again = f"stages.stage1.voted={{fuse: [a, b], {settings}}}"
    assert main(["fit", str(recipe), "final"]) == 0
    assert main(["run", str(recipe), "--quiet", "--set", again]) == 0


def test_few_videos_need_force(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = ["--videos", *(f"v{index:02d}" for index in range(6))]
    assert main(["fit", str(recipe), "final", *some]) == 2
    assert "6 videos to fit on, expected at least 20" in capsys.readouterr().err
    assert main(["fit", str(recipe), "final", *some, "--force"]) == 0


def test_other_nodes_are_refused(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(recipe), "a"]) == 2
    assert "no fusion or gate 'a'" in capsys.readouterr().err


def test_inputs_that_never_ran_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(write_set(tmp_path, 20)), "final"]) == 2
    assert "run first: rvos run" in capsys.readouterr().err
