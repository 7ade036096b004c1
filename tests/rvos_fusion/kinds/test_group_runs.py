"""Groups by runs in a run: found from order and masks, and given up where the order of the file says nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from small_data import write_split

from rvos.masks.mask_sequences import encode
from rvos.masks.stored.store import Store
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
    final: {fuse: [a, b], method: METHOD}
submission: {node: final}
"""


def write_set(root: Path, orders: Sequence[str], method: str = "assign") -> Path:
    """Write videos whose sentences mean these objects in this order, as both members see them; no object ids."""
    videos = {}
    for index, order in enumerate(orders):
        expressions = {str(i): {"exp": f"thing {i}"} for i in range(len(order))}
        videos[f"v{index}"] = {"expressions": expressions, "frames": FRAMES}
        for name in "ab":
            content = {}
            for i, letter in enumerate(order):
                masks = np.zeros((2, 8, 40), bool)
                left = 8 * "xyzuv".index(letter)
                masks[:, :, left : left + (7 if name == "a" else 8)] = True
                content[str(i)] = [{"size": [8, 40], "counts": run.decode()} for run in encode(masks)]
            (root / name).mkdir(parents=True, exist_ok=True)
            (root / name / f"v{index}.json").write_text(json.dumps(content))
    listed = root / "data/meta_expressions/valid/meta_expressions.json"
    listed.parent.mkdir(parents=True)
    listed.write_text(json.dumps({"videos": videos}))
    (root / "pipeline.yaml").write_text(RECIPE.replace("METHOD", method))
    return root / "pipeline.yaml"


def read_groups(root: Path) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = json.loads((root / "runs/groups.json").read_text())
    return found


def test_runs_find_the_objects_that_no_id_names(tmp_path: Path) -> None:
    recipe = write_set(tmp_path, ["xxyyzz", "xyyzz", "xxyzz", "xxyyz"])
    assert main(["run", str(recipe), "--quiet"]) == 0
    assert read_groups(tmp_path) == {
        "v0": [["0", "1"], ["2", "3"], ["4", "5"]],
        "v1": [["0"], ["1", "2"], ["3", "4"]],
        "v2": [["0", "1"], ["2"], ["3", "4"]],
        "v3": [["0", "1"], ["2", "3"], ["4"]],
    }


def test_runs_agree_with_ids_where_there_are_some(tmp_path: Path) -> None:
    write_split(tmp_path)
    words = ["--set", "groups={by: runs, members: [a, b, c]}", "--quiet"]
    assert main(["run", str(tmp_path / "pipeline.yaml"), *words]) == 0
    assert read_groups(tmp_path) == {f"video{index}": [["0", "1"], ["2"]] for index in range(3)}


def test_one_sentence_is_a_group(tmp_path: Path) -> None:
    assert main(["run", str(write_set(tmp_path, ["x"])), "--quiet"]) == 0
    assert read_groups(tmp_path) == {"v0": [["0"]]}


SHUFFLED = ["xyzxyz", "xyzyzx", "xyzzxy", "zxyxyz"]


def test_an_order_that_says_nothing_is_given_up_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_set(tmp_path, SHUFFLED)
    assert main(["run", str(recipe), "--quiet"]) == 0
    assert "the order of the file says nothing" in capsys.readouterr().err
    words = ["--set", "groups={by: none}", "--workspace", str(tmp_path / "alone"), "--quiet"]
    assert main(["run", str(recipe), *words]) == 0
    for video in ("v0", "v1", "v2", "v3"):
        first, second = (Store(tmp_path / name).read("final", video) for name in ("runs", "alone"))
        assert [sequence.runs for sequence in first] == [sequence.runs for sequence in second]


def test_what_was_decided_holds_for_later_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_set(tmp_path, SHUFFLED)
    assert main(["run", str(recipe), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["run", str(recipe), "--json"]) == 0
    rows = {row["node"]: row for row in json.loads(capsys.readouterr().out)["nodes"]}
    assert rows["final"]["reused"] == 4


def test_all_times_are_kept_where_the_order_is_given_up(tmp_path: Path) -> None:
    assert main(["run", str(write_set(tmp_path, SHUFFLED)), "--quiet"]) == 0
    rows = [line.split(",") for line in (tmp_path / "runs/timings.csv").read_text().splitlines()]
    # `final` ran with groups first, then without.
    expected = [("a", 4), ("b", 4), ("final", 8)]
    assert sorted(Counter(row[0] for row in rows).items()) == expected


def test_some_videos_alone_do_not_decide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_set(tmp_path, SHUFFLED)
    assert main(["run", str(recipe), "--videos", "v0", "v1", "--quiet"]) == 0
    assert "says nothing" not in capsys.readouterr().err
    assert main(["run", str(recipe), "--quiet"]) == 0
    assert "says nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("groups={by: runs}", "by runs needs 'members'"),
        ("groups={by: runs, members: [a]}", "name at least two"),
        ("groups={by: runs, members: [a, c]}", "no node 'c'"),
        ("groups={by: runs, members: [a, final]}", "cycle"),
        ("groups={by: runs, members: [a, b], lengths: [0, 1]}", "each above 0"),
        ("groups={by: runs, members: [a, b], lengths: [one]}", "groups.lengths.0 'one' is not a number"),
        ("groups={by: runs, members: [a, b], fitted: lost.json}", "lost.json"),
        ("stages.stage1.final.fitted=lost.json", "lost.json"),
        ("stages.stage1.final.capacity=0", "is not any or a whole number of at least 1"),
        ("stages.stage1.final.threshold=2", "unknown key 'threshold'"),
        ("stages.stage1.final.method=best", "different scales"),
    ],
    ids=lambda value: value[:48],
)
def test_bad_settings_are_named_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, message: str
) -> None:
    assert main(["run", str(write_set(tmp_path, ["xx"])), "--set", change, "--quiet"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_fits_of_other_members_are_refused_at_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_set(tmp_path, ["xx"])
    fit = {"slope": 1.0, "intercept": 0.0}
    content = {"format": "rvos-fusion fit", "version": 1, "members": ["a", "c"], "scores": {"a": fit, "c": fit}}
    (tmp_path / "fit.json").write_text(json.dumps(content))
    assert main(["plan", str(recipe), "--set", f"stages.stage1.final.fitted={tmp_path}/fit.json"]) == 2
    assert "fitted for a, c, not for a, b; fit again" in capsys.readouterr().err


def test_best_refuses_pictures_and_average_binary_dumps_at_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_split(tmp_path)
    recipe = str(tmp_path / "pipeline.yaml")
    assert main(["plan", recipe, "--set", "stages.stage2.final={fuse: [a], method: best}"]) == 2
    assert "best compares scores, and a has none" in capsys.readouterr().err
    assert main(["run", recipe, "--set", "stages.stage2.final={fuse: [ab, c], method: average}", "--quiet"]) == 0
