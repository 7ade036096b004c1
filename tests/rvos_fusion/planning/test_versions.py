"""Raising a version makes again what it made and what stands on that, and the run says so before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from small_data import write_split

import runners.detectors.table
import runners.registry
from propagate.engines.aot.settings import AotSettings
from propagate.engines.own import OwnSettings
from runners.detectors.settings import ImportedSettings, OwnDetectorSettings
from runners.outside import CommandModel, OwnModel
from rvos.masks.stored.store import Store
from rvos.versions import Listed
from rvos_fusion.commands.cli import main
from rvos_fusion.kinds.fuse import FuseNode
from rvos_fusion.kinds.imported import ImportNode
from rvos_fusion.kinds.plain import plain_fields
from rvos_fusion.kinds.versions import explain_change
from rvos_fusion.planning.plan import make_plan
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe

NETWORKS = (
    "models={soc: {runner: soc, checkpoint: soc.pth}, a: {import: png, path: members/a}}",
    "engines={e: {network: r50-aotl, checkpoint: aot.pth}}",
    "stages={one: {p: {propagate: a, engine: e}, f: {fuse: [soc, p], threshold: 1}}}",
    "submission={node: f}",
)


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, n_videos=2)
    for name in ("soc.pth", "aot.pth"):
        Path(name).write_bytes(name.encode())
    return "pipeline.yaml"


def find_fingerprints(recipe: str, *settings: str) -> dict[str, list[str]]:
    read = read_recipe(Path(recipe), [*NETWORKS, *settings])
    plan = make_plan(read, build_graph(read), read.dataset.open().videos)
    return {name: [task.fingerprint for task in tasks] for name, tasks in plan.tasks.items()}


def raise_version(monkeypatch: pytest.MonkeyPatch, table: Mapping[str, Listed], name: str) -> None:
    monkeypatch.setitem(table, name, replace(table[name], version=table[name].version + 1))  # type: ignore[arg-type]


def changed(before: dict[str, list[str]], after: dict[str, list[str]]) -> set[str]:
    return {name for name, own in before.items() if own != after[name]}


def test_a_kinds_version_counts_for_its_nodes_and_what_stands_on_them(
    recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = find_fingerprints(recipe)
    monkeypatch.setattr(FuseNode, "version", FuseNode.version + 1)
    assert changed(before, find_fingerprints(recipe)) == {"f"}


def test_a_runners_version_counts_for_its_models(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = find_fingerprints(recipe)
    raise_version(monkeypatch, runners.registry.RUNNERS, "soc")
    assert changed(before, find_fingerprints(recipe)) == {"soc", "f"}
    raise_version(monkeypatch, runners.registry.RUNNERS, "mutr")
    assert changed(before, find_fingerprints(recipe)) == {"soc", "f"}


def test_an_engines_version_counts_for_what_it_carries(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = find_fingerprints(recipe)
    monkeypatch.setattr(AotSettings, "version", AotSettings.version + 1)
    assert changed(before, find_fingerprints(recipe)) == {"p", "f"}


def test_a_detectors_version_counts_for_what_it_finds(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("found.json").write_text("{}")
    own = ("detectors={d: {detector: import, path: found.json}}", "stages.one.o={propose: [d]}")
    before = find_fingerprints(recipe, *own)
    monkeypatch.setattr(ImportedSettings, "version", ImportedSettings.version + 1)
    assert changed(before, find_fingerprints(recipe, *own)) == {"o"}


@pytest.mark.parametrize(
    "override",
    [
        "models.soc.overlap=0",
        "models.soc.options={short_side: 360}",
        "engines.e.flip=false",
        "stages.one.p.key={rule: scores}",
        "stages.one.f.method=votes",
        "stages.one.f.weights={p: 1}",
    ],
)
def test_a_setting_at_its_default_leaves_results_valid(recipe: str, override: str) -> None:
    assert find_fingerprints(recipe, override) == find_fingerprints(recipe)


@dataclass(frozen=True)
class Before:
    size: int
    steps: int = 3


@dataclass(frozen=True)
class After(Before):
    way: str = "usual"


@dataclass(frozen=True)
class Holder:
    inner: Before


def test_a_new_setting_at_its_default_leaves_results_valid() -> None:
    assert plain_fields(Holder(After(2))) == plain_fields(Holder(Before(2))) == {"inner": {"size": 2}}
    assert plain_fields(Holder(After(2, way="other"))) == {"inner": {"size": 2, "way": "other"}}


@pytest.mark.parametrize(
    ("own", "setting"),
    [
        (OwnModel("a:b"), "keep_soft"),
        (CommandModel("command", ("a",)), "keep_soft"),
        (OwnSettings("a:b", Path("x")), "flip"),
        (OwnDetectorSettings("a:b"), "box_threshold"),
    ],
    ids=["runner", "command", "engine", "detector"],
)
def test_a_users_own_code_counts_with_its_defaults(own: Any, setting: str) -> None:
    assert setting in plain_fields(own)


def run(recipe: str, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Run the small recipe; return what it says of other versions."""
    capsys.readouterr()
    assert main(["run", recipe, *words]) == 0
    return [line for line in capsys.readouterr().err.splitlines() if "computed again" in line]


def test_the_run_says_how_many_results_are_of_other_versions(
    recipe: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(recipe, capsys) == run(recipe, capsys) == []
    monkeypatch.setattr(ImportNode, "version", 7)
    # Three imports, the two fusions that stand on them, two videos.
    assert run(recipe, capsys) == [
        "note: 10 stored results were made by other versions and are computed again: kind import 1, now 7"
    ]
    assert run(recipe, capsys) == []


def test_results_of_other_settings_are_not_of_other_versions(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys)
    assert run(recipe, capsys, "--set", "stages.stage2.final.threshold=1") == []


def test_results_from_before_versions_were_kept_are_counted(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe, capsys)
    store = Store(Path("runs"))
    sequences = store.read("final", "video0")
    store.path("final", "video0").unlink()
    store.write("final", "video0", sequences, "0" * 64)
    assert run(recipe, capsys) == [
        "note: 1 stored result was made by another version and is computed again: from before results kept their "
        "versions"
    ]


def test_what_is_no_longer_used_is_no_other_version() -> None:
    assert explain_change({"kind fuse": 1, "engine aot": 3}, {"kind fuse": 1}) == []
    assert explain_change({"kind fuse": 1, "engine aot": 3}, {"engine aot": 2}) == ["engine aot 3, now 2"]
