"""The bundled recipes of A2D- and JHMDB-Sentences from end to end: synthesize, both stages, table, archive, report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sample_folders import write_a2d

from rvos.formats import open_dataset
from rvos_fusion.commands.cli import main
from rvos_fusion.synthetic.writers.samples import choose_frames

PROJECT = Path(__file__).resolve().parents[3]
RECIPES = {"a2d-sentences": "demo_a2d.yaml", "jhmdb-sentences": "demo_jhmdb.yaml"}
Print = Callable[..., dict]


@pytest.fixture
def read_printed(capsys: pytest.CaptureFixture[str]) -> Print:
    def read(*words: str) -> dict:
        capsys.readouterr()
        assert main([*words]) == 0
        content: dict = json.loads(capsys.readouterr().out)
        return content

    return read


def test_annotated_frames_are_inside_the_clip_and_the_last_is_one_of_them() -> None:
    assert choose_frames(10) == (2, 6, 10)
    assert choose_frames(1) == (1,)


@pytest.mark.parametrize("form", RECIPES)
def test_a_recipe_runs_from_end_to_end(tmp_path: Path, form: str, read_printed: Print) -> None:
    data = tmp_path / "data"
    made = read_printed("synthesize", "--format", form, "--seed", "3", "--videos", "1", "--out", str(data), "--json")
    dataset = open_dataset(form, data, "test")
    assert (made["split"], made["expressions"]) == ("test", dataset.n_expressions)
    # One frame before the annotated one is enough of a window here, and one sample of a video.
    video = dataset.videos[-1].id
    keys = ("dataset.root", data), ("workspace", tmp_path / "runs"), ("dataset.window", 2)
    options = [
        str(PROJECT / "recipes" / RECIPES[form]),
        *(w for key, value in keys for w in ("--set", f"{key}={value}")),
    ]
    only = ["--videos", video]
    assert main(["run", *options, *only, "--quiet"]) == 0

    table = read_printed("table", *options, "soc", "stage2", *only, "--json")
    assert table["samples"] == len(dataset.videos[-1].expressions)
    first, second = table["rows"][:2]
    assert first["map"] is None
    assert 0 <= first["map_of_one_mask"] <= 100
    gain = pytest.approx(second["mean"] - first["mean"])
    assert second["mean_gain"] == {"gain": gain, "low": None, "high": None}
    swept = read_printed("sweep", *options, "stage2", *only, "--json")["settings"]
    assert all({"mean", "map_of_one_mask", "threshold"} < set(row) for row in swept)
    assert not any({"j", "f", "j_and_f"} & set(row) for row in swept)
    (own,) = (row for row in swept if row["own"])
    assert [own[key] for key in ("mean", "map_of_one_mask")] == [second[key] for key in ("mean", "map_of_one_mask")]

    archive = str(tmp_path / "submission.zip")
    assert main(["submit", *options, "--out", archive, "--fill-missing"]) == 0
    assert main(["check-submission", archive]) == 0
    assert main(["evaluate", str(data), archive, "--format", form, "--out", str(tmp_path / "scores")]) == 0
    written = json.loads((tmp_path / "scores/scores.json").read_text())
    assert written["samples"] == dataset.n_expressions

    assert main(["report", *options, *only, "--quiet", "--no-sweeps"]) == 0
    page = (tmp_path / "runs/report.html").read_text()
    assert '"figures":[["mAP of one mask",' in page
    assert "annotated frames" in page


def _write_late_masks(data: Path, folder: Path) -> None:
    """Write the true masks, all moved a little, with scores of their own."""
    dataset = open_dataset("a2d-sentences", data, "test")
    random = np.random.default_rng(0)
    for video in dataset.videos:
        truth = dataset.read_truth(video)
        (folder / video.id).mkdir(parents=True)
        for expression in video.expressions:
            moved = np.roll(truth.masks(expression)[video.n_frames // 2], random.integers(0, 9), axis=1)
            np.savez(
                folder / video.id / f"{expression.id}.npz",
                probabilities=np.stack([moved] * video.n_frames).astype(np.float16),
                scores=random.random(video.n_frames).astype(np.float32),
            )


def test_the_figures_of_an_archive_are_those_of_the_table(tmp_path: Path, read_printed: Print) -> None:
    data, masks = tmp_path / "data", tmp_path / "masks"
    assert main(["synthesize", "--format", "a2d-sentences", "--seed", "4", "--videos", "2", "--out", str(data)]) == 0
    _write_late_masks(data, masks)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"dataset: {{format: a2d-sentences, root: {data}, split: test}}\nworkspace: {tmp_path / 'runs'}\n"
        f"models:\n  late: {{import: npz, path: {masks}}}\nstages:\n  one:\n    same: {{fuse: [late], threshold: 1}}\n"
        "submission: {node: same}\n"
    )
    assert main(["run", str(recipe), "--quiet"]) == 0
    assert main(["submit", str(recipe)]) == 0
    row = read_printed("table", str(recipe), "same", "--json")["rows"][0]
    figures = read_printed(
        "evaluate", str(data), str(tmp_path / "runs/submission.zip"), "--format", "a2d-sentences", "--json"
    )
    assert 0 < row["mean"] < 100
    assert (row["map_of_one_mask"], row["overall"], row["mean"]) == pytest.approx(
        tuple(100 * figures[name] for name in ("mAP of one mask", "overall IoU", "mean IoU"))
    )


def test_all_queries_of_a_network_are_ranked_and_what_is_made_of_it_has_one_mask(
    tmp_path: Path, read_printed: Print
) -> None:
    data, recipe = tmp_path / "data", tmp_path / "recipe.yaml"
    assert main(["synthesize", "--format", "a2d-sentences", "--seed", "4", "--videos", "1", "--out", str(data)]) == 0
    checkpoint = PROJECT / "demo/checkpoints/soc.safetensors"
    recipe.write_text(
        f"dataset: {{format: a2d-sentences, root: {data}, split: test, window: 2}}\nworkspace: {tmp_path / 'runs'}\n"
        f"models:\n  soc: {{runner: soc, checkpoint: {checkpoint}, options: {{short_side: 96, output_layer: -1, "
        "all_queries: true, centre_only: true}}\n"
        "stages:\n  one:\n    same: {fuse: [soc], threshold: 1}\nsubmission: {node: soc}\n"
    )
    assert main(["run", str(recipe), "--quiet"]) == 0
    assert main(["submit", str(recipe)]) == 0
    soc, same = read_printed("table", str(recipe), "soc", "same", "--json")["rows"]
    archive = str(tmp_path / "runs/submission.zip")
    figures = read_printed("evaluate", str(data), archive, "--format", "a2d-sentences", "--json")
    names = {"map": "mAP", "map50": "AP50", "map_of_one_mask": "mAP of one mask", "mean": "mean IoU"}
    assert [soc[key] for key in names] == pytest.approx([100 * figures[name] for name in names.values()])
    assert soc["map"] != soc["map_of_one_mask"]
    assert (same["map"], same["map_gain"]) == (None, None)
    assert same["map_of_one_mask_gain"]["gain"] == 0
    assert main(["report", str(recipe), "--quiet", "--no-sweeps"]) == 0
    assert f'"figures":[["mAP",{soc["map"]:.3f}'[:-2] in (tmp_path / "runs/report.html").read_text()


@pytest.mark.parametrize("words", [["fit", "same"], ["pseudo-labels", "same", "--out", "labels"]])
def test_what_needs_whole_videos_is_refused_in_one_line(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_a2d(tmp_path / "data")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"dataset: {{format: a2d-sentences, root: {data}, split: test}}\nworkspace: {tmp_path / 'runs'}\n"
        "models:\n  one: {import: png, path: data}\n  other: {import: png, path: data}\n"
        "stages:\n  first:\n    same: {fuse: [one, other], threshold: 1}\n"
    )
    assert main([words[0], str(recipe), *words[1:]]) == 2
    assert "a2d-sentences" in capsys.readouterr().err
