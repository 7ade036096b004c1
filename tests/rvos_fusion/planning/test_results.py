"""What commands that look at results read of them: every stored file once, every task made once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from small_data import write_split

import rvos.masks.stored.store as store_module
import rvos_fusion.planning.plan as tasks_module
from rvos.masks.stored import MASK_SEQUENCES
from rvos.masks.stored.codec import Packed
from rvos.masks.stored.container import Container
from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main
from rvos_fusion.planning.plan import Plan, make_plan
from rvos_fusion.planning.results import Results
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe

DEMO = Path(__file__).parents[3] / "pipeline.yaml"


@contextmanager
def counting_opens(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[Path]]:
    opened: Counter[Path] = Counter()
    original = store_module.open_container

    @contextmanager
    def open_container(path: Path) -> Iterator[Container]:
        opened[path] += 1
        with original(path) as container:
            yield container

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "open_container", open_container)
        yield opened


class _Anything:
    """A codec that stores nothing: files that are whole, whatever their nodes would have made."""

    name = MASK_SEQUENCES.name

    def pack(self, video: str, value: Any) -> Packed:
        return Packed({}, {})

    def unpack(self, video: str, description: Any, read: Any) -> Any:
        raise NotImplementedError


def store_everything(plan: Plan) -> set[Path]:
    """Write a whole file for every task of a plan; nothing is computed."""
    store, codec = Store(plan.recipe.workspace), _Anything()
    return {
        store.write_artefact(name, task.video.id, None, task.fingerprint, codec=codec)
        for name, tasks in plan.tasks.items()
        for task in tasks
    }


def test_plan_opens_every_stored_file_of_the_demo_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [f"workspace={tmp_path}", "groups={by: none}"]
    recipe = read_recipe(DEMO, settings)
    stored = store_everything(make_plan(recipe, build_graph(recipe), recipe.dataset.open().videos))
    with counting_opens(monkeypatch) as opened:
        assert main(["plan", str(DEMO), *(word for one in settings for word in ("--set", one))]) == 0
    assert opened == dict.fromkeys(stored, 1)
    assert " 0/10" not in capsys.readouterr().out


def test_results_look_into_a_file_once_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_split(tmp_path, 2)
    recipe = read_recipe(tmp_path / "pipeline.yaml", [])
    results = Results(make_plan(recipe, build_graph(recipe), recipe.dataset.open().videos))
    stored = store_everything(results.plan)
    with counting_opens(monkeypatch) as opened:
        for name in results.plan.tasks:
            assert results.find_missing(name) == []
            assert all(results.of_video(video.id).has(name) for video in results.plan.videos)
    assert opened == dict.fromkeys(stored, 1)


def test_the_report_makes_every_task_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_split(tmp_path, 3)
    recipe = tmp_path / "pipeline.yaml"
    assert main(["run", str(recipe), "--quiet"]) == 0
    made: Counter[tuple[str, str]] = Counter()
    original = tasks_module.Task

    def make_task(node: Any, video: Any, *further: Any) -> Any:
        made[node.name, video.id] += 1
        return original(node, video, *further)

    monkeypatch.setattr(tasks_module, "Task", make_task)
    assert main(["report", str(recipe), "--quiet"]) == 0
    n_nodes = len(build_graph(read_recipe(recipe, [])).nodes)
    assert (len(made), max(made.values())) == (3 * n_nodes, 1)
