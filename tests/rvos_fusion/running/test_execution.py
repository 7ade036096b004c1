"""Runs: resume, isolation of failures, shards, kills; one clear line for every bad input."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from killable import PRELOADED, run_recipe
from small_data import write_split
from stored_results import find_result, list_results

from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main
from rvos_fusion.kinds.base import Task
from rvos_fusion.kinds.fuse import FuseNode

N_KILLS = 20

Rows = dict[str, dict[str, int]]


@pytest.fixture
def split(tmp_path: Path) -> Path:
    write_split(tmp_path)
    return tmp_path


def run(split: Path, *words: str) -> int:
    return main(["run", str(split / "pipeline.yaml"), "--quiet", *words])


def run_json(split: Path, capsys: pytest.CaptureFixture[str], *words: str) -> Rows:
    capsys.readouterr()
    assert run(split, "--json", *words) == 0
    return {row["node"]: row for row in json.loads(capsys.readouterr().out)["nodes"]}


def counts(rows: Rows) -> dict[str, tuple[int, int]]:
    return {node: (row["done"], row["reused"]) for node, row in rows.items()}


def stored(workspace: Path) -> dict[str, bytes]:
    return {str(path.relative_to(workspace)): path.read_bytes() for path in list_results(workspace)}


def test_a_second_run_reuses_everything(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(counts(run_json(split, capsys)).values()) == {(3, 0)}
    assert set(counts(run_json(split, capsys)).values()) == {(0, 3)}


def test_only_what_depends_on_a_change_runs_again(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_json(split, capsys)
    changed = counts(run_json(split, capsys, "--set", "stages.stage2.final.threshold=1"))
    assert changed == {"a": (0, 3), "b": (0, 3), "c": (0, 3), "ab": (0, 3), "final": (3, 0)}
    changed = counts(run_json(split, capsys, "--set", "stages.stage1.ab.weights.a=2"))
    assert changed == {"a": (0, 3), "b": (0, 3), "c": (0, 3), "ab": (3, 0), "final": (3, 0)}


def test_one_node_is_made_with_what_it_stands_on_and_no_more(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = run_json(split, capsys, "--set", "stages.stage2.other={fuse: [b], threshold: 1}", "--node", "other")
    assert counts(rows) == {"b": (3, 0), "other": (3, 0)}
    recipe = str(split / "pipeline.yaml")
    assert main(["run", recipe, "--node", "ab"]) == 0
    assert f"next: rvos submit {recipe} --node ab" in capsys.readouterr().out
    assert main(["submit", recipe, "--node", "ab"]) == 0
    assert "final" not in Store(split / "runs").nodes()
    assert main(["run", recipe, "--node", "finale"]) == 2
    assert "no node 'finale'; did you mean 'final'?" in capsys.readouterr().err


def test_a_replaced_mask_is_imported_again(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_json(split, capsys)
    mask = split / "members/a/video1/0/00000.png"
    mask.write_bytes((split / "members/a/video1/0/00005.png").read_bytes())
    assert counts(run_json(split, capsys))["a"] == (1, 2)


def test_damaged_results_are_named_and_made_again(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_json(split, capsys)
    before = stored(split / "runs")
    path = find_result(split / "runs", "ab", "video1")
    path.write_bytes(path.read_bytes()[:-9])
    find_result(split / "runs", "c", "video0").write_bytes(b"foreign")
    capsys.readouterr()
    assert main(["run", str(split / "pipeline.yaml")]) == 0
    messages = capsys.readouterr().err
    assert "ab/video1.masks" in messages
    assert "c/video0.masks" in messages
    assert stored(split / "runs") == before


def test_processes_and_shards_give_the_same_results(split: Path) -> None:
    assert run(split) == 0
    assert run(split, "--workspace", str(split / "two"), "--jobs", "2") == 0
    for shard in ("1/2", "2/2"):
        assert run(split, "--workspace", str(split / "shards"), "--shard", shard) == 0
    assert stored(split / "runs") == stored(split / "two") == stored(split / "shards")


def test_propagated_masks_keep_the_key_frames_they_started_from(split: Path) -> None:
    (split / "members/key_frame.json").write_text("{}")
    (split / "members/a").rename(split / "members/Annotations_AOT")
    stages = "stages={stage1: {p: {propagate: b, folder: members/Annotations_AOT}}}"
    words = ["--set", stages.replace("members", str(split / "members")), "--set", "submission={node: p}"]
    models = f"models={{b: {{import: png, path: {split}/members/b}}}}"
    assert run(split, *words, "--set", models) == 0
    store = Store(split / "runs")
    for before, after in zip(store.read("b", "video0"), store.read("p", "video0"), strict=True):
        assert after.key_frame == before.pick_key_frame()
        assert after.runs != before.runs


def test_chosen_videos_run_alone(split: Path) -> None:
    assert run(split, "--videos", "video2") == 0
    assert Store(split / "runs").videos("final") == ("video2",)


def test_stage_two_says_when_stage_one_is_missing(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(split, "--stage", "2") == 2
    message = capsys.readouterr().err
    assert "results of stage1 are missing" in message
    assert f"rvos run {split / 'pipeline.yaml'} --stage 1" in message
    assert run(split, "--stage", "1") == 0
    assert run(split, "--stage", "2") == 0


def test_a_failing_video_does_not_stop_the_others(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = split / "members/b/video1/2/00005.png"
    content = broken.read_bytes()
    broken.write_bytes(content[:40])
    assert run(split) == 2
    message = capsys.readouterr().err
    assert str(broken) in message
    assert "blocked: 2 results" in message
    store = Store(split / "runs")
    assert store.videos("final") == ("video0", "video2")
    kept = stored(split / "runs")
    broken.write_bytes(content)
    assert run(split) == 0
    assert store.videos("final") == ("video0", "video1", "video2")
    assert kept.items() <= stored(split / "runs").items()


def test_an_unforeseen_error_keeps_its_traceback_and_the_other_videos(
    split: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = FuseNode.compute

    def fail_on_one(node: FuseNode, tasks: Sequence[Task]) -> object:
        if tasks[0].video.id == "video0":
            raise ValueError("no such luck")
        return original(node, tasks)

    monkeypatch.setattr(FuseNode, "compute", fail_on_one)
    assert run(split) == 1
    assert "video0: ValueError: no such luck; details in" in capsys.readouterr().err
    assert "Traceback" in (split / "runs/failures/ab/video0.txt").read_text()
    assert Store(split / "runs").videos("final") == ("video1", "video2")


BAD_INPUT = {
    "no such recipe": (lambda s: (s / "pipeline.yaml").unlink(), "no such file"),
    "no data": (lambda s: (s / "data").rename(s / "elsewhere"), "data"),
    "no expression file": (
        lambda s: (s / "data/meta_expressions/valid/meta_expressions.json").unlink(),
        "meta_expressions",
    ),
    "invalid JSON": (
        lambda s: (s / "data/meta_expressions/valid/meta_expressions.json").write_text("{"),
        "meta_expressions.json",
    ),
    "no member": (lambda s: (s / "members/c").rename(s / "members/d"), "nothing to import there"),
    "unsafe video": (
        lambda s: _edit_expressions(s, lambda text: text.replace("video1", "../../x")),
        "meta_expressions.json",
    ),
    "missing mask": (lambda s: (s / "members/a/video0/0/00005.png").unlink(), "00005.png"),
    "mask of another size": (
        lambda s: (s / "members/a/video0/0/00005.png").write_bytes(_png(7, 9)),
        "00005.png",
    ),
    "workspace is a file": (lambda s: (s / "runs").write_text("x"), "runs"),
    "cycle": (lambda s: _edit_recipe(s, lambda text: text.replace("[a, b, c]", "[a, b, final]")), "pipeline.yaml:10"),
    "out of reach": (lambda s: _edit_recipe(s, lambda text: text.replace("threshold: 2}\nsub", "threshold: 5}\nsub")),
                     "pipeline.yaml:12"),
}  # fmt: skip


def _edit_recipe(split: Path, change: object) -> None:
    path = split / "pipeline.yaml"
    path.write_text(change(path.read_text()))  # type: ignore[operator]


def _edit_expressions(split: Path, change: object) -> None:
    path = split / "data/meta_expressions/valid/meta_expressions.json"
    path.write_text(change(path.read_text()))  # type: ignore[operator]


def _png(height: int, width: int) -> bytes:
    import io

    import numpy as np
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.zeros((height, width), np.uint8)).save(stream, "png")
    return stream.getvalue()


@pytest.mark.parametrize(("break_it", "named"), BAD_INPUT.values(), ids=list(BAD_INPUT))
def test_bad_input_gives_a_clear_line_and_status_two(
    split: Path, capsys: pytest.CaptureFixture[str], break_it: object, named: str
) -> None:
    break_it(split)  # type: ignore[operator]
    assert run(split) == 2
    message = capsys.readouterr().err
    assert named in message
    assert "Traceback" not in message
    assert not (split.parent / "x").exists()


@pytest.mark.parametrize("words", [["--jobs", "0"], ["--shard", "3/2"], ["--videos", "nobody"], ["--stage", "9"]])
def test_bad_options_give_status_two(split: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(split, *words) == 2
    assert "rvos run: " in capsys.readouterr().err


def test_a_full_disk_stops_the_run_and_keeps_what_is_finished(
    split: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.fsync
    done = []

    def fill_up(handle: int) -> None:
        done.append(handle)
        if len(done) > 12:
            raise OSError(28, "No space left on device")
        original(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill_up)
        assert run(split) == 2
    message = capsys.readouterr().err
    assert "No space left on device" in message
    assert "finished results are kept" in message
    kept = stored(split / "runs")
    assert kept
    assert run(split) == 0
    assert kept.items() <= stored(split / "runs").items()


def submit(split: Path, workspace: Path) -> bytes:
    assert main(["submit", str(split / "pipeline.yaml"), "--workspace", str(workspace)]) == 0
    return (workspace / "submission.zip").read_bytes()


def _identify(workspace: Path) -> dict[Path, tuple[int, int]]:
    """Return inode and time of change of every finished result: both change when it is written again."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in list_results(workspace)}


