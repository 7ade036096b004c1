"""The closing table of a run, and what failed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.plan import Plan
from pipeline.tasks import Outcome

_SHOWN = 20
EXIT_FAILED = 1
EXIT_INPUT = 2


@dataclass(frozen=True, slots=True)
class NodeSummary:
    """A row of the closing table; `failed` counts blocked videos too."""

    node: str
    done: int
    reused: int
    failed: int
    seconds: float
    n_bytes: int

    def as_json(self) -> dict[str, object]:
        """Return the row for `--json`."""
        return {
            "node": self.node,
            "done": self.done,
            "reused": self.reused,
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
            "bytes": self.n_bytes,
        }


def summarise(plan: Plan, outcomes: Sequence[Outcome]) -> list[NodeSummary]:
    """Return a row for each node."""
    rows = []
    for node in plan.nodes:
        own = [outcome for outcome in outcomes if outcome.node == node.name]
        count = {status: sum(outcome.status == status for outcome in own) for status in ("done", "reused")}
        failed = len(own) - count["done"] - count["reused"]
        seconds, size = sum(o.seconds for o in own), sum(o.n_bytes for o in own)
        rows.append(NodeSummary(node.name, count["done"], count["reused"], failed, seconds, size))
    return rows


def print_summary(rows: Sequence[NodeSummary]) -> None:
    """Print the closing table."""
    width = max([len(row.node) for row in rows] + [4])
    print(f"{'node':{width}}  {'done':>6} {'reused':>6} {'failed':>6} {'seconds':>9} {'size':>9}")
    for row in rows:
        print(
            f"{row.node:{width}}  {row.done:>6} {row.reused:>6} {row.failed:>6} "
            f"{row.seconds:>9.1f} {format_size(row.n_bytes):>9}"
        )


def print_failures(outcomes: Sequence[Outcome]) -> None:
    """Print every reason of failures once on standard error; what was only blocked is counted."""
    reasons: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.status == "failed":
            # What is wrong with a network is wrong for every video: it is told once.
            reason = outcome.message.replace(outcome.video, "\0")
            reasons.setdefault((outcome.node, reason), []).append(outcome)
    alike = list(reasons.values())
    for first, *others in alike[:_SHOWN]:
        more = f" (and so {len(others)} more videos)" if others else ""
        print(f"failed: {first.node}: {first.message}{more}", file=sys.stderr)
    if len(alike) > _SHOWN:
        print(f"failed: {sum(map(len, alike[_SHOWN:]))} more", file=sys.stderr)
    blocked = sum(outcome.status == "blocked" for outcome in outcomes)
    if blocked:
        print(f"blocked: {blocked} results that need these", file=sys.stderr)


def find_exit_status(outcomes: Sequence[Outcome]) -> int:
    """Return 0 without failures, 2 if all of them are bad input, else 1."""
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if not failed:
        return 0
    return EXIT_INPUT if all(outcome.is_input_error for outcome in failed) else EXIT_FAILED


def format_size(n_bytes: int) -> str:
    """Return a size in words: `3.1 MB`."""
    size = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
