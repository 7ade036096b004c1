"""Proposals, tracklets and grounding as nodes of a recipe: what is chosen, reported, reused and refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import deaot_toolkit
import numpy as np
import pytest
import torch
from PIL import Image
from referring_helpers import small_network
from report_pages import read_index, read_part
from small_data import FRAMES, HEIGHT, N_FRAMES, WIDTH, write_split
from small_language_models import MODELS
from small_tracklets import CONFIG, make_checkpoint
from stored_results import find_report

from runners.checkpoints.saving import save_network
from runners.networks.backbones.table import BackboneConfig
from runners.networks.tracklets.network import GroundingNetwork
from rvos.masks.detections import VideoProposals
from rvos.masks.mask_sequences import encode
from rvos.masks.runs import Runs, tracklet_iou
from rvos.masks.stored import PROPOSALS, TRACKLET_SETS
from rvos.masks.stored.store import Store
from rvos.masks.tracklets import TrackletSet
from rvos_fusion.commands.cli import main

SECTIONS = """\
engines:
  aot: {network: small-aot, checkpoint: aot.safetensors, scales: [0.5]}
detectors:
  found: {detector: import, path: found.json}
stages:
"""
STAGE = """\
  stage3:
    masks: {propose: [found], key_frames: 2}
    tracklets: {track: masks, engine: aot, add_members: [c]}
    grounded: {ground: tracklets, agreement: [a, b], gate: 0.3}
    both: {fuse: [ab, grounded], threshold: 1}
submission: {node: grounded}
"""
SET = "stages.stage3"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Data, members, detections of the two true objects in the first and last frame, and the recipe."""
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, 2)
    path = tmp_path / "pipeline.yaml"
    text = path.read_text().replace("stages:\n", SECTIONS).replace("submission: {node: final}\n", STAGE)
    path.write_text(text)
    torch.manual_seed(1)
    deaot_toolkit.save(deaot_toolkit.build("small-aot"), tmp_path / "aot.safetensors")
    write_detections()
    return "pipeline.yaml"


def write_detections(objects: tuple[tuple[int, float], ...] = ((1, 0.9), (2, 0.7)), *, boxes: bool = False) -> None:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for video in ("video0", "video1"):
        for frame in (0, N_FRAMES - 1):
            name = f"{video}/{FRAMES[frame]}"
            images.append({"id": len(images), "file_name": f"{name}.jpg"})
            labels = np.asarray(Image.open(f"data/valid/Annotations/{name}.png"))
            for value, score in objects:
                rle = {"size": [HEIGHT, WIDTH], "counts": encode((labels == value)[None])[0].decode()}
                shape = {"bbox": [1, 1, 9, 9]} if boxes else {"segmentation": rle}
                annotations.append({"image_id": len(images) - 1, "category_id": 1, "score": score, **shape})
    content = {"images": images, "categories": [{"id": 1, "name": "whatever"}], "annotations": annotations}
    Path("found.json").write_text(json.dumps(content))


def run(recipe: str, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, tuple[int, int]]:
    """Return how many videos each node computed and reused."""
    capsys.readouterr()
    assert main(["run", recipe, "--quiet", "--json", "--device", "cpu", *words]) == 0
    rows = json.loads(capsys.readouterr().out)["nodes"]
    return {row["node"]: (row["done"], row["reused"]) for row in rows}


def fail(recipe: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["run", recipe, "--quiet", "--device", "cpu", *words]) == 2
    return capsys.readouterr().err


def read_report(node: str) -> Any:
    return json.loads(find_report(Path("runs"), node, "video0").read_text())["content"]


def read_proposals() -> VideoProposals:
    return Store(Path("runs")).read_artefact("masks", "video0", codec=PROPOSALS)


def read_tracklets() -> TrackletSet:
    return Store(Path("runs")).read_artefact("tracklets", "video0", codec=TRACKLET_SETS)


def test_proposals_are_what_was_imported_whatever_its_category(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys)
    found = read_proposals()
    assert found.key_frames == (0, N_FRAMES - 1)
    assert [(one.frame, round(one.confidence, 2)) for one in found.proposals] == [
        (0, 0.9),
        (0, 0.7),
        (2, 0.9),
        (2, 0.7),
    ]
    assert {(one.detector, one.label) for one in found.proposals} == {("found", "whatever")}
    counts = read_report("masks")["counts"]
    assert [(row["frame"], row["found"], row["kept"]) for row in counts] == [(FRAMES[0], 2, 2), (FRAMES[2], 2, 2)]


