"""Masklets and refinement as nodes of a recipe: imported detections, a small engine, stored masks and reports."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import deaot_toolkit
import numpy as np
import pytest
import torch
from PIL import Image
from report_pages import read_index, read_part
from small_data import FRAMES, HEIGHT, WIDTH, write_split
from small_dino import write_grounding_dino
from stored_results import find_report

from propagate.engines.sam2.network import Sam2Network
from propagate.engines.sam2.sizes import find_config
from propagate.masklets import list_distinct
from propagate.refinement import Evidence, RefinementSettings, refine
from rvos.errors import InputError
from rvos.formats import open_dataset
from rvos.masks.mask_sequences import encode
from rvos.masks.runs import Runs
from rvos.masks.stored import TRACKLETS
from rvos.masks.stored.store import Store
from rvos.masks.tracklets import Instances
from rvos_fusion.commands.cli import main
from rvos_fusion.kinds.base import capability
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.report.sides import Refiner

SECTIONS = """\
engines:
  aot: {network: small-aot, checkpoint: aot.safetensors, scales: [0.5]}
detectors:
  found: {detector: import, path: found.json}
nouns: {synonyms: {box: thing}}
stages:
"""
STAGE = """\
  stage3:
    things: {masklets: found, engine: aot, detect_frames: 2}
    refined: {refine: final, masklets: things, window: 2, tau: 0.3, dedup_iou: off}
