"""Which pass a worker takes next: one rule for this process, for processes beside it and for a cluster."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Sequence

from rvos_fusion.executors.base import Pass, Worker
from rvos_fusion.kinds.base import Node, Task, WorkerKey
from rvos_fusion.planning.plan import Plan
from rvos_fusion.planning.tasks import Outcome
from rvos_fusion.planning.timings import count_work

Step = tuple[Node, ...]
"""One node, or nodes that share what a worker loads, such as the propagations by one engine."""
Place = tuple[int, int]
"""Index of a step, and rank of a video."""


def list_steps(nodes: Sequence[Node]) -> list[Step]:
    """Return the nodes, given with inputs first, in the order in which one process runs them, shared ones as one step.

    Nodes that share a load wait until nothing else can run, so that as many as possible go together.
    """
    waiting, steps = list(nodes), []
    while waiting:
        names = {node.name for node in waiting}
        ready = [node for node in waiting if not names.intersection(node.inputs())]
        # One at a time: each may make further nodes ready that join a shared step.
        single = [node for node in ready if _shared_key(node) is None][:1]
        step = tuple(single or [node for node in ready if _shared_key(node) == _shared_key(ready[0])])
        steps.append(step)
        waiting = [node for node in waiting if node not in step]
    return steps


def _shared_key(node: Node) -> WorkerKey | None:
    """Return what nodes have in common that run together; None for a node that runs alone."""
    key = node.worker_key()
    return key if key is not None and key.shares else None


class Schedule:
    """What is ready, what waits, and what is settled, video by video: no step waits for another video.

    A worker holds one network, and loading one may take longer than using it once. So a worker takes, of what is ready:

    1. a pass for the network that it holds;
    2. else a pass that needs no network: it drops none, and others wait for it;
    3. else a pass for another network: the one with the most ready passes for each worker that holds it already, so
       that workers spread over the networks, and where nobody holds them the one of the earliest step;
    4. else a pass that has already cost a worker: last, so that it takes nothing else down with it.

    Inside of each of these the earliest step comes first, then the longest video: a long one that is begun last would
    leave all other workers idle. A worker is idle only while nothing is ready for it. With one worker this goes node by
    node, because a step's passes are all ready once the steps before it are done.

    Of a task that is not ready only a count is kept, and of a settled one nothing: a run may have a hundred thousand.
    """

    def __init__(self, plan: Plan) -> None:
        self.steps: list[Step] = list_steps(plan.nodes)
        self._keys = [step[0].worker_key() for step in self.steps]
        self._plan = plan
        # Videos by rank: the one with the most expression-frames first, else as in the data set.
        self._videos = sorted(range(len(plan.videos)), key=lambda index: count_work(plan.videos[index]), reverse=True)
        self._ranks = {plan.videos[index].id: rank for rank, index in enumerate(self._videos)}
        self._lost: set[tuple[str, str]] = set()
        self._suspects: list[Pass] = []
        self._losses: Counter[Place] = Counter()
        self._place = {node.name: index for index, step in enumerate(self.steps) for node in step}
        # Steps that a step reads, each once, whatever number of its nodes read it.
        inputs = [
            {self._place[name] for node in step for name in node.inputs() if name in self._place} for step in self.steps
        ]
        self._readers = [[s for s, read in enumerate(inputs) if index in read] for index in range(len(self.steps))]
        n_videos = len(self._videos)
        # Counted by video: the next node of a video starts when its own inputs are there.
        self._needed = [array("I", [len(read)]) * n_videos for read in inputs]
        # Numbers in rising order are a heap.
        self._ready = [[] if read else list(range(n_videos)) for read in inputs]
        self._open = len(self.steps) * n_videos

    @property
    def is_finished(self) -> bool:
        """Tell whether every task is settled."""
        return self._open == 0

    def take(self, worker: Worker, workers: Sequence[Worker]) -> Pass | None:
        """Return the next pass for a worker among those that live, by the rule of the class; None: nothing is ready."""
        index = self._choose_step(worker, workers)
        if index is None:
            return self._take_suspect(worker)
        rank = heapq.heappop(self._ready[index])
        # A pass without a network leaves the loaded one in place.
        worker.holds = self._keys[index] or worker.holds
        # Of a shared step only the tasks whose inputs are there: one lost input does not take its neighbours along.
        return tuple(task for task in self._list_tasks(index, rank) if not self._find_lost_inputs(task))

    def finish(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Settle a pass that ended; return its outcomes and those of all tasks that it blocks."""
        self._lost |= {(o.node, o.video) for o in outcomes if o.status in ("failed", "blocked")}
        index, rank = self._place[outcomes[0].node], self._ranks[outcomes[0].video]
        return [*outcomes, *self._settle(index, rank)]

    def put_back(self, tasks: Pass, *, is_blamed: bool, attempts: int) -> bool:
        """Take back a pass whose worker was lost, unless it may have cost `attempts` workers; tell which."""
        place = (self._place[tasks[0].node.name], self._ranks[tasks[0].video.id])
        if not is_blamed:
            # By rank again, as if it had never been taken.
            heapq.heappush(self._ready[place[0]], place[1])
            return True
        self._losses[place] += 1
        if self._losses[place] >= attempts:
            return False
        # Out of the common order: it is tried when nothing else is ready.
        self._suspects.append(tasks)
        return True

    def give_up(self) -> list[Pass]:
        """Return the passes that cost workers, if nothing else is ready; they will not be given out again."""
        # What is ready lacks a worker, which is no reason to fail it.
        if any(self._ready):
            return []
        suspects, self._suspects = self._suspects, []
        return suspects

    def _choose_step(self, worker: Worker, workers: Sequence[Worker]) -> int | None:
        ready = [index for index, passes in enumerate(self._ready) if passes]
        for key in (worker.holds, None):
            same = [index for index in ready if self._keys[index] == key]
            if same:
                # Steps are numbered so that inputs come first: the earliest ready one frees the most.
                return same[0]
        if not ready or not worker.can_load:
            return None
        holders = Counter(other.holds for other in workers if other is not worker)
        waiting: Counter[WorkerKey | None] = Counter()
        for index in ready:
            waiting[self._keys[index]] += len(self._ready[index])

        # A network that nobody holds is worth more than any line before a loaded one: so workers spread.
        def appeal(index: int) -> float:
            key = self._keys[index]
            return waiting[key] / holders[key] if holders[key] else float("inf")

        # `max` keeps the first of equals, and the negative index makes that the earliest step.
        return max(ready, key=lambda index: (appeal(index), -index))

    def _take_suspect(self, worker: Worker) -> Pass | None:
        for place, tasks in enumerate(self._suspects):
            key = self._keys[self._place[tasks[0].node.name]]
            if key is None or worker.can_load:
                worker.holds = key or worker.holds
                return self._suspects.pop(place)
        return None

    def _settle(self, index: int, rank: int) -> list[Outcome]:
        """Count a step of a video as settled; return the outcomes of everything that can never run now."""
        self._open -= 1
        blocked: list[Outcome] = []
        for reader in self._readers[index]:
            self._needed[reader][rank] -= 1
            # Lost inputs are settled as well: what stands on them is blocked, here and now, not when all else is done.
            if self._needed[reader][rank] == 0:
                blocked += self._release(reader, rank)
        return blocked

    def _release(self, index: int, rank: int) -> list[Outcome]:
        """Make a step of a video ready, without the tasks whose inputs failed; return the outcomes of these."""
        tasks = self._list_tasks(index, rank)
        blocked = [
            Outcome(task.node.name, task.video.id, "blocked", message=f"{task.video.id}: needs {', '.join(missing)}")
            for task in tasks
            if (missing := self._find_lost_inputs(task))
        ]
        self._lost |= {(outcome.node, outcome.video) for outcome in blocked}
        if len(blocked) == len(tasks):
            return [*blocked, *self._settle(index, rank)]
        heapq.heappush(self._ready[index], rank)
        return blocked

    def _list_tasks(self, index: int, rank: int) -> Pass:
        """Return the tasks of a step of a video, one for each of its nodes."""
        return tuple(self._plan.tasks[node.name][self._videos[rank]] for node in self.steps[index])

    def _find_lost_inputs(self, task: Task) -> list[str]:
        return [name for name, _ in task.inputs if (name, task.video.id) in self._lost]
