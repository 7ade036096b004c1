"""Runs the tasks of a graph: step after step, all videos of a step side by side.

A step is one node, or the propagations by one engine that can run at the same time: these go over a video together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import joblib

from fusion.groups import Group, group_by_object, group_neighbours, group_none, read_group_file
from pipeline.fingerprints import Checksums, fingerprint_task
from pipeline.graph import Graph, check_reach
from pipeline.recipe import FuseNode, GroupsEntry, Node, PropagateNode, Recipe
from pipeline.tasks import Outcome, Task, run_together
from rvos.datasets import Dataset
from rvos.errors import ConfigError, StoreError
from rvos.files import write_atomically
from rvos.store import Store
from rvos.videos import Video

VideoGroups = Mapping[str, tuple[Group, ...]]
_ABANDONED = 3600.0
Step = tuple[Node, ...]
Watch = Callable[[Step, Iterator[Outcome], int], Iterator[Outcome]]


@dataclass(frozen=True, slots=True)
class Workers:
    """Where tasks run.

    Args:
        jobs: processes on this machine; 1 computes in this process.
        cluster: address of a dask scheduler, or None.
        device: of networks.
    """

    jobs: int = 1
    cluster: str | None = None
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Plan:
    """All tasks of a run, node by node, with the fingerprints of everything that they read."""

    recipe: Recipe
    nodes: tuple[Node, ...]
    tasks: Mapping[str, tuple[Task, ...]]
    assumed: tuple[tuple[str, str, str], ...]


def make_plan(
    recipe: Recipe,
    graph: Graph,
    videos: Sequence[Video],
    *,
    device: str = "auto",
    remember: bool = True,
) -> Plan:
    """Return the tasks of a run; only file sizes, times and checkpoints' checksums are read.

    Args:
        remember: keep the checksums in the workspace.

    Raises:
        ConfigError: a threshold that no vote of a group can reach.
        InputError: groups that the data set does not give, or checkpoints that cannot be read.
    """
    checksums = Checksums(recipe.workspace)
    groups = {node.name: group_videos(node.groups, videos) for node in recipe.nodes if isinstance(node, FuseNode)}
    _check_groups(recipe, groups)
    ordered = _add_ancestors(recipe, graph)
    names = {node.name for node in graph.nodes}
    tasks: dict[str, list[Task]] = {node.name: [] for node in graph.nodes}
    assumed: list[tuple[str, str, str]] = []
    for video in videos:
        known: dict[str, str] = {}
        for node in ordered:
            own = groups.get(node.name, {}).get(video.id, ())
            known[node.name] = fingerprint_task(node, video, inputs=known, groups=own, checksums=checksums)
            inputs = tuple((name, known[name]) for name in node.inputs)
            if node.name in names:
                task = Task(node, video, inputs, own, known[node.name], recipe.workspace, device)
                tasks[node.name].append(task)
            elif node.name in graph.assumed:
                assumed.append((node.name, video.id, known[node.name]))
    if remember:
        checksums.save()
    return Plan(recipe, graph.nodes, {name: tuple(found) for name, found in tasks.items()}, tuple(assumed))


def run_plan(plan: Plan, *, workers: Workers, watch: Watch) -> list[Outcome]:
    """Run all tasks and return what became of each; a failed video only blocks what depends on it.

    Args:
        watch: passes on the outcomes of a step as they come, for a progress bar.

    Raises:
        StoreError: results cannot be written, such as on a full disk.
    """
    outcomes: list[Outcome] = []
    lost: set[tuple[str, str]] = set()
    with _open_backend(workers):
        for step in list_steps(plan.nodes):
            ready, blocked = _split([task for node in step for task in plan.tasks[node.name]], lost)
            arriving = _run_step(ready, workers)
            for outcome in watch(step, arriving, len(ready)):
                if outcome.status == "unwritable":
                    raise StoreError(f"{outcome.message}; finished results are kept, run the same command again")
                outcomes.append(outcome)
            outcomes += blocked
            lost |= {(o.node, o.video) for o in outcomes if o.status in ("failed", "blocked")}
    return outcomes


def list_steps(nodes: Sequence[Node]) -> list[Step]:
    """Return the nodes in the order in which they run, those that run together as one step.

    Propagations wait until nothing else can run, so that as many as possible go together.

    Args:
        nodes: in an order in which every node comes after its inputs.
    """
    waiting, steps = list(nodes), []
    while waiting:
        names = {node.name for node in waiting}
        ready = [node for node in waiting if not names.intersection(node.inputs)]
        single = [node for node in ready if _engine_of(node) is None][:1]
        step = tuple(single or [node for node in ready if _engine_of(node) == _engine_of(ready[0])])
        steps.append(step)
        waiting = [node for node in waiting if node not in step]
    return steps


def _engine_of(node: Node) -> str | None:
    return node.working_engine() if isinstance(node, PropagateNode) else None


def find_missing_inputs(plan: Plan) -> list[tuple[str, str]]:
    """Return node and video of every result of an earlier stage that is not there, or made with other settings."""
    store = Store(plan.recipe.workspace)
    return [(name, video) for name, video, fingerprint in plan.assumed if not store.has(name, video, fingerprint)]


def group_videos(entry: GroupsEntry, videos: Sequence[Video]) -> VideoGroups:
    """Return the groups of every video where they are given by the data, and none where masks decide.

    Raises:
        InputError: the data set or the group file does not give them.
    """
    if entry.by == "agreement":
        return {}
    if entry.by == "file":
        assert entry.file is not None
        return read_group_file(entry.file, videos)
    group = {"object_id": group_by_object, "neighbours": group_neighbours, "none": group_none}[entry.by]
    return {video.id: group(video) for video in videos}


def select_videos(
    dataset: Dataset, *, names: Sequence[str] = (), shard: tuple[int, int] | None = None
) -> tuple[Video, ...]:
    """Return the videos that are named, or all; of these every n-th from the i-th for the shard i/n.

    Raises:
        InputError: a name that the split does not list.
    """
    videos = tuple(dataset.video(name) for name in dict.fromkeys(names)) if names else dataset.videos
    return videos if shard is None else videos[shard[0] - 1 :: shard[1]]


def _check_groups(recipe: Recipe, groups: Mapping[str, VideoGroups]) -> None:
    for node in recipe.nodes:
        if isinstance(node, FuseNode):
            for video, found in groups[node.name].items():
                check_reach(node, found, recipe, video)


def _add_ancestors(recipe: Recipe, graph: Graph) -> list[Node]:
    """Return the graph's nodes and everything they stand on, inputs first."""
    ordered: dict[str, Node] = {}

    def visit(node: Node) -> None:
        if node.name not in ordered:
            for name in node.inputs:
                visit(recipe.node(name))
            ordered[node.name] = node

    for node in graph.nodes:
        visit(node)
    return list(ordered.values())