def test_members_are_candidates_beside_the_tracklets(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys)
    found = read_tracklets()
    assert list(found.scores) == sorted(found.scores, reverse=True)
    report = read_report("tracklets")
    assert report["tracklets_before_nms"] == 4 + 3
    assert len(report["tracklets"]) + len(report["dropped"]) == 7
    assert {"c/0", "c/1", "c/2"} <= {row["id"] for row in (*report["tracklets"], *report["dropped"])}
    assert (report["content_hash"], report["no_candidate"]) == (found.content_hash(), False)
    assert 0 < report["coverage"] < 1


def test_every_sentence_gets_the_tracklet_that_its_members_agree_on(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(recipe, capsys)
    store, found = Store(Path("runs")), read_tracklets()
    masks = [Runs.decode(one.runs, one.size) for one in found.tracklets]
    members = [store.read(name, "video0") for name in ("a", "b")]
    for place, answer in enumerate(store.read("grounded", "video0")):
        expected = [
            sum(tracklet_iou(own, Runs.decode(member[place].runs, member[place].size)) for member in members) / 2
            for own in masks
        ]
        best = int(np.argmax(expected))
        assert answer.runs == found.tracklets[best].runs
        assert answer.scores.tolist() == [pytest.approx(expected[best])] * N_FRAMES
    rows = read_report("grounded")["expressions"]
    assert [row["why"] for row in rows] == ["", "", ""]


def test_results_are_reused_until_a_setting_or_an_input_changes(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(recipe, capsys)
    nodes = ("masks", "tracklets", "grounded")
    again = run(recipe, capsys)
    assert [again[name] for name in nodes] == [(0, 2)] * 3
    found = run(recipe, capsys, "--set", f"{SET}.grounded.gate=0.4")
    assert [found[name] for name in nodes] == [(0, 2), (0, 2), (2, 0)]
    found = run(recipe, capsys, "--set", f"{SET}.tracklets.nms_iou=0.6")
    assert [found[name] for name in nodes] == [(0, 2), (2, 0), (2, 0)]
    write_detections(((1, 0.8), (2, 0.6)))
    found = run(recipe, capsys)
    assert [found[name] for name in nodes] == [(2, 0)] * 3


def test_below_the_gate_the_vote_of_the_members_answers(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys, "--set", f"{SET}.grounded.gate=1")
    store = Store(Path("runs"))
    a, b = store.read("a", "video0"), store.read("b", "video0")
    for first, second, answer in zip(a, b, store.read("grounded", "video0"), strict=True):
        # One of two is a tie, which passes.
        assert np.array_equal(answer.masks(), first.masks() | second.masks())
    assert {row["why"] for row in read_report("grounded")["expressions"]} == {"below_gate"}


@pytest.mark.parametrize("fallback", ["c", "empty"])
def test_another_fallback_can_be_named(recipe: str, capsys: pytest.CaptureFixture[str], fallback: str) -> None:
    run(recipe, capsys, "--set", f"{SET}.grounded.gate=1", "--set", f"{SET}.grounded.fallback={fallback}")
    store = Store(Path("runs"))
    for answer, other in zip(store.read("grounded", "video0"), store.read("c", "video0"), strict=True):
        assert answer.runs == other.runs if fallback == "c" else not answer.masks().any()


def test_no_proposal_in_a_whole_video_leads_to_the_fallback(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_detections(())
    found = run(recipe, capsys, "--set", f"{SET}.tracklets.add_members=[]")
    assert found["grounded"] == (2, 0)
    assert len(read_tracklets()) == 0
    assert read_report("tracklets")["no_candidate"] is True
    assert {row["why"] for row in read_report("grounded")["expressions"]} == {"no_candidate"}
    assert all(answer.masks().any() for answer in Store(Path("runs")).read("grounded", "video0"))


def test_more_proposals_than_the_cap_are_counted(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys, "--set", f"{SET}.masks.max_per_frame=1")
    assert [round(one.confidence, 2) for one in read_proposals().proposals] == [0.9, 0.9]
    assert [row["capped"] for row in read_report("masks")["counts"]] == [1, 1]


def test_members_propose_their_masks_of_all_sentences(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys, "--set", f"{SET}.masks={{propose: [], add_members: [a, b], key_frames: 2}}")
    found = read_proposals()
    assert {one.detector for one in found.proposals} <= {"a", "b"}
    assert {one.label for one in found.proposals} <= {"0", "1", "2"}
    store = Store(Path("runs"))
    masks = {(name, one.expression): one for name in "ab" for one in store.read(name, "video0")}
    for one in found.proposals:
        assert one.mask == masks[one.detector, one.label].runs[one.frame]


def test_grounded_masks_are_members_of_fusions(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assign = "{fuse: [a, b, grounded], method: assign}"
    assert run(recipe, capsys, "--set", f"{SET}.chosen={assign}")["chosen"] == (2, 0)
    assert main(["table", recipe, "ab", "grounded", "both", "chosen", "--set", f"{SET}.chosen={assign}", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["node"] for row in rows[:4]] == ["ab", "grounded", "both", "chosen"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("masks={propose: []}", "no source of proposals"),
        ("masks={propose: [fond]}", "detector 'fond' is unknown; did you mean 'found'"),
        ("masks={propose: [found], add_members: [found]}", "two sources of proposals are called 'found'"),
        ("masks={propose: [found], factors: {fond: 2}}", "factors: unknown key 'fond'"),
        ("masks={propose: [found], engine: aot}", "engine aot starts from masks; name a SAM 2 or SAM 3 engine"),
        ("tracklets.track=ab", "track: ab stores mask sequences, expected proposals"),
        (
            "tracklets.add_members=[masks]",
            "add_members: masks stores proposals, expected mask sequences",
        ),
        ("tracklets.engine=sam2", "engine 'sam2' is unknown"),
        ("tracklets.keep=0", "keep"),
        ("grounded.ground=masks", "ground: masks stores proposals, expected tracklets"),
        ("grounded.agreement=[]", "nothing tells which tracklet fits"),
        ("grounded.agreement=[a, a]", "agreement: a member is named twice"),
        ("grounded.weights={c: 2}", "weights: unknown key 'c'"),
        (
            "grounded.fallback=tracklets",
            "grounded: fallback: tracklets stores tracklets, expected mask sequences",
        ),
    ],
)
def test_what_cannot_work_is_said_before_anything_runs(
    recipe: str, capsys: pytest.CaptureFixture[str], setting: str, message: str
) -> None:
    assert message in fail(recipe, capsys, "--set", f"{SET}.{setting}")
    assert not Path("runs/nodes").exists()


def test_boxes_without_masks_are_one_line(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_detections(boxes=True)
    assert f"video0/{FRAMES[0]}: found gives boxes alone" in fail(recipe, capsys)


def test_tracklets_of_another_frame_list_are_made_again(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys)
    path = Path("data/meta_expressions/valid/meta_expressions.json")
    content = json.loads(path.read_text())
    content["videos"]["video0"]["frames"] = list(FRAMES[:2])
    path.write_text(json.dumps(content))
    write_detections()
    capsys.readouterr()
    assert main(["run", recipe, "--quiet", "--json", "--device", "cpu"]) == 0
    assert read_tracklets().frames == FRAMES[:2]


def test_the_best_tracklet_is_an_oracle_row(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Both true objects are proposals, and grounding chooses by members alone."""
    run(recipe, capsys)
    assert main(["table", recipe, "grounded", "--oracle", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    (best,) = content["oracle"]
    assert (best["name"], best["node"]) == ("best tracklet", "tracklets")
    assert best["gap"] >= 0


def test_the_report_has_the_scores_of_all_tracklets(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys)
    assert main(["report", recipe, "--quiet", "--no-sweeps"]) == 0
    page = Path("runs/report.html")
    names = [node["name"] for node in read_index(page)["nodes"]]
    (found,) = [one for one in read_part(page, 0)["groundings"] if one is not None]
    assert names[found["tracklets"]] == "tracklets"
    said = read_report("grounded")
    assert found["by"] == said["by"]
    ids = [one.id for one in read_tracklets().tracklets]
    for row, expected in zip(found["rows"], said["expressions"], strict=True):
        assert row[0] == expected["scores"]
        assert (None if row[1] is None else ids[row[1]]) == expected["tracklet"]
    # What was written for other settings says nothing of what is stored now.
    path = find_report(Path("runs"), "grounded", "video0")
    path.write_text(path.read_text().replace('"fingerprint": "', '"fingerprint": "0'))
    assert main(["report", recipe, "--quiet", "--no-sweeps"]) == 0
    assert [one for one in read_part(page, 0)["groundings"] if one is not None] == []


def _by_networks(recipe: str, tmp_path: Path, *models: str) -> None:
    """Let `grounded` ask networks instead of members."""
    for seed, name in enumerate(("one", "two")):
        make_checkpoint(tmp_path / f"{name}.safetensors", seed=seed)
    text = Path(recipe).read_text()
    Path(recipe).write_text(text.replace("agreement: [a, b], gate: 0.3", f"models: [{', '.join(models)}]"))


def test_networks_choose_and_several_are_averaged(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = []
    for name in ("one", "two"):
        _by_networks(recipe, tmp_path, f"{{checkpoint: {name}.safetensors}}")
        run(recipe, capsys)
        alone.append([row["scores"] for row in read_report("grounded")["expressions"]])
        text = Path(recipe).read_text()
        Path(recipe).write_text(
            text.replace(f"models: [{{checkpoint: {name}.safetensors}}]", "agreement: [a, b], gate: 0.3")
        )
    _by_networks(recipe, tmp_path, "{checkpoint: one.safetensors}", "{checkpoint: two.safetensors, weight: 3}")
    run(recipe, capsys)
    report = read_report("grounded")
    assert report["by"] == "the mean of one, two"
    assert report["tracklets"] == read_tracklets().content_hash()
    found = np.array([row["scores"] for row in report["expressions"]])
    np.testing.assert_allclose(found, 0.25 * np.array(alone[0]) + 0.75 * np.array(alone[1]), atol=2e-4)
    store, tracklets = Store(Path("runs")), read_tracklets()
    for answer, row in zip(store.read("grounded", "video0"), found, strict=True):
        assert answer.runs == tracklets.tracklets[int(row.argmax())].runs
        assert answer.scores.tolist() == [pytest.approx(row.max(), abs=1e-4)] * N_FRAMES


def test_other_weights_of_a_network_are_another_result(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _by_networks(recipe, tmp_path, "{checkpoint: one.safetensors}")
    run(recipe, capsys)
    assert run(recipe, capsys)["grounded"] == (0, 2)
    make_checkpoint(tmp_path / "one.safetensors", seed=5)
    assert run(recipe, capsys)["grounded"] == (2, 0)


def test_an_ensemble_of_five_unlike_networks_is_a_list(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = (1, 1, 1, 1)
    backbones = {
        "bert": BackboneConfig("resnet", 8, (1, 1, 2, 1), norm="group"),
        "roberta": BackboneConfig("swin", 8, small, (1, 1, 1, 1)),
        "deberta": BackboneConfig("convnext", 8, small),
        "bart": BackboneConfig("resnet", 16, small, norm="group"),
    }
    for name, backbone in backbones.items():
        make_checkpoint(tmp_path / f"{name}.safetensors", replace(CONFIG, backbone=backbone, text=MODELS[name]))
    names = ("one", *backbones)
    _by_networks(recipe, tmp_path, *(f"{{checkpoint: {name}.safetensors}}" for name in names))
    run(recipe, capsys)
    report = read_report("grounded")
    assert report["by"] == f"the mean of {', '.join(names)}"
    found = np.array([row["scores"] for row in report["expressions"]])
    np.testing.assert_allclose(found.sum(1), 1, atol=2e-3)


def test_a_network_that_is_missing_or_of_another_kind_is_one_line(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _by_networks(recipe, tmp_path, "{checkpoint: three.safetensors}")
    message = fail(recipe, capsys)
    assert "three.safetensors" in message
    assert "no such checkpoint" in message


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ("absent", r"grounded: .*absent\.safetensors: no such checkpoint; put it there or correct the path"),
        ("wide", r"grounded: .*wide\.safetensors: .*(shape|sizes|fit|states)"),
        ("page", r"grounded: .*page\.safetensors: "),
        ("other", r"grounded: .*other\.safetensors: holds a referformer network"),
    ],
)
def test_a_network_that_cannot_be_loaded_is_found_without_its_weights(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], checkpoint: str, message: str
) -> None:
    _by_networks(recipe, tmp_path, f"{{checkpoint: {checkpoint}.safetensors}}")
    # The tensors of one width under the settings of another.
    narrow = GroundingNetwork(CONFIG)
    save_network(tmp_path / "wide.safetensors", "tracklet-grounding", replace(CONFIG, width=2 * CONFIG.width), narrow)
    (tmp_path / "page.safetensors").write_text("<!DOCTYPE html>")
    network = small_network("referformer")
    save_network(tmp_path / "other.safetensors", "referformer", network.config, network)
    for command in ("doctor", "plan", "run"):
        capsys.readouterr()
        assert main([command, recipe]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert re.search(message, line)
        assert not list(Path("runs/nodes").glob("*/video*"))


def test_a_ground_node_asks_either_members_or_networks(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _by_networks(recipe, tmp_path, "{checkpoint: one.safetensors}")
    text = Path(recipe).read_text()
    Path(recipe).write_text(text.replace("models: [", "agreement: [a], models: ["))
    assert "both tell which tracklet fits" in fail(recipe, capsys)
    Path(recipe).write_text(text.replace("models: [", "weights: {a: 2}, models: ["))
    assert "write `weight` beside a model's checkpoint" in fail(recipe, capsys)


def test_without_propagation_every_frame_chooses_among_its_own_proposals(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _by_networks(recipe, tmp_path, "{checkpoint: one.safetensors}")
    text = Path(recipe).read_text()
    Path(recipe).write_text(text.replace("ground: tracklets, models", "ground_frames: masks, models"))
    run(recipe, capsys)
    proposals = read_proposals()
    for answer in Store(Path("runs")).read("grounded", "video0"):
        masks = answer.masks()
        for frame in range(N_FRAMES):
            offered = [one.mask for one in proposals.proposals if one.frame == frame]
            if offered:
                assert answer.runs[frame] in offered
                assert 0.5 <= answer.scores[frame] <= 1
            else:
                assert not masks[frame].any()
                assert answer.scores[frame] == 0


def test_by_frame_wants_proposals_and_networks(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path(recipe).read_text()
    Path(recipe).write_text(text.replace("ground: tracklets,", "ground_frames: masks, models: [],"))
    assert "grounded: unknown key 'agreement'; " in fail(recipe, capsys)
    Path(recipe).write_text(text)
    _by_networks(recipe, tmp_path, "{checkpoint: one.safetensors}")
    text = Path(recipe).read_text()
    Path(recipe).write_text(text.replace("ground: tracklets,", "ground_frames: tracklets,"))
    assert "tracklets stores tracklets, expected proposals" in fail(recipe, capsys)


def test_the_older_spelling_of_grounding_by_frame_is_refused(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path(recipe).read_text()
    Path(recipe).write_text(text.replace("ground: tracklets,", "ground: masks, by_frame: true,"))
    assert "by_frame is a kind of its own; write ground_frames: masks, models: [...]" in fail(recipe, capsys)


@pytest.mark.parametrize(
    ("node", "settings"),
    [("grounded", {"gate": ["0", "0.5", "0.9"]}), ("tracklets", {"nms_iou": ["0.3", "1"], "keep": ["1", "10"]})],
    ids=["gate", "suppression"],
)
def test_a_sweep_scores_what_runs_of_each_setting_score(
    recipe: str, capsys: pytest.CaptureFixture[str], node: str, settings: dict[str, list[str]]
) -> None:
    run(recipe, capsys)
    given = [word for key, values in settings.items() for word in (f"--{key.replace('_', '-')}", *values)]
    assert main(["sweep", recipe, node, *given, "--json"]) == 0
    own, *rows = json.loads(capsys.readouterr().out)["settings"]
    assert own["own"]
    assert [[row[key] for key in settings] for row in rows] == [
        list(map(float, values)) for values in product(*settings.values())
    ]
    for row in rows:
        words = [word for key in settings for word in ("--set", f"{SET}.{node}.{key}={row[key]}")]
        run(recipe, capsys, *words)
        assert main(["table", recipe, "grounded", "--json", *words]) == 0
        alone = json.loads(capsys.readouterr().out)["rows"][0]
        assert [alone[key] for key in ("j", "f")] == [row[key] for key in ("j", "f")]
    assert len({row["j"] for row in rows}) > 1