submission: {node: refined}
"""


def write_recipe(folder: Path, *, n_videos: int = 2) -> Path:
    """Write data, members, detections of the two true objects in frames 0 and 2, and the recipe."""
    write_split(folder, n_videos)
    path = folder / "pipeline.yaml"
    text = path.read_text().replace("stages:\n", SECTIONS).replace("submission: {node: final}\n", STAGE)
    path.write_text(text)
    torch.manual_seed(1)
    deaot_toolkit.save(deaot_toolkit.build("small-aot"), folder / "aot.safetensors")
    (folder / "found.json").write_text(json.dumps(detect(folder, n_videos)))
    return path


def detect(folder: Path, n_videos: int) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(n_videos):
        for frame in (0, 2):
            name = f"video{number}/{FRAMES[frame]}"
            images.append({"id": len(images), "file_name": f"{name}.jpg"})
            labels = np.asarray(Image.open(folder / f"data/valid/Annotations/{name}.png"))
            for value, score in ((1, 0.9), (2, 0.7)):
                rle = {"size": [HEIGHT, WIDTH], "counts": encode((labels == value)[None])[0].decode()}
                annotations.append({"image_id": len(images) - 1, "category_id": 1, "segmentation": rle, "score": score})
    return {"images": images, "categories": [{"id": 1, "name": "thing"}], "annotations": annotations}


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    write_recipe(tmp_path)
    return "pipeline.yaml"


def run(recipe: str, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, tuple[int, int]]:
    """Return how many videos each node computed and reused."""
    capsys.readouterr()
    assert main(["run", recipe, "--quiet", "--json", "--device", "cpu", *words]) == 0
    rows = json.loads(capsys.readouterr().out)["nodes"]
    return {row["node"]: (row["done"], row["reused"]) for row in rows}


def read_report(node: str, video: str) -> Any:
    return json.loads(find_report(Path("runs"), node, video).read_text())["content"]


def test_masks_are_refined_by_the_masklets_of_their_noun(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(recipe, capsys)["refined"] == (2, 0)
    store = Store(Path("runs"))
    masklets = store.read_artefact("things", "video0", codec=TRACKLETS).tracklets
    assert [(one.label, one.detector) for one in masklets[:2]] == [("thing", "import")] * 2
    assert masklets[0].confidence == pytest.approx(0.9)
    runs = [Runs.decode(one.runs, one.size) for one in masklets]
    kept = [runs[place] for place in list_distinct(runs, dedup_iou="off")]
    for coarse, refined in zip(store.read("final", "video0"), store.read("refined", "video0"), strict=True):
        evidence = Evidence(Runs.decode(coarse.runs, coarse.size), kept)
        expected = refine(evidence, RefinementSettings(window=2, tau=0.3, dedup_iou="off"))
        assert refined.runs == evidence.pick(coarse.runs, expected.frames)
        assert refined.scores.tolist() == coarse.scores.tolist()


def test_reports_say_what_became_of_boxes_and_windows(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys)
    counts = read_report("things", "video0")["thing"]["frames"]
    assert [(row["frame"], row["boxes"], row["used"]) for row in counts] == [(FRAMES[0], 2, 2), (FRAMES[2], 2, 2)]
    assert counts[0]["started"] == 2
    report = read_report("refined", "video0")
    assert (report["coarse"], report["masklets"]) == ("final", "things")
    first = report["expressions"][0]
    assert (first["expression"], first["noun"], first["noun_source"]) == ("0", "thing", "rules")
    assert [(window["first"], window["last"]) for window in first["windows"]] == [
        (FRAMES[0], FRAMES[1]),
        (FRAMES[2], FRAMES[2]),
    ]
    for window in first["windows"]:
        assert sum(vote["frames"] for vote in window["votes"]) in (1, 2)
        assert window["reason"] in ("refined", "empty_selection")
        assert 0 <= window["iou"] <= 1
    assert first["totals"]["windows_refined"] + first["totals"]["windows_kept"] == 1


def test_masklets_are_made_once_for_all_windows_and_coarse_masks(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(recipe, capsys)
    again = run(recipe, capsys, "--set", "stages.stage3.refined.window=1")
    assert (again["things"], again["refined"]) == ((0, 2), (2, 0))
    again = run(recipe, capsys, "--set", "stages.stage3.refined.refine=ab")
    assert (again["things"], again["refined"]) == ((0, 2), (2, 0))
    again = run(recipe, capsys, "--set", "stages.stage3.things.associate_iou=0.4")
    assert (again["things"], again["refined"]) == ((2, 0), (2, 0))


def test_a_sentence_of_the_same_noun_leaves_the_masklets_as_they_are(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(recipe, capsys)
    path = Path("data/meta_expressions/valid/meta_expressions.json")
    path.write_text(path.read_text().replace("a thing that moves", "this thing"))
    assert run(recipe, capsys)["things"] == (0, 2)
    path.write_text(path.read_text().replace("this thing", "a ball"))
    assert run(recipe, capsys)["things"] == (2, 0)
    assert read_report("refined", "video0")["expressions"][1]["windows"][0]["reason"] == "no_masklet"


def test_masklets_of_the_broader_noun_are_the_noun_s(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys)
    before = Store(Path("runs")).read("refined", "video0")
    Path("objects.json").write_text(Path("found.json").read_text().replace('"thing"', '"object"'))
    changes = [
        "nouns.broader={thing: object}",
        "stages.stage3.things.ladder=broader",
        "detectors.found.path=objects.json",
    ]
    words = [word for change in changes for word in ("--set", change)]
    assert run(recipe, capsys, *words)["things"] == (2, 0)
    found = read_report("things", "video0")["thing"]
    assert (found["kept"], found["instances"]) == (["object"], {"thing": 0, "object": 4})
    log = max(Path("runs/logs").iterdir(), key=lambda path: path.stat().st_mtime_ns).read_text()
    assert "things: 2 nouns with instances by: 2 broader" in log
    after = Store(Path("runs")).read("refined", "video0")
    assert [one.runs for one in after] == [one.runs for one in before]
    # Another sentence of the same noun is nothing to the broader rung.
    path = Path("data/meta_expressions/valid/meta_expressions.json")
    path.write_text(path.read_text().replace("a thing that moves", "this thing"))
    assert run(recipe, capsys, *words)["things"] == (0, 2)


def test_without_any_box_the_coarse_masks_stay(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(Path("found.json").read_text())
    Path("found.json").write_text(json.dumps(content | {"annotations": []}))
    run(recipe, capsys)
    store = Store(Path("runs"))
    for coarse, refined in zip(store.read("final", "video0"), store.read("refined", "video0"), strict=True):
        assert refined.runs == coarse.runs
    windows = read_report("refined", "video0")["expressions"][0]["windows"]
    assert {window["reason"] for window in windows} == {"no_masklet"}


def test_a_sentence_without_a_word_is_kept_as_it_is(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("data/meta_expressions/valid/meta_expressions.json")
    path.write_text(path.read_text().replace("a thing that moves", "..."))
    run(recipe, capsys)
    row = read_report("refined", "video0")["expressions"][1]
    assert (row["noun"], row["noun_source"], row["windows"][0]["reason"]) == ("", "expression", "no_masklet")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stages.stage3.refined.tau=1", "tau '1' is not a number of at least 0 and below 1"),
        ("stages.stage3.refined.window=0", "window '0' is not a whole number of at least 1"),
        ("stages.stage3.refined.dedup_iou=on", "dedup_iou"),
        ("stages.stage3.refined.masklets=final", "masklets: final stores mask sequences, expected mask sequences by"),
        ("stages.stage3.refined.refine=things", "refine: things stores mask sequences by instance, expected mask"),
        ("stages.stage3.things.masklets=lost", "detector 'lost' is unknown; choose one of found"),
        ("stages.stage3.things.ladder=sentence", "found knows categories, no sentences; set ladder: broader"),
        ("stages.stage3.things.recondition_frames=3", "recondition_frames 3: the detector sees none of some such"),
        ("stages.stage3.things.engine=lost", "engine 'lost' is unknown"),
        ("detectors.found.box_threshold=2", "box_threshold '2' is not a number of at least 0 and of at most 1"),
        ("detectors.found={detector: grounding-dino, checkpoint: dino}", "found gives boxes alone and engine aot"),
        ("detectors.found={detector: grounding-dino}", "detectors.found: 'checkpoint' is missing; add it"),
        ("detectors.found.path=gone.json", "gone.json: no such file of detections"),
        ("nouns.file=gone.json", "gone.json: no such file"),
    ],
)
def test_wrong_settings_are_one_line(
    recipe: str, capsys: pytest.CaptureFixture[str], override: str, message: str
) -> None:
    assert main(["run", recipe, "--quiet", "--set", override]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_masklets_of_another_size_are_one_line(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(Path("found.json").read_text())
    content["annotations"][0]["segmentation"] = {"size": [3, 4], "counts": "<0"}
    Path("found.json").write_text(json.dumps(content))
    assert main(["run", recipe, "--quiet", "--device", "cpu"]) == 2
    assert re.search(r"things: .*annotation 0: size \[3, 4\], expected \[32, 48\]", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (3, 4), "runs": encode(np.ones((3, 3, 4), bool))}, "of 32 x 48 pixels (H x W), masklets of 3 x 4;"),
        ({"frames": ("a", "b", "c")}, "masks of 3 frames, masklets of 3, or other names; make both of this data set"),
    ],
    ids=["size", "frames"],
)
def test_masklets_that_do_not_fit_the_coarse_masks_are_named(
    recipe: str, capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str
) -> None:
    run(recipe, capsys)
    store, read = Store(Path("runs")), read_recipe(Path(recipe))
    node = next(node for node in build_graph(read).nodes if node.name == "refined")
    dataset = open_dataset("ref-youtube-vos", Path("data"), "valid")
    video = next(video for video in dataset.videos if video.id == "video0")
    others = [replace(one, **change) for one in store.read_artefact("things", "video0", codec=TRACKLETS).tracklets]
    held = {"final": store.read("final", "video0"), "things": Instances(tuple(others))}
    refiner = capability(node, Refiner)
    assert refiner is not None
    with pytest.raises(InputError, match=f"video0/0: .*{re.escape(message)}"):
        list(refiner.gather(video, lambda name, artefact: held[name]))


def test_the_sweep_scores_what_runs_of_each_setting_score(
    recipe: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(recipe, capsys)
    grid = ("--window", "1", "2", "--tau", "0.1", "0.6")
    assert main(["sweep", recipe, "refined", *grid, "--json", "--plot", "sweep.png"]) == 0
    coarse, own, *rows = json.loads(capsys.readouterr().out)["settings"]
    assert [row["own"] for row in (coarse, own, *rows)] == [False, True, False, False, False, False]
    assert [(row["window"], row["tau"]) for row in rows] == [(1, 0.1), (1, 0.6), (2, 0.1), (2, 0.6)]
    assert Path("sweep.png").read_bytes().startswith(b"\x89PNG")
    for row in rows:
        setting = [f"stages.stage3.refined.{key}={row[key]}" for key in ("window", "tau")]
        words = [word for override in setting for word in ("--set", override)]
        run(recipe, capsys, *words)
        assert main(["table", recipe, "final", "refined", "--json", *words]) == 0
        final, refined = json.loads(capsys.readouterr().out)["rows"]
        assert [refined[key] for key in ("j", "f")] == [row["j"], row["f"]]
        assert (final["j_and_f"], coarse["node"]) == (coarse["j_and_f"], "final")


def test_the_sweep_prints_a_table_and_marks_the_best(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys)
    assert main(["sweep", recipe, "refined"]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines[: 1 + 1 + 4 * 4 + 1]
    assert (table[1].split()[0], lines[len(table)][:7]) == ("final", "* best;")
    assert sum(line.startswith("*") for line in table) == 1
    assert sum("=" in line.split()[0] for line in table[1:]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["refined", "--tau", "1"], "tau '1' is not a number of at least 0 and below 1"),
        (["refined", "--tau", "nan"], "tau 'nan' is not a number"),
        (["refined", "--window", "0"], "window '0' is not a whole number of at least 1"),
        (["refined", "--members"], "refined is of kind refine; give --window and --tau, not --members"),
        (["final", "--tau", "0.5"], "final is of kind fuse; give --threshold, not --tau"),
    ],
)
def test_sweeps_of_wrong_settings_are_one_line(
    recipe: str, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    run(recipe, capsys)
    assert main(["sweep", recipe, *words]) == 2
    assert message in capsys.readouterr().err


def test_the_sweep_needs_finished_inputs(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", recipe, "refined"]) == 2
    assert "run first: rvos run pipeline.yaml" in capsys.readouterr().err


def test_nouns_are_listed_for_review(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("nouns.json").write_text(json.dumps({"video0/0": "left thing", "a thing that moves": "ball"}))
    words = ["nouns", recipe, "--videos", "video0", "--set", "nouns.file=nouns.json"]
    assert main([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["sentences"]
    assert [(row["expression"], row["noun"], row["source"]) for row in rows] == [
        ("0", "left thing", "file"),
        ("1", "ball", "file"),
        ("2", "thing", "rules"),
    ]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("3 sentences, 3 nouns to track: 2 from file, 1 from rules")


def test_the_recipe_for_mevis_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).parents[3]
    graph = build_graph(read_recipe(root / "recipes" / "mevis_refinement.yaml"))
    assert [node.keyword for node in graph.nodes] == ["runner", "masklets", "refine"]


def test_the_report_page_shows_what_was_selected(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys)
    assert main(["report", recipe, "--quiet", "--no-sweeps", "--out", "page.html"]) == 0
    places = {node["name"]: place for place, node in enumerate(read_index(Path("page.html"))["nodes"])}
    shown = read_part(Path("page.html"), 0)
    written = read_report("refined", shown["id"])["expressions"]
    assert shown["refinements"][places["refined"]] == written
    assert [one for place, one in enumerate(shown["refinements"]) if place != places["refined"]] == [None] * (
        len(places) - 1
    )
    listed = shown["tracklets"][places["things"]]
    assert {one["label"] for one in listed} <= {own["noun"] for own in written}
    assert listed


def test_boxes_of_grounding_dino_start_sam2(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_grounding_dino(Path("dino"))
    torch.manual_seed(0)
    torch.save(Sam2Network(find_config("sam2.1-mini", 64)).model.state_dict(), "sam2.pt")
    changes = [
        "detectors.found={detector: grounding-dino, checkpoint: dino, box_threshold: 0}",
        "engines.aot={network: sam2.1-mini, checkpoint: sam2.pt, image_size: 64}",
        "stages.stage3.things.max_instances=3",
    ]
    words = [word for change in changes for word in ("--set", change)]
    done = run(recipe, capsys, "--videos", "video0", *words)
    assert (done["things"], done["refined"]) == ((1, 0), (1, 0))
    counts = read_report("things", "video0")["thing"]["frames"]
    for row in counts:
        assert row["boxes"] == 12
        assert 1 <= row["used"] <= 3
        assert row["empty"] + row["known"] + row["capped"] + row["started"] == row["used"]
    masklets = Store(Path("runs")).read_artefact("things", "video0", codec=TRACKLETS).tracklets
    assert len(masklets) == sum(row["started"] for row in counts)
    assert {one.detector for one in masklets} <= {"grounding-dino"}


def test_the_best_masklets_are_at_least_the_coarse_masks(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys)
    assert main(["table", recipe, "final", "refined", "--oracle", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    best = next(row for row in content["oracle"] if (row["name"], row["node"]) == ("best masklets", "refined"))
    assert best["j_and_f"] >= content["rows"][0]["j_and_f"]
    assert best["gap"] == pytest.approx(best["j_and_f"] - content["rows"][1]["j_and_f"])