def _split(tasks: Sequence[Task], lost: set[tuple[str, str]]) -> tuple[list[Task], list[Outcome]]:
    """Return the tasks that can run, and the outcomes of those whose inputs failed."""
    ready, blocked = [], []
    for task in tasks:
        missing = [name for name, _ in task.inputs if (name, task.video.id) in lost]
        if missing:
            message = f"{task.video.id}: needs {', '.join(missing)}"
            blocked.append(Outcome(task.node.name, task.video.id, "blocked", message=message))
        else:
            ready.append(task)
    return ready, blocked


def _run_step(tasks: Sequence[Task], workers: Workers) -> Iterator[Outcome]:
    """Yield the outcomes of a step; the tasks of one video run together."""
    videos: dict[str, list[Task]] = {}
    for task in tasks:
        videos.setdefault(task.video.id, []).append(task)
    if workers.jobs == 1 and workers.cluster is None:
        for of_video in videos.values():
            yield from run_together(of_video)
        return
    parallel = joblib.Parallel(n_jobs=workers.jobs, return_as="generator_unordered", batch_size=1)
    for outcomes in parallel(joblib.delayed(_run_beside_others)(of_video) for of_video in videos.values()):
        yield from outcomes


def _run_beside_others(tasks: Sequence[Task]) -> list[Outcome]:
    """Run tasks with one thread, as the processes beside them need the other cores; joblib sees to BLAS."""
    cv2.setNumThreads(1)
    return run_together(tasks)


@contextmanager
def _open_backend(workers: Workers) -> Iterator[None]:
    """Be in the context in which joblib runs tasks: this process, loky, or a dask cluster."""
    if workers.cluster is not None:
        with _connect(workers.cluster) as client, joblib.parallel_config(backend="dask", client=client):
            yield
    elif workers.jobs > 1:
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            yield
    else:
        yield


def _connect(address: str) -> AbstractContextManager[object]:
    """Return a client of a dask scheduler.

    Raises:
        ConfigError: dask is not installed, or nothing answers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError("--cluster needs dask; install the extra with pip install 'rvos-fusion[cluster]'") from None
    try:
        client: AbstractContextManager[object] = Client(address, timeout=20)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(f"--cluster {address}: no scheduler answers ({error}); check the address") from None
    return client


def parse_shard(text: str) -> tuple[int, int]:
    """Return (i, n) of `i/n`, 1 <= i <= n.

    Raises:
        ConfigError: another form.
    """
    first, slash, second = text.partition("/")
    if slash and first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second):
        return int(first), int(second)
    raise ConfigError(f"--shard {text}: expected i/n with 1 <= i <= n, such as 2/8")


def prepare_workspace(path: Path) -> None:
    """Make the workspace, test that it can be written, and remove what killed runs left half written.

    Raises:
        StoreError: read-only, full, or no folder.
    """
    write_atomically(path / ".gitignore", b"*\n")
    for part in path.glob("nodes/*/.*.part"):
        try:
            if time.time() - part.stat().st_mtime > _ABANDONED:  # younger ones may belong to a run beside this one
                part.unlink()
        except OSError:
            continue
