"""Sweeps: every threshold and every subset of members scored from one count of votes.

The boundaries of all members cut the line of pixels into pieces; for each piece the votes of every member are known.
A setting of the sweep is then one comparison per piece, and settings that keep the same pieces are scored once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fusion.methods.votes import Votes
from fusion.thresholds import Threshold, list_sums
from fusion.votes import check_equal
from rvos.errors import FusionError
from rvos.evaluation.columns import trace_runs
from rvos.evaluation.measures import score
from rvos.evaluation.outlines import Outlines
from rvos.masks.bit_masks import Words
from rvos.masks.runs import Runs

Integers = NDArray[np.int64]
Values = NDArray[np.float64]
_TOGETHER = 8


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of a sweep. `members`: indices of those that vote; `rule`: with weights for these members only."""

    members: tuple[int, ...]
    rule: Votes


@dataclass(frozen=True, slots=True, eq=False)
class MemberVotes:
    """Votes of every member of a group along the line of all frames.

    Args:
        positions: `(P,)` ascending places where any member changes.
        counts: `(M, P)` expressions that each member marks from each place to the next.
        n_expressions: of the group.
        present: `(M,)` expressions that each member answers.
    """

    positions: Integers
    counts: Integers
    n_expressions: int
    n_frames: int
    size: tuple[int, int]
    present: Integers

    def keep(self, setting: Setting) -> Runs:
        """Return the runs that pass; none where no vote can reach the threshold."""
        passes = self.passes(setting)
        edges = self.positions[np.flatnonzero(np.diff(passes, prepend=False))]
        return Runs(edges, self.n_frames, self.size)

    def passes(self, setting: Setting) -> NDArray[np.bool_]:
        """Return which pieces pass, `(P,)`."""
        rule = setting.rule
        if (place := rule.find_only(self.n_expressions)) is not None:
            return self.counts[setting.members[place]] > 0
        weights = np.asarray(rule.integer_weights(), np.int64)
        sums = weights @ self.counts[list(setting.members)]
        total = int(weights @ self.present[list(setting.members)])
        return sums >= rule.count_needed(total, self.n_expressions)


def count_member_votes(members: Sequence[Sequence[Runs]], present: Sequence[int] | None = None) -> MemberVotes:
    """Return the votes of members, each the masks of the group's expressions; FusionError where none or unequal."""
    masks = [mask for own in members for mask in own]
    if not masks:
        raise FusionError("a sweep without masks; name at least one member")
    first = masks[0]
    check_equal(masks, "added")
    n_kinds = 2 * len(members)
    codes = np.concatenate([_edge_codes(mask, m, n_kinds) for m, own in enumerate(members) for mask in own])
    codes.sort(kind="stable")
    positions, kind = np.divmod(codes, n_kinds)
    settled = np.append(positions[1:] != positions[:-1], True)[: positions.size]
    changes = [np.subtract(kind == 2 * m, kind == 2 * m + 1, dtype=np.int64) for m in range(len(members))]
    counts = np.cumsum(changes, axis=1)[:, settled]
    answered = np.asarray([len(own) for own in members] if present is None else present, np.int64)
    return MemberVotes(positions[settled], counts, len(members[0]), first.n_frames, first.size, answered)


def list_subsets(rule: Votes, group_size: int) -> list[Setting]:
    """Return every threshold of every subset of members; groups of another size take the same share of their votes."""
    settings = []
    for n_members in range(1, len(rule.members) + 1):
        for places in combinations(range(len(rule.members)), n_members):
            names = tuple(rule.members[place] for place in places)
            weights = {name: rule.weights[name] for name in names if name in rule.weights}
            shares = list_shares([weights.get(name, Fraction(1)) for name in names], group_size)
            settings += [Setting(places, Votes(names, weights=weights, threshold=share)) for share in shares]
    return settings


def list_shares(weights: Sequence[Fraction], group_size: int) -> list[Threshold]:
    """Return all thresholds that can differ, as shares of the votes of a group."""
    sums = list_sums(weights, group_size)
    return [Threshold("share", total / sums[-1]) for total in sums]


def score_settings(
    votes: MemberVotes, settings: Sequence[Setting], truths: Sequence[tuple[Outlines, ...]], void: Words | None = None
) -> Values:
    """Return J and F of every setting against every ground truth, `(settings, truths, 2)`, means over the frames.

    Args:
        truths: outlines of `trace_columns`, one for each expression of the group; the same object may recur.
        void: pixels that do not count, as words by column.
    """
    keys = [np.packbits(votes.passes(setting)).tobytes() for setting in settings]
    distinct = dict(zip(keys, settings, strict=True))
    known: dict[bytes, Values] = {}
    waiting = list(distinct)
    for start in range(0, len(waiting), _TOGETHER):
        part = waiting[start : start + _TOGETHER]
        traced = trace_runs([votes.keep(distinct[key]) for key in part], void)
        known |= {key: _score_truths(outlines, truths) for key, outlines in zip(part, traced, strict=True)}
    return np.stack([known[key] for key in keys])


def _score_truths(outlines: tuple[Outlines, ...], truths: Sequence[tuple[Outlines, ...]]) -> Values:
    by_identity: dict[int, Values] = {}
    for truth in truths:
        if id(truth) not in by_identity:
            j, f = score(truth, outlines)
            by_identity[id(truth)] = np.array([j.mean(), f.mean()])
    return np.stack([by_identity[id(truth)] for truth in truths])


def _edge_codes(mask: Runs, member: int, n_kinds: int) -> Integers:
    codes = mask.edges.astype(np.int64) * n_kinds + 2 * member
    codes[1::2] += 1
    return codes
