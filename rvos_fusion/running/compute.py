"""A run from plan to results: what the command `rvos run` and the Python interface share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rvos.errors import ConfigError
from rvos.masks.stored.index import name_result
from rvos.masks.stored.store import Store
from rvos_fusion.executors.choose import choose_executor
from rvos_fusion.executors.driver import Watcher, run_plan
from rvos_fusion.executors.summary import Tally
from rvos_fusion.planning.notes import note_plan
from rvos_fusion.planning.plan import Plan
from rvos_fusion.planning.stock import take_stock
from rvos_fusion.planning.tasks import Outcome
from rvos_fusion.planning.timings import Stopwatch
from rvos_fusion.running.load_checks import check_loads
from rvos_fusion.running.progress import Progress


@dataclass(frozen=True, slots=True)
class RunMeans:
    """What a run works with.

    Args:
        jobs: processes side by side, 1 or more.
        cluster: address of a dask scheduler, or its file; None: this machine.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        quiet: no progress.
        is_variant: whether the results are those of a variant, which no recipe points at and no reader without a recipe
            takes.
        watchers: who else is told what happens.

    Raises:
        ConfigError: less than one process.
    """

    jobs: int = 1
    cluster: str | None = None
    device: str = "auto"
    quiet: bool = False
    is_variant: bool = False
    watchers: tuple[Watcher, ...] = ()

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ConfigError(f"--jobs {self.jobs}: give 1 or more")


def compute(plan: Plan, means: RunMeans, *, plan_again: Callable[[], Plan]) -> tuple[Plan, Tally]:
    """Run all tasks of a plan, keep how long they took, and return the plan that holds at last and what they came to.

    `plan_again` makes the plan anew: the masks of a run can show that the order of the sentences says nothing. Raises a
    ConfigError before anything is computed for a network that cannot be loaded, or no such device.
    """
    waiting, outdated = take_stock(plan)
    # The machines of a cluster have devices of their own.
    check_loads(waiting, plan.recipe.path, device=means.device if means.cluster is None else None)
    if outdated and not means.quiet:
        print(f"note: {outdated}", file=sys.stderr)
    tally = _run(plan, means)
    if any(finding.evidence is None for finding in plan.order):
        # The masks that this run made may be the last that the test of the order needed.
        settled = plan_again()
        if any(finding.is_refuted for finding in settled.order):
            plan, tally = settled, _run(settled, means)
    for finding in plan.order:
        if finding.is_refuted:
            print(f"warning: {plan.recipe.path}: {finding.explain()}", file=sys.stderr)
    return plan, tally


def _run(plan: Plan, means: RunMeans) -> Tally:
    folders = (plan.recipe.workspace, plan.recipe.dataset.root)
    executor = choose_executor(jobs=means.jobs, cluster=means.cluster, folders=folders)
    watchers = (*means.watchers, Progress(quiet=means.quiet), Stopwatch())
    return run_plan(plan, executor=executor, watchers=watchers if means.is_variant else (*watchers, Bookkeeper()))


class Bookkeeper(Watcher):
    """Notes what the recipe makes, and which results are current."""

    def begin(self, plan: Plan) -> None:
        note_plan(plan)
        self._store = Store(plan.recipe.workspace)
        self._plan, self._places = plan, plan.places

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        stored = [(one.node, one.video) for one in outcomes if one.status in ("done", "reused")]
        tasks = [self._plan.tasks[node][self._places[video]] for node, video in stored]
        self._store.make_current({key: name_result(one.fingerprint) for key, one in zip(stored, tasks, strict=True)})

    def close(self) -> None:
        """Nothing is left to note."""
