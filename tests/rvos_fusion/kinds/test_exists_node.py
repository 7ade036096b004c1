"""The audit of existence in a recipe: empty only where something is contradicted, fitted by `rvos fit`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rvos.errors import StoreError
from rvos.masks.mask_sequences import encode
from rvos.masks.stored import TRACKLETS
from rvos.masks.stored.store import Store
from rvos.masks.tracklets import Instances, Tracklet
from rvos_fusion.commands.cli import main
from rvos_fusion.planning.plan import make_plan
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe

FRAMES = ["00000", "00001", "00002", "00003"]
N_VIDEOS = 20
RECIPE = """\
dataset: {format: mevis, root: data, split: valid_u}
workspace: runs
models:
  a: {import: rle, path: a}
  b: {import: rle, path: b}
engines:
  aot: {network: small-aot, checkpoint: aot.safetensors}
detectors:
  found: {detector: import, path: found.json}
stages:
  stage1:
    both: {fuse: [a, b], threshold: 0.5}
    masklets: {masklets: found, engine: aot}
    audited: {exists: both, candidates: masklets, members: [a, b]}
submission: {node: audited}
"""
AUDITED = "stages.stage1.audited"
SENTENCES = ("the cat", "the cat moving right", "the cat moving left", "the three cats", "the dog")
"""Of a cat that moves right: the last three mean nothing."""


def draw() -> np.ndarray:
    masks = np.zeros((len(FRAMES), 16, 60), np.bool_)
    for frame in range(len(FRAMES)):
        masks[frame, 4:12, 5 + 10 * frame : 15 + 10 * frame] = True
    return masks


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Members that answer every sentence with the cat, the less surely the less there is of it, and its masklet."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    counts = [row.decode() for row in encode(draw())]
    videos, truth = {}, {}
    for index in range(N_VIDEOS):
        name = f"v{index:02d}"
        entries = {
            str(number): {"exp": text, "obj_id": [0] * (number < 2), "anno_id": [index] * (number < 2)}
            for number, text in enumerate(SENTENCES)
        }
        videos[name] = {"expressions": entries, "frames": FRAMES}
        truth[str(index)] = [{"size": [16, 60], "counts": row} for row in counts]
        for member in "ab":
            scores = [0.6 + 0.3 * float(random.random()) - 0.2 * (number > 1) for number in range(len(SENTENCES))]
            content = {
                str(number): {"masks": [{"size": [16, 60], "counts": row} for row in counts], "scores": [score] * 4}
                for number, score in enumerate(scores)
            }
            Path(member).mkdir(exist_ok=True)
            Path(member, f"{name}.json").write_text(json.dumps(content))
    folder = Path("data/valid_u")
    folder.mkdir(parents=True)
    (folder / "meta_expressions_v2.json").write_text(json.dumps({"videos": videos}))
    (folder / "mask_dict.json").write_text(json.dumps(truth))
    Path("found.json").write_text(json.dumps({"images": [], "categories": [], "annotations": []}))
    Path("aot.safetensors").touch()
    Path("pipeline.yaml").write_text(RECIPE)
    assert main(["run", "pipeline.yaml", "--quiet", "--node", "both"]) == 0
    _store_masklets()
    return "pipeline.yaml"


def _store_masklets() -> None:
    """Store what a detector and an engine would give."""
    recipe = read_recipe(Path("pipeline.yaml"))
    plan = make_plan(recipe, build_graph(recipe), recipe.dataset.open().videos)
    for task in plan.tasks["masklets"]:
        chances = np.ones(len(FRAMES), np.float32)
        cat = Tracklet(task.video.id, "cat0", task.video.frames, (16, 60), encode(draw()), chances, 0.9, 0, "cat")
        Store(Path("runs")).write_artefact(
            "masklets", task.video.id, Instances((cat,)), task.fingerprint, codec=TRACKLETS
        )


def read_kept() -> list[list[bool]]:
    store = Store(Path("runs"))
    return [
        [bool(answer.masks().any()) for answer in store.read("audited", video)] for video in store.videos("audited")
    ]


def test_what_is_contradicted_is_emptied_and_what_is_doubtful_is_not(recipe: str) -> None:
    assert main(["run", recipe, "--quiet", "--node", "audited"]) == 0
    assert read_kept() == [[True, True, False, False, False]] * N_VIDEOS


def test_evidence_that_is_left_out_does_not_count(recipe: str) -> None:
    words = ["--set", f"{AUDITED}.features=[direction, relation]"]
    assert main(["run", recipe, "--quiet", "--node", "audited", *words]) == 0
    assert read_kept() == [[True, True, False, True, True]] * N_VIDEOS


def test_a_fit_empties_no_more_than_is_contradicted(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    fitted = ["--set", f"{AUDITED}.fitted=fit.json"]
    assert main(["fit", recipe, "audited", "--out", "fit.json", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["plain"]["n_accuracy"] == 0.0
    assert (found["held_out"]["n_accuracy"], found["held_out"]["t_accuracy"]) == (100.0, 100.0)
    assert main(["run", recipe, "--quiet", "--node", "audited", *fitted]) == 0
    assert read_kept() == [[True, True, False, False, False]] * N_VIDEOS
    # However unlikely a target is: without contradiction the answer stays.
    assert main(["run", recipe, "--quiet", "--node", "audited", *fitted, "--set", f"{AUDITED}.threshold=1"]) == 0
    assert read_kept() == [[True, True, False, False, False]] * N_VIDEOS


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("features=[agreement]", "without evidence nothing is emptied"),
        ("features=[colour]", "features: colour; choose from agreement"),
        ("members=[a]", "name at least two"),
        ("candidates=both", "both stores mask sequences, expected"),
    ],
)
def test_an_audit_that_cannot_work_is_refused(
    recipe: str, capsys: pytest.CaptureFixture[str], setting: str, told: str
) -> None:
    capsys.readouterr()
    assert main(["run", recipe, "--quiet", "--node", "audited", "--set", f"{AUDITED}.{setting}"]) == 2
    assert told in capsys.readouterr().err


def test_nothing_is_read_of_another_sort(recipe: str) -> None:
    with pytest.raises(StoreError):
        Store(Path("runs")).read("masklets", "v00")


@pytest.mark.parametrize("fitted", [False, True])
def test_a_sweep_scores_what_runs_of_each_setting_score(
    recipe: str, capsys: pytest.CaptureFixture[str], fitted: bool
) -> None:
    only = ["--set", f"{AUDITED}.fitted=audit.json"] if fitted else []
    assert main(["run", recipe, "--quiet", "--device", "cpu"]) == 0
    if fitted:
        assert main(["fit", recipe, "audited", *only]) == 0
        assert main(["run", recipe, "--quiet", "--device", "cpu", *only]) == 0
    capsys.readouterr()
    assert main(["sweep", recipe, "audited", "--json", *only]) == 0
    both, *rows = json.loads(capsys.readouterr().out)["settings"]
    assert both["node"] == "both"
    assert len({row["bound"] for row in rows}) == 6
    keys = ("threshold", "bound") if fitted else ("bound",)
    for row in (rows[0], rows[len(rows) // 2], rows[-1]):
        words = [word for key in keys for word in ("--set", f"{AUDITED}.{key}={row[key]}")]
        assert main(["run", recipe, "--quiet", "--device", "cpu", *only, *words]) == 0
        capsys.readouterr()
        assert main(["table", recipe, "audited", "--json", *only, *words]) == 0
        alone = json.loads(capsys.readouterr().out)["rows"][0]
        assert [alone[key] for key in ("j", "f", "n_accuracy", "t_accuracy", "final")] == [
            row[key] for key in ("j", "f", "n_accuracy", "t_accuracy", "final")
        ]
