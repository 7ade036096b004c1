"""All that is wrong with a recipe comes in one message, each with its line; nothing that only follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rvos_fusion.commands.cli import main

RECIPE = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
groups: {by: none}
models:
  a: {import: png, path: members/a}
  b: {import: pngg, path: members/b}
stages:
  one:
    f: {fuse: [a, b, absent], threshold: 2}
    g: {fuse: [a, h], threshold: 1}
    h: {fuse: [g, a], threshold: 1}
    p: {propagate: a, engine: q}
    u: {refine: a, masklets: a}
    w: {fuse: [a, u], threshold: 1}
  two:
    x: {fuse: [y], threshold: 1}
    z: {fuse: [a, g], threshold: 7}
    v: {fuse: [a, p], threshold: 7}
    o: {fuse: [a], threshold: 7}
  three:
    y: {fuse: [a], threshold: 1}
submission: {node: final}
"""


def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    path = tmp_path / "r.yaml"
    if not path.exists():
        path.write_text(RECIPE)
    assert main(["plan", str(path), *words]) == 2
    return [line.strip().replace(f"{path}:", "") for line in capsys.readouterr().err.splitlines()[1:]]


def test_names_cycles_stages_inputs_and_thresholds_come_with_what_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = "choose one of a, f, g, h, u, w, x, z, v, o, y, b, p"
    assert refused(tmp_path, capsys) == [
        "6: models.b.import 'pngg' is unknown; did you mean 'png'?",
        f"9: f: no node 'absent'; {known}",
        "10: cycle g -> h -> g; a node cannot need its own result",
        "12: stages.one.p.engine: engine 'q' is unknown; there is none to choose from",
        "13: u: masklets: a stores mask sequences, expected mask sequences by instance; name another node",
        "16: x of two reads 'y' of three; move one of them",
        "19: o: a group of one expression, with groups by none, has 1 vote but needs 7; "
        "lower the threshold or add a rule for singles",
        f"22: submission: no node 'final'; {known}",
    ]


def test_what_may_follow_from_groups_that_cannot_be_read_is_not_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(tmp_path, capsys, "--set", "groups.by=object")
    assert not [line for line in told if line.startswith(("13:", "19:"))]
    assert [line for line in told if line.startswith("10:")]


def test_names_that_nobody_could_read_are_not_said_to_be_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(tmp_path, capsys, "--set", "stages.three=3", "--set", "models.b.import=png")
    assert told[0].endswith("stages.three must be a mapping (key: value); found '3'")
    assert not [line for line in told if "no node" in line]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("stages.on.f.threshold=1", "stages.on is not in the file; did you mean 'one'?"),
        ("stages.three.yy.threshold=1", "stages.three.yy is not in the file; did you mean 'y'?"),
        ("models.aa.path=x", "models.aa is not in the file; did you mean 'a'?"),
        ("dataset.splitt=x", "dataset: unknown key 'splitt'; did you mean 'split'?"),
    ],
)
def test_a_path_of_set_that_is_not_there_is_told_with_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    assert f"--set {words}: {message}" in refused(tmp_path, capsys, "--set", words)


def test_a_new_part_may_be_set_key_by_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--set", "models.aa.import=png", "--set", "models.aa.path=members/a")
    assert not [line for line in refused(tmp_path, capsys, *words) if "--set" in line]
