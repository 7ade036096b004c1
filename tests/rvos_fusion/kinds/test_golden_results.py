"""No result outlives the code that made it: what a version gives on a tiny case stays, or the version is raised."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from golden_results import (
    GOLDENS,
    Golden,
    compute,
    find_changes,
    list_all_defaults,
    read_defaults,
    read_golden,
    write_defaults,
    write_raised,
)

from propagate.engines.table import ENGINES
from runners.detectors.table import DETECTORS
from runners.judges.table import JUDGES
from runners.registry import RUNNERS
from rvos_fusion.kinds.table import KINDS

NAMES = sorted(path.stem for path in GOLDENS.glob("*.json"))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Mapping[str, Golden]:
    """What every node of the recipe gives today."""
    results = compute(tmp_path_factory.mktemp("goldens"))
    if pytestconfig.getoption("--write-goldens"):
        write_raised(results)
    return results


@pytest.mark.parametrize("name", NAMES)
def test_what_a_version_gives_stays(name: str, found: Mapping[str, Golden]) -> None:
    golden, now = read_golden(name), found[name]
    parts = ", ".join(golden["versions"])
    if golden["versions"] == now["versions"]:
        changes = find_changes(golden, now)
        assert changes == [], f"{name}: {'; '.join(changes)} changed: raise the version of {parts} or mend it"
    else:
        pytest.fail(f"{name}: made with {golden['versions']}, now {now['versions']}: write it anew (--write-goldens)")


def test_every_node_has_a_golden_result(found: Mapping[str, Golden]) -> None:
    assert sorted(found) == NAMES, "a node of tests/goldens/pipeline.yaml is new: write its result (--write-goldens)"


def test_every_kind_engine_runner_detector_and_judge_has_one(found: Mapping[str, Golden]) -> None:
    made_by = {part for one in found.values() for part in one["versions"]}
    tables = {"kind": KINDS, "engine": ENGINES, "runner": RUNNERS, "detector": DETECTORS, "judge": JUDGES}
    # Of users: their sources count.
    listed = {f"{sort} {name}" for sort, table in tables.items() for name in table} - {"engine own", "engine command"}
    assert listed - made_by == set()


@pytest.fixture(scope="module")
def defaults(pytestconfig: pytest.Config) -> Mapping[str, Golden]:
    if pytestconfig.getoption("--write-goldens"):
        write_defaults()
    return list_all_defaults()


@pytest.mark.parametrize("part", sorted(read_defaults()))
def test_what_a_version_takes_for_granted_stays(part: str, defaults: Mapping[str, Golden]) -> None:
    golden, now = read_defaults()[part], defaults[part]
    before, after = golden["defaults"], now["defaults"]
    if golden["version"] == now["version"]:
        changes = {name: value for name, value in before.items() if after.get(name, value) != value}
        assert changes == {}, f"the defaults of {part} changed: raise its version or mend it"
    new = sorted(after.keys() - before.keys())
    assert (new, now["version"]) == ([], golden["version"]), f"{part}: write its defaults (--write-goldens)"


def test_all_defaults_are_kept(defaults: Mapping[str, Golden]) -> None:
    assert sorted(defaults) == sorted(read_defaults()), "write the defaults of what is new (--write-goldens)"
