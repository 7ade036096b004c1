"""What `run` refuses without looking at a pixel, `doctor` and `plan` say before: one line, and exit status 2."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import deaot_toolkit
import pytest
import torch
from referring_helpers import small_network
from small_data import write_split
from stored_results import find_result

from runners.checkpoints.saving import save_network
from rvos_fusion.commands.cli import main

MODELS = (
    "models={n: {runner: referformer, checkpoint: n.safetensors, options: {short_side: 48}}, "
    "a: {import: png, path: members/a}}"
)
STAGES = "stages={one: {f: {fuse: [n, a], threshold: 1}, p: {propagate: a, engine: e}}}"
ENGINES = "engines={e: {network: r50-aotl, checkpoint: weights.pth}}"
ALONE = "stages={one: {f: {fuse: [n, a], threshold: 1}}}"
BROKEN = {
    "runner": (["models.n.runner=referfromer"], r"runner 'referfromer' is unknown; did you mean 'referformer'\?"),
    "option": (["models.n.options={shot_side: 48}"], r"unknown key 'shot_side'; did you mean 'short_side'\?"),
    "backbone": (["models.n.backbone=resnet51"], r"n: backbone 'resnet51' is unknown; choose one of resnet50"),
    "other backbone": (["models.n.backbone=swin-t"], r"n: .*n\.safetensors: its backbone is .*, not swin-t; correct"),
    "network of the engine": ([STAGES, "engines.e.network=r51-aotl"], r"p: .*r51-aotl.* is unknown"),
    "wrong network": (["models.n.runner=soc"], r"n: .*n\.safetensors: holds a referformer network; set runner"),
    "file of an engine": ([STAGES], r"p: .*weights\.pth: states a network of \d+ values, but holds 4"),
    "another network in the file of an engine": (
        [STAGES, "engines.e.checkpoint=small.safetensors"],
        r"p: .*small\.safetensors: holds a network small-aot, not r50-aotl; name that one",
    ),
    "window": (["models.n.window=2", "models.n.overlap=2"], r"n: window 2 with overlap 2; give window >= 1"),
    "threshold": (["stages.one.f.threshold=3", "groups.by=none"], r"f: a group of one expression, .* has 2 votes but"),
    "threshold of groups that masks decide": (
        ["stages.one.f.threshold=7", "groups={by: agreement, members: [n, a]}"],
        r"f: a group of 3 expressions, all of video video0, has 6 votes but needs 7",
    ),
    "tokeniser": (["models.n.tokenizer=data"], r"n: .*n\.safetensors: reads the small word list .* drop `tokenizer`"),
    "no checkpoint": (["models.n.checkpoint=weights.txt"], r"n: .*weights\.txt: a web page, not a checkpoint"),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    write_split(folder, n_videos=2)
    network = small_network("referformer")
    save_network(folder / "n.safetensors", "referformer", network.config, network)
    deaot_toolkit.save(deaot_toolkit.build("small-aot"), folder / "small.safetensors")
    torch.save({"conv.weight": torch.zeros(2, 2)}, folder / "weights.pth")
    (folder / "weights.txt").write_text("<!DOCTYPE html>")
    return folder


def call(command: str, *values: str) -> int:
    words = [command, "pipeline.yaml"]
    for value in (MODELS, ENGINES, ALONE, "submission=f", *values):
        words += ["--set", value]
    return main([*words, "--quiet", "--device", "cpu"] if command == "run" else words)


@pytest.mark.parametrize(("values", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_recipe_is_refused_alike_by_doctor_plan_and_run(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], values: list[str], message: str
) -> None:
    monkeypatch.chdir(source)
    for command in ("doctor", "plan", "run"):
        assert call(command, *values) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert re.search(message, error)
    assert list((source / "runs").rglob("*.masks")) == []


FILES = {
    "group file": ["groups={by: file, file: other.json}"],
    "group file that lacks a sentence": ["groups={by: file, file: half.json}"],
    "no group file": ["groups={by: file, file: absent.json}"],
    "fitted groups": ["groups={by: runs, members: [a, b], fitted: other.json}"],
    "fitted gate": ["stages.stage3={g: {gate: final, members: [a, b], fitted: other.json}}"],
    "run lengths": ["models.c={import: rle, path: other.json}"],
    "dump": ["models.c={import: dump, path: other.json}"],
    "probabilities": ["models.c={import: npz, path: members/c}"],
    "masks": ["models.c={import: png, path: data}"],
    "split": ["dataset.split=test"],
    "format": ["dataset.format=ref-youtube"],
    "workspace": ["workspace=other.json"],
    "program": ["models.c={runner: command, command: [absent_program, x]}"],
    "module": ["models.c={runner: 'broken_module:build'}"],
    "sort of input": ["stages.stage3={r: {refine: a, masklets: b}}"],
    "detector": ["stages.stage3={r: {propose: [x]}}"],
    "submission": ["submission=absent"],
}


@pytest.mark.parametrize("values", FILES.values(), ids=FILES)
def test_what_run_refuses_of_files_and_names_doctor_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], values: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, n_videos=1)
    Path("other.json").write_text('{"x": 3}')
    Path("half.json").write_text('{"video0": [["0", "1"]]}')
    Path("broken_module.py").write_text("import absent_library\n\n\ndef build(settings, *, device):\n    pass\n")
    words = [word for value in values for word in ("--set", value)]
    assert main(["run", "pipeline.yaml", "--quiet", *words]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main(["doctor", "pipeline.yaml", "--load", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_whole_recipe_is_ready(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source)
    assert call("doctor") == 0
    assert call("plan") == 0


def test_masks_that_are_missing_are_named_and_the_other_videos_run(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(source, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    Path("members/a/video1/2/00005.png").unlink()
    message = r"a: .*video1: 1 mask is missing, first 2/00005\.png"
    for command in ("doctor", "plan"):
        assert call(command) == 2
        assert re.search(message, capsys.readouterr().err)
    assert call("run") == 2
    assert "failed: a: " in capsys.readouterr().err
    assert find_result(Path("runs"), "f", "video0").is_file()


def test_what_is_wrong_for_every_video_is_printed_once(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that fits by its outline, and holds a value that is no number: only loading it tells."""
    shutil.copytree(source, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    network = small_network("referformer")
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    save_network(Path("n.safetensors"), "referformer", network.config, network)
    assert call("run") == 2
    failed, blocked = capsys.readouterr().err.splitlines()
    assert re.search(r"failed: n: .*NaN or infinity in .* \(and so 1 more video\)", failed)
    assert blocked == "blocked: 2 results that need these"
