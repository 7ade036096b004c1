"""Votes on run boundaries: the sum of binary masks is known between any two boundaries, so no pixel is visited."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.runs import Runs
from rvos.settings import count

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class VoteCounts:
    """The sum of weighted masks along the line of all frames (see `rvos.masks.runs`).

    Args:
        positions: `(P,)` ascending places where the sum changes.
        counts: `(P,)` the sum from each place to the next; 0 before the first and after the last.
        n_votes: the largest sum that is possible.
        n_frames, size: of the masks.
    """

    positions: Integers
    counts: Integers
    n_votes: int
    n_frames: int
    size: tuple[int, int]

    def keep(self, needed: int) -> Runs:
        """Return the runs with at least `needed` votes. Raises FusionError: less than 1, or more than there are."""
        if not 1 <= needed <= self.n_votes:
            raise FusionError(f"a vote of {needed} with {count(self.n_votes, 'vote')}; choose 1 to {self.n_votes}")
        passes = self.counts >= needed
        edges = self.positions[np.flatnonzero(np.diff(passes, prepend=False))]
        return Runs(edges, self.n_frames, self.size)


def check_equal(masks: Sequence[Runs], what: str) -> None:
    """Check that masks can be `added` or `compared`. Raises FusionError: unequal frames or sizes."""
    if any((mask.n_frames, mask.size) != (masks[0].n_frames, masks[0].size) for mask in masks):
        raise FusionError(f"masks of unequal frames or sizes cannot be {what}; check the members")


def count_votes(masks: Sequence[Runs], weights: Sequence[int] | None = None) -> VoteCounts:
    """Return the sum of masks, by integer weights above 0; None: 1 each. Raises FusionError: no masks, or unequal."""
    if not masks:
        raise FusionError("a vote without masks; name at least one member")
    first = masks[0]
    check_equal(masks, "added")
    weights = [1] * len(masks) if weights is None else weights
    kinds = sorted({sign * weight for weight in weights for sign in (1, -1)})
    shift = (len(kinds) - 1).bit_length()  # shifts are many times faster than divisions
    codes = np.concatenate(
        [_edge_codes(mask, weight, kinds, shift) for mask, weight in zip(masks, weights, strict=True)], dtype=np.int64
    )
    codes.sort(kind="stable")  # merges the members' ascending pieces
    positions, kind = codes >> shift, codes & ((1 << shift) - 1)
    counts = np.cumsum(np.asarray(kinds, np.int64)[kind])
    settled = np.append(positions[1:] != positions[:-1], True)[: positions.size]
    return VoteCounts(positions[settled], counts[settled], sum(weights), first.n_frames, first.size)


def vote(members: Sequence[MaskSequence], *, needed: int, weights: Sequence[int] | None = None) -> Runs:
    """Keep the pixels that members of at least `needed` votes mark. Source: seed paper, Eq. 3.

    Args:
        members: sequences of one group, same frames and size.
        needed: votes, 1 <= needed <= sum of the weights.
        weights: one integer for each member; None: 1 each.

    Raises:
        FusionError: no members, their frames or sizes differ, or no vote can reach `needed`.
    """
    return count_sequences(members, weights).keep(needed)


def count_sequences(members: Sequence[MaskSequence], weights: Sequence[int] | None = None) -> VoteCounts:
    """Return the sum of the masks of sequences; FusionError: no members, or their frames or sizes differ."""
    check_alike(members)
    return count_votes(read_all_runs(members), weights)


def read_all_runs(sequences: Sequence[MaskSequence]) -> list[Runs]:
    """Return the runs of mask sequences, those of one size in one pass."""
    if len({sequence.size for sequence in sequences}) > 1:
        return [sequence.as_runs() for sequence in sequences]
    return Runs.decode_all([sequence.runs for sequence in sequences], sequences[0].size) if sequences else []


def read_members(members: Sequence[Iterable[MaskSequence]]) -> list[dict[str, Runs]]:
    """Return the runs of every member's sequences of a video by expression, all read in one pass."""
    listed = [list(member) for member in members]
    runs = iter(read_all_runs([sequence for member in listed for sequence in member]))
    return [{sequence.expression: next(runs) for sequence in member} for member in listed]


def check_alike(members: Sequence[MaskSequence], names: Sequence[str] | None = None) -> None:
    """Check that members have equal frames and size. Raises FusionError: naming two, by `names` or their sentences."""
    labels = names or [f"{member.video}/{member.expression}" for member in members]
    for member, label in zip(members, labels, strict=True):
        first = members[0]
        if (member.frames, member.size) == (first.frames, first.size):
            continue
        shapes = [f"({m.n_frames}, {m.size[0]}, {m.size[1]})" for m in (member, first)]
        what = f"{label} has {shapes[0]} but {labels[0]} has {shapes[1]}"
        if member.size == first.size and member.n_frames == first.n_frames:
            what = f"{label} and {labels[0]} name their frames differently"
        raise FusionError(f"{member.video}/{member.expression}: {what}; recompute {label} or drop it from the fusion")


def _edge_codes(mask: Runs, weight: int, kinds: list[int], shift: int) -> Integers:
    """Return the position and, in the lowest bits, the kind of every boundary, ascending."""
    codes = mask.edges.astype(np.int64) << shift
    codes[0::2] |= kinds.index(weight)
    codes[1::2] |= kinds.index(-weight)
    return codes
