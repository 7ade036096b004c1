"""What became of a run: the closing table, what failed, the exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rvos.settings import count
from rvos_fusion.planning.plan import Plan
from rvos_fusion.planning.tasks import Outcome

_SHOWN = 20
EXIT_FAILED = 1
EXIT_INPUT = 2
_MANY_SECONDS = 600


@dataclass(slots=True)
class NodeSummary:
    """A row of the closing table; `failed` counts blocked videos too."""

    node: str
    done: int = 0
    reused: int = 0
    failed: int = 0
    seconds: float = 0.0
    n_bytes: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count a task of the node."""
        self.done += outcome.status == "done"
        self.reused += outcome.status == "reused"
        self.failed += outcome.status not in ("done", "reused")
        self.seconds += outcome.seconds
        self.n_bytes += outcome.n_bytes


class Tally:
    """What became of the tasks of a run, counted as they are settled; its size does not depend on their number."""

    def __init__(self) -> None:
        self._rows: dict[str, NodeSummary] = {}
        self._reasons: dict[tuple[str, str], _Reason] = {}
        self._n_failed = self._n_blocked = 0
        self._is_input_error = True

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Count tasks; keep the reasons of the failures that will be shown."""
        for outcome in outcomes:
            self._rows.setdefault(outcome.node, NodeSummary(outcome.node)).add(outcome)
            self._n_blocked += outcome.status == "blocked"
            if outcome.status == "failed":
                self._n_failed += 1
                self._is_input_error &= outcome.is_input_error
                # What is wrong with a network is wrong for every video: it is told once.
                alike = (outcome.node, outcome.message.replace(outcome.video, "\0"))
                if alike in self._reasons:
                    self._reasons[alike].count += 1
                elif len(self._reasons) < _SHOWN:
                    self._reasons[alike] = _Reason(f"{outcome.node}: {outcome.message}")

    @property
    def n_missing(self) -> int:
        """Return how many results could not be made."""
        return self._n_failed + self._n_blocked

    @property
    def first_reason(self) -> str:
        """Return node and reason of the first failure; nothing where there is none."""
        return next((reason.text for reason in self._reasons.values()), "")

    def rows(self, plan: Plan) -> list[NodeSummary]:
        """Return a row for each node of a plan."""
        return [self._rows.get(node.name, NodeSummary(node.name)) for node in plan.nodes]

    def print_failures(self) -> None:
        """Print every reason of failures once on standard error; what was only blocked is counted."""
        n_told = sum(reason.count for reason in self._reasons.values())
        for reason in self._reasons.values():
            more = f" (and so {count(reason.count - 1, 'more video')})" if reason.count > 1 else ""
            print(f"failed: {reason.text}{more}", file=sys.stderr)
        if self._n_failed > n_told:
            print(f"failed: {self._n_failed - n_told} more", file=sys.stderr)
        if self._n_blocked:
            print(f"blocked: {count(self._n_blocked, 'result that needs', 'results that need')} these", file=sys.stderr)

    @property
    def exit_status(self) -> int:
        """Return 0 without failures, 2 if all of them are bad input, else 1."""
        if not self._n_failed:
            return 0
        return EXIT_INPUT if self._is_input_error else EXIT_FAILED


@dataclass(slots=True)
class _Reason:
    """Why results failed: as the first of them says, and how many say the same."""

    text: str
    count: int = 1


def format_seconds(seconds: float) -> str:
    """Return a time in words: `340 s`, `2.5 h`."""
    return f"{seconds:.0f} s" if seconds < _MANY_SECONDS else f"{seconds / 3600:.1f} h"


def format_size(n_bytes: int) -> str:
    """Return a size in words: `3.1 MB`."""
    size = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
