"""What a plan says of nodes that never ran here: the times of another machine, told as such."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_plans import RECIPE, make_plan

from rvos_fusion.commands.cli import main
from rvos_fusion.planning.usual_speeds import USUAL, find_usual_speed

PROJECT = Path(__file__).resolve().parents[3]


def find_speeds(folder: Path, recipe: str = RECIPE) -> dict[str, float | None]:
    """Return the speed of every node of a recipe that has two members and an engine."""
    return {node.name: find_usual_speed(node) for node in make_plan(folder, {"v": 4}, recipe).nodes}


def test_a_network_is_told_by_its_name_and_the_size_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "m.pth").write_bytes(b"small")
    found = find_speeds(tmp_path)
    small, official = (seconds for _, seconds in USUAL["soc"])
    assert found["m"] == small < official
    assert found["n"] == USUAL["mutr"][-1][1]
    assert found["p"] == found["q"] == USUAL["r50-aotl"][0][1]
    assert found["f"] is found["g"] is None


def test_every_view_of_a_frame_is_a_pass(tmp_path: Path) -> None:
    before = find_speeds(tmp_path)
    recipe = RECIPE.replace("e.pth}", "e.pth, scales: [0.8, 1.0, 1.2], flip: true}")
    recipe = recipe.replace("m.pth}", "m.pth, test_time: {flip: true}}")
    after = find_speeds(tmp_path, recipe)
    assert after["p"] == pytest.approx(6 * before["p"])
    assert after["m"] == pytest.approx(2 * before["m"])


def test_a_network_that_was_not_measured_is_unknown(tmp_path: Path) -> None:
    assert find_speeds(tmp_path, RECIPE.replace("r50-aotl", "mobilev2-aots"))["p"] is None


def test_rows_of_a_network_grow_with_its_file() -> None:
    for rows in USUAL.values():
        assert list(rows) == sorted(rows)
        assert rows[-1][0] == float("inf")


def test_a_plan_says_that_its_estimate_is_of_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(PROJECT)
    words = ["plan", "pipeline.yaml", "--workspace", str(tmp_path / "runs")]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("soc ") and " ~" in line for line in lines)
    (last,) = (line for line in lines if line.startswith("in all about"))
    assert "an estimate from another machine, one core and no GPU), and what tracks, grounded, " in last
    assert main([*words, "--json"]) == 0
    rows = {row["node"]: row for row in json.loads(capsys.readouterr().out)["nodes"]}
    work = 910  # expression-frames of the demo
    assert rows["soc"]["elsewhere"] is True
    assert rows["soc"]["seconds"] == pytest.approx(work * USUAL["soc"][0][1])
    # What ran here is told by its own times.
    (tmp_path / "runs").mkdir(exist_ok=True)
    (tmp_path / "runs/timings.csv").write_text("soc,v,4,2.0\n", encoding="utf-8")
    assert main([*words, "--json"]) == 0
    rows = {row["node"]: row for row in json.loads(capsys.readouterr().out)["nodes"]}
    assert (rows["soc"]["elsewhere"], rows["soc"]["seconds"]) == (False, pytest.approx(work * 0.5))
