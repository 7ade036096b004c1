"""The table of `make bench`: which benchmarks are in it, what it says of each aim, and how it ends."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as table
from benchmarks.cases import CASES, Case
from benchmarks.harness import Row, growth


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.short is not None])
def test_short_runs_are_calls_that_the_benchmark_takes(name: str) -> None:
    run = import_module(f"benchmarks.{name}").run
    assert set(CASES[name].short or {}) <= set(inspect.signature(run).parameters)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, int]]:
    """Return the arguments of every call; `slow` misses its aim, `broken` breaks off, the others keep theirs."""
    seen: dict[str, dict[str, int]] = {}

    def load(name: str) -> SimpleNamespace:
        name = name.rpartition(".")[2]

        def run(**words: int) -> Iterator[Row]:
            seen[name] = words
            if name == "broken":
                raise OSError("nothing there")
            yield growth(name, 3.0 if name == "slow" else 1.0, 1.0, 2.0, "s")

        return SimpleNamespace(run=run)

    monkeypatch.setattr(table, "import_module", load)
    cases = {"good": Case("is quick", {"count": 2}), "long": Case("takes hours", None)}
    cases |= {"slow": Case("grows twofold", None), "broken": Case("runs", None)}
    monkeypatch.setattr(table, "CASES", cases)
    return seen


def test_without_a_name_the_short_ones_run(
    calls: dict[str, dict[str, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert table.main([]) == 0
    assert calls == {"good": {"count": 2}}
    assert capsys.readouterr().out.splitlines()[-1].split() == ["good", "kept", "0", "is", "quick"]


def test_named_ones_run_at_full_length(calls: dict[str, dict[str, int]]) -> None:
    assert table.main(["good", "long"]) == 0
    assert calls == {"good": {}, "long": {}}


@pytest.mark.parametrize("name", ["slow", "broken"])
def test_an_aim_that_is_missed_ends_with_1_and_the_others_run(
    calls: dict[str, dict[str, int]], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert table.main([name, "good"]) == 1
    states = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()[-2:]}
    assert states == {name: "MISSED", "good": "kept"}


def test_all_means_all(calls: dict[str, dict[str, int]]) -> None:
    assert table.main(["--all"]) == 1
    assert set(calls) == {"good", "long", "slow", "broken"}
