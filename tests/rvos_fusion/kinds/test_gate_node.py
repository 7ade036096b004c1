"""A gate in a recipe: run, fitted, swept, and refused where its file is for others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco

from rvos.masks.mask_sequences import encode
from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main

FRAMES = ["00000", "00001"]
RECIPE = """\
dataset: {format: mevis, root: data, split: valid_u}
workspace: runs
models:
  a: {import: rle, path: a}
  b: {import: rle, path: b}
stages:
  stage1:
    both: {fuse: [a, b], threshold: 0.5}
    gated: {gate: both, members: [a, b], features: [agreement, mean_score], fitted: gate.json}
submission: {node: gated}
"""


def box(left: int) -> np.ndarray:
    masks = np.zeros((2, 8, 40), bool)
    masks[:, 2:6, left : left + 6] = True
    return masks


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Write videos with one object; of three sentences the last means nothing, and both members are unsure of it."""
    random = np.random.default_rng(0)
    videos, truth = {}, {}
    for index in range(20):
        name = f"v{index:02d}"
        entries = {str(i): {"exp": f"thing {i}", "obj_id": [0], "anno_id": [index]} for i in range(2)}
        entries["2"] = {"exp": "nothing", "obj_id": [], "anno_id": []}
        videos[name] = {"expressions": entries, "frames": FRAMES}
        truth[str(index)] = [
            {"size": [8, 40], "counts": coco.encode(np.asfortranarray(m.astype(np.uint8)))["counts"].decode()}
            for m in box(0)
        ]
        for place, member in enumerate("ab"):
            content = {}
            for i in range(3):
                left = 0 if i < 2 else 10 + 12 * place
                score = float(random.uniform(0.5, 0.9) if i < 2 else random.uniform(0.1, 0.6))
                masks = [{"size": [8, 40], "counts": row.decode()} for row in encode(box(left))]
                content[str(i)] = {"masks": masks, "scores": [score, score]}
            (tmp_path / member).mkdir(exist_ok=True)
            (tmp_path / member / f"{name}.json").write_text(json.dumps(content))
    folder = tmp_path / "data/valid_u"
    folder.mkdir(parents=True)
    (folder / "meta_expressions_v2.json").write_text(json.dumps({"videos": videos}))
    (folder / "mask_dict.json").write_text(json.dumps(truth))
    path = tmp_path / "pipeline.yaml"
    path.write_text(RECIPE)
    only = "stages.stage1.gated={gate: both, members: [a, b], features: [agreement], threshold: 0.5}"
    assert main(["run", str(path), "--quiet", "--set", only]) == 0
    return path


def test_one_feature_and_a_threshold_empty_answers(recipe: Path) -> None:
    for video in Store(recipe.parent / "runs").videos("gated"):
        answers = Store(recipe.parent / "runs").read("gated", video)
        assert [bool(answer.masks().any()) for answer in answers] == [True, True, False]


def test_a_fitted_gate_raises_final_on_held_out_videos(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(recipe), "gated", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["plain"]["n_accuracy"] == 0.0
    assert found["held_out"]["n_accuracy"] == 100.0
    assert found["low"] > 0
    assert main(["run", str(recipe), "--quiet"]) == 0


def test_a_sweep_of_a_gate_refuses_the_settings_of_others(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(recipe), "gated"]) == 0
    assert main(["sweep", str(recipe), "gated", "--window", "2"]) == 2
    assert "gated is of kind gate; give --threshold, not --window" in capsys.readouterr().err


