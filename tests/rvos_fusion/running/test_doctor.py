"""What makes `rvos run` fail keeps `rvos doctor` from saying "ready": the two are compared on such inputs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from small_data import write_split

from rvos_fusion.commands.cli import main

PROGRAM = "models.x={{runner: command, command: [{}]}}"
MORE = "stages.stage2.more={fuse: [x], threshold: 1}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, n_videos=2)
    return tmp_path


def resize(*places: str) -> Callable[[Path], None]:
    """Return a damage: masks of another size."""

    def damage(folder: Path) -> None:
        for place in places:
            for path in sorted((folder / place).rglob("*.png")):
                with Image.open(path) as image:
                    image.resize((24, 16), Image.Resampling.NEAREST).save(path)

    return damage


def write(name: str, text: str, mode: int = 0o755) -> Callable[[Path], None]:
    """Return a damage: a file that is no program."""

    def damage(folder: Path) -> None:
        (folder / name).write_text(text)
        (folder / name).chmod(mode)

    return damage


def nest(folder: Path) -> None:
    """Put masks a few folders deeper, beside other things."""
    (folder / "out/nest").mkdir(parents=True)
    (folder / "out/readme.txt").touch()
    shutil.copytree(folder / "members/a", folder / "out/nest/Annotations")


def grey(folder: Path) -> None:
    """Write a mask of three values."""
    path = folder / "members/b/video1/1/00000.png"
    with Image.open(path) as image:
        image.point(lambda value: value // 2 + 3).save(path)


def key_frames(folder: Path) -> None:
    """Name a key frame that no video has."""
    entries = {
        f"video{number}": {str(one): {"index_info": {"class_index": 7}} for one in range(3)} for number in (0, 1)
    }
    (folder / "members/a/key_frame.json").write_text(json.dumps(entries))


def nothing(folder: Path) -> None:
    """Leave all as it is."""


FAILING = {
    "masks of another size": (resize("members/b"), [], r"b: .*masks of 16 x 24 pixels .*expected 32 x 48"),
    "one sentence of another size": (resize("members/b/video1/2"), [], r"b: .*video1/2.*masks of 16 x 24 pixels"),
    "masks of three values": (grey, [], r"b: .*video1/1/00000\.png: value 3"),
    "a key frame beyond the end": (key_frames, [], r"a: .*frame 7 of 3"),
    "a folder deeper": (nest, ["models.a.path=out"], r"a: .*give path: out/nest/Annotations"),
    "a folder too deep": (nothing, ["models.a.path=members/a/video0"], r"a: .*give path: members/a"),
    "no program": (nothing, [PROGRAM.format("gone_for_good")], r"x: no program gone_for_good"),
    "no file of that name": (nothing, [PROGRAM.format("./gone")], r"x: no program \./gone"),
    "not executable": (write("p", "#!/bin/sh\n", 0o644), [PROGRAM.format("./p")], r"x: .*/p is not executable"),
    "no interpreter": (write("p", "#!/gone/python\n"), [PROGRAM.format("./p")], r"x: .*needs /gone/python"),
    "no interpreter by env": (
        write("p", "#!/usr/bin/env gone\n"), [PROGRAM.format("./p")], r"x: .*/p needs gone"
    ),
    "no first line": (write("p", "true\n"), [PROGRAM.format("./p")], r"x: .*/p is no program"),
    "no code": (nothing, [PROGRAM.format("python3, -u, gone.py")], r"x: no file .*gone\.py"),
    "a folder as code": (nothing, [PROGRAM.format("./members")], r"x: no program \./members"),
    "two objects": (nothing, ["groups={by: neighbours}"], r"by their obj_id in . of . pairs?, first video0/0 and 1"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "values", "message"), FAILING.values(), ids=FAILING.keys())
def test_doctor_and_plan_name_what_makes_a_run_fail(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    values: list[str],
    message: str,
) -> None:
    damage(folder)
    if any("neighbours" in value for value in values):
        state_objects(folder, "121")
    more = [MORE] if any("models.x" in value for value in values) else []
    words = [word for value in (*values, *more) for word in ("--set", value)]
    for command in (["doctor"], ["doctor", "--deep"], ["plan"]):
        assert main([command[0], "pipeline.yaml", *command[1:], *words]) == 2
        assert re.search(message, capsys.readouterr().err)
    assert main(["run", "pipeline.yaml", "--quiet", *words]) != 0


@pytest.mark.parametrize(
    "command", ["[python3, -m, gone]", "[python3, -c, pass]", "[python3, p.py]", "[./p.py]", "[env, python3, gone.py]"]
)
def test_a_program_that_may_start_is_left_to_the_run(folder: Path, command: str) -> None:
    write("p.py", "#!/usr/bin/env -S python3 -u\n")(folder)
    words = ["--set", f"models.x={{runner: command, command: {command}}}", "--set", MORE]
    assert main(["doctor", "pipeline.yaml", *words]) == 0


def test_deep_looks_at_masks_of_later_frames(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Image.open(folder / "members/c/video0/1/00010.png") as image:
        image.resize((24, 16), Image.Resampling.NEAREST).save(folder / "members/c/video0/1/00010.png")
    assert main(["doctor", "pipeline.yaml"]) == 0
    assert main(["doctor", "pipeline.yaml", "--deep"]) == 2
    assert re.search(r"c: .*video0/1/00010\.png: masks of 16 x 24", capsys.readouterr().err)


def state_objects(folder: Path, objects: str) -> None:
    """Write which objects the sentences of all videos are of; a dash: not said."""
    path = folder / "data/meta_expressions/valid/meta_expressions.json"
    content = json.loads(path.read_text())
    for video in content["videos"].values():
        for entry, name in zip(video["expressions"].values(), objects, strict=True):
            entry.pop("obj_id")
            entry.update({} if name == "-" else {"obj_id": name})
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("deep", [[], ["--deep"]])
def test_masks_tell_of_neighbours_that_are_two_objects(
    folder: Path, capsys: pytest.CaptureFixture[str], deep: list[str]
) -> None:
    words = ["doctor", "pipeline.yaml", *deep, "--set", "groups={by: neighbours}"]
    state_objects(folder, "---")
    assert main(words) == 0
    for member in "abc":
        for video in ("video0", "video1"):
            place = folder / "members" / member / video
            (place / "1").rename(place / "other")
            (place / "2").rename(place / "1")
            (place / "other").rename(place / "2")
    capsys.readouterr()
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "ab: two objects by the masks in 2 of 2 pairs, first video0/0 and 1; group by" in told


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format: ref-youtube-vos", "format: ref-youtube-vso", r"pipeline\.yaml:1: dataset\.format .*did you mean"),
        ("node: final", "node: finl", r"pipeline\.yaml:13: submission: no node 'finl'; did you mean 'final'"),
        ("threshold: 0.5", "threshold: 1.5", r"pipeline\.yaml:10: .*threshold 1\.5: no vote can reach"),
    ],
    ids=["format", "submission", "threshold"],
)
def test_a_wrong_word_is_told_with_its_line_and_as_it_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    recipe = folder / "pipeline.yaml"
    recipe.write_text(recipe.read_text().replace(old, new))
    assert main(["doctor", "pipeline.yaml"]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_an_archive_that_is_not_there_is_named_before_its_data_set(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-submission", "gone.zip"]) == 2
    assert capsys.readouterr().err == "rvos check-submission: gone.zip: no such file; check the path\n"


def test_what_the_hub_has_is_followed_by_the_command_that_fetches_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = "engines.s={network: sam2.1-hiera-tiny, checkpoint: weights/sam2.1-hiera-tiny}"
    words = ["--set", engine, "--set", "stages.stage2.more={propagate: a, engine: s}"]
    assert main(["doctor", "pipeline.yaml", *words]) == 2
    assert capsys.readouterr().out.splitlines()[-1] == "next: rvos fetch-weights sam2.1-hiera-tiny --out weights"
    assert main(["doctor", "pipeline.yaml"]) == 0
    assert "next:" not in capsys.readouterr().out


def test_a_plan_sums_up_what_is_known_and_names_what_is_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "pipeline.yaml"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("in all 0 s on one process, and what a, b, c, ... will take")
    assert main(["run", "pipeline.yaml", "--quiet", "--videos", "video0"]) == 0
    capsys.readouterr()
    assert main(["plan", "pipeline.yaml"]) == 0
    assert re.search(r"^in all \d+ s on one process$", capsys.readouterr().out, re.MULTILINE)