def test_killed_runs_resume_to_the_same_bytes_and_repeat_nothing(tmp_path: Path) -> None:
    write_split(tmp_path, n_videos=9)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(PRELOADED)
    whole, broken = tmp_path / "whole", tmp_path / "broken"

    def start(workspace: Path) -> multiprocessing.process.BaseProcess:
        process = processes.Process(target=run_recipe, args=(str(tmp_path / "pipeline.yaml"), str(workspace)))
        process.start()
        return process

    process = start(whole)
    process.join()
    assert process.exitcode == 0
    expected = stored(whole)
    moments = random.Random(7)
    finished: dict[Path, tuple[int, int]] = {}
    for goal in sorted(moments.sample(range(len(expected) - 5), N_KILLS)):
        process = start(broken)
        while process.is_alive() and len(_identify(broken)) < goal:
            time.sleep(0.0005)
        time.sleep(moments.random() * 0.005)
        process.kill()
        process.join()
        current = _identify(broken)
        assert finished.items() <= current.items()
        finished = current
    assert 0 < len(finished) < len(expected)
    process = start(broken)
    process.join()
    assert process.exitcode == 0
    assert finished.items() <= _identify(broken).items()
    assert stored(broken) == expected
    assert list(broken.rglob("*.part")) == []
    assert submit(tmp_path, broken) == submit(tmp_path, whole)


def test_a_folder_whose_name_is_no_utf8_is_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        split.mkdir()
    except OSError:
        pytest.skip("the file system has no such names")
    write_split(split)
    recipe = str(split / "pipeline.yaml")
    (split / "members/b/video1/2/00005.png").write_bytes(b"")
    assert run(split) == 2
    assert "caf\\udce9" in capsys.readouterr().err
    whole = ["--set", "stages={s: {final: {fuse: [a, c], threshold: 1}}}"]
    for command in ("run", "submit", "table", "report", "plan", "licences"):
        assert main([command, recipe, *whole]) == 0
    data, masks, out = (str(split / name) for name in ("data", "members/a", "scores"))
    assert main(["evaluate", data, masks, "--format", "ref-youtube-vos", "--out", out]) == 0