def test_a_sweep_scores_every_threshold_with_a_picture(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(recipe), "gated"]) == 0
    capsys.readouterr()
    picture = recipe.parent / "gate.png"
    assert main(["sweep", str(recipe), "gated", "--plot", str(picture), "--json"]) == 0
    both, *rows = json.loads(capsys.readouterr().out)["settings"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    (own,) = (row for row in rows if row["own"])
    rows.sort(key=lambda row: row["threshold"])
    keys = ("n_accuracy", "t_accuracy", "final")
    # Nothing is emptied below, everything above.
    assert [rows[0][key] for key in keys] == [both[key] for key in keys] == pytest.approx([0, 100, 500 / 9])
    assert [rows[-1][key] for key in keys[:2]] == [100, 0]
    assert max(row["final"] for row in rows) > rows[0]["final"]
    for row in (own, rows[20], rows[-1]):
        words = ["--set", f"stages.stage1.gated.threshold={row['threshold']}"]
        assert main(["run", str(recipe), "--quiet", *words]) == 0
        capsys.readouterr()
        assert main(["table", str(recipe), "gated", "--json", *words]) == 0
        (run, *_) = json.loads(capsys.readouterr().out)["rows"]
        assert [run[key] for key in keys] == [row[key] for key in keys]


def test_where_every_sentence_has_a_target_no_final_is_made_up(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    meta = recipe.parent / "data/valid_u/meta_expressions_v2.json"
    videos = json.loads(meta.read_text())["videos"]
    for own in videos.values():
        own["expressions"]["2"]["anno_id"] = own["expressions"]["0"]["anno_id"]
    meta.write_text(json.dumps({"videos": videos}))
    only = "stages.stage1.gated={gate: both, members: [a, b], features: [agreement], threshold: 0.5}"
    assert main(["run", str(recipe), "--quiet", "--set", only]) == 0
    assert main(["sweep", str(recipe), "gated", "--set", only, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["settings"]
    assert {(row["n_accuracy"], row["final"]) for row in rows} == {(None, None)}
    assert main(["sweep", str(recipe), "gated", "--set", only]) == 0
    headings = capsys.readouterr().out.splitlines()[0].split()
    assert "T-acc" in headings
    assert not {"N-acc", "Final"} & set(headings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stages.stage1.gated.features=[beauty]", "features: beauty"),
        ("stages.stage1.gated.members=[a]", "name at least two"),
        ("stages.stage1.gated={gate: both, members: [a, b], threshold: 0.5}", "needs one feature and a threshold"),
        ("stages.stage1.gated.fitted=lost.json", "lost.json"),
    ],
    ids=["unknown feature", "one member", "no file", "lost file"],
)
def test_bad_settings_are_named(recipe: Path, capsys: pytest.CaptureFixture[str], change: str, message: str) -> None:
    assert main(["run", str(recipe), "--set", change, "--quiet"]) == 2
    assert message in capsys.readouterr().err


def test_a_file_for_other_features_is_refused(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(recipe), "gated"]) == 0
    assert main(["plan", str(recipe), "--set", "stages.stage1.gated.features=[area]"]) == 2
    assert "not for a, b by area; fit again" in capsys.readouterr().err


def test_tables_and_evaluations_tell_sentences_with_a_target_apart(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two thirds of the sentences have a target, which both members find; the fusion answers the others too."""
    gated = ["--set", "stages.stage1.gated={gate: both, members: [a, b], features: [agreement], threshold: 0.5}"]
    assert main(["table", str(recipe), "a", "both", "--json", *gated]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["j_and_f"] for row in rows] == pytest.approx([200 / 3] * 3)
    assert [row["targets"] for row in rows] == pytest.approx([100] * 3)
    assert main(["table", str(recipe), "a", *gated]) == 0
    assert "targets: J&F of the sentences that have a target" in capsys.readouterr().out
    assert main(["table", str(recipe), "both", "gated", "--json", *gated]) == 0
    rows = {row["node"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    keys = ("n_accuracy", "t_accuracy", "final")
    assert [[rows[node][key] for key in keys] for node in ("both", "gated")] == [
        pytest.approx([0, 100, (200 / 3 + 100) / 3]),
        pytest.approx([100, 100, 100]),
    ]
    gain = rows["gated"]["final_gain"]
    # In every video alike, so that all draws agree.
    assert [gain["gain"], gain["low"], gain["high"]] == pytest.approx([100 - (200 / 3 + 100) / 3] * 3)
    for node, found in (("both", 2 / 3), ("gated", 1.0)):
        archive = str(recipe.parent / f"{node}.zip")
        assert main(["submit", str(recipe), "--node", node, "--out", archive, *gated]) == 0
        capsys.readouterr()
        assert main(["evaluate", str(recipe.parent / "data"), archive, "--format", "mevis", "--json"]) == 0
        scores = json.loads(capsys.readouterr().out)
        assert (scores["J&F"], scores["J&F targets"]) == pytest.approx((found, 1.0))
        assert scores["Final"] == pytest.approx((found + scores["N-acc"] + scores["T-acc"]) / 3)
