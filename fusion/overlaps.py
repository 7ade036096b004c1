"""Which mask sequences of a video lie on each other: all pairs at once, from run boundaries.

The boundaries of all sequences cut the line of pixels into pieces. Each piece is marked by a set of sequences, and few
sets occur, so pairs and votes are looked at by set, not by piece.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fusion.votes import check_equal, count_votes
from rvos.masks.coco_text import Positions, accumulate
from rvos.masks.runs import Runs

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

TOGETHER = 16
"""Sequences that are compared in one pass: which of them mark a piece fits a table of 2 ** 16."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What passes: pixels that sequences of at least `needed` (above 0) of these integer weights (0 or more) mark."""

    weights: Sequence[int]
    needed: int


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The line of all frames (see `rvos.masks.runs`), cut at every boundary of at most 16 sequences.

    Args:
        positions: `(P,)` where each piece begins, ascending; some pieces are empty.
        sets: `(P,)` which sequences mark the piece, one bit each.
        masks: the sequences.
    """

    positions: Positions
    sets: NDArray[np.intp]
    masks: Sequence[Runs]

    @classmethod
    def cut(cls, masks: Sequence[Runs]) -> Pieces:
        """Return the pieces of at most 16 sequences. Raises FusionError: unequal frames or sizes."""
        check_equal(masks, "compared")
        shift = max(len(masks) - 1, 0).bit_length()
        codes = _sort_boundaries(masks, shift)
        # Every boundary of a sequence switches its bit on or off.
        owners = codes & ((1 << shift) - 1)
        sets = accumulate(np.bitwise_xor, np.left_shift(1, owners, out=owners)).astype(np.intp)  # once for all tables
        codes >>= shift
        return cls(codes, sets, masks)

    def intersect(self) -> Integers:
        """Return the number of pixels that both sequences of each pair mark, `(N, N)`; on the diagonal the areas."""
        lengths = np.diff(self.positions, append=self.positions[-1:])
        totals = np.bincount(self.sets, weights=lengths) if self.sets.size else np.zeros(0)
        occurring = np.flatnonzero(totals)
        marked = ((occurring[:, None] >> np.arange(len(self.masks))) & 1).astype(np.float64)
        # Sums of whole numbers far below 2 ** 53: float64 is exact.
        return np.asarray(np.rint(marked.T @ (marked * totals[occurring, None])), np.int64)

    def keep(self, votes: Sequence[Vote]) -> list[Runs]:
        """Return the runs that pass each vote."""
        return [self._keep_sets(_sum_by_set(vote.weights) >= vote.needed) for vote in votes]

    def _keep_sets(self, passing: Flags) -> Runs:
        """Return the runs of the pieces that some sets of sequences mark; `passing` has a place for every set."""
        passes = passing.take(self.sets, mode="clip")  # clips nothing, and skips a check
        edges = self.positions[np.flatnonzero(np.diff(passes, prepend=False))]
        # An empty piece may switch on and off at one place: only an odd number of changes there is one.
        first = np.flatnonzero(np.diff(edges, prepend=-1))
        edges = edges[first[np.diff(first, append=edges.size) & 1 == 1]]
        return Runs(edges, self.masks[0].n_frames, self.masks[0].size)


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """Which sequences of a video lie on each other, found once for all that asks.

    Args:
        masks: the N sequences.
        near: `(N, N)` the pairs with a tracklet IoU of at least 0.5; an empty sequence is near to none.
        pieces: what `masks`, or more sequences, are cut into; None: too many to be cut together.
        places: of `masks` among the sequences of `pieces`.
    """

    masks: Sequence[Runs]
    near: Flags
    pieces: Pieces | None
    places: Sequence[int]

    @classmethod
    def find(cls, masks: Sequence[Runs]) -> Overlaps:
        """Return the overlaps of any number of sequences. Raises FusionError: unequal frames or sizes."""
        # Cut once, the pieces of few sequences serve both the overlaps and the votes.
        pieces = Pieces.cut(masks) if len(masks) <= TOGETHER else None
        near = find_near(intersect_all(masks) if pieces is None else pieces.intersect())
        return cls(masks, near, pieces, range(len(masks)))

    def select(self, places: Sequence[int]) -> Overlaps:
        """Return the overlaps of some of the sequences, in any order."""
        masks = [self.masks[place] for place in places]
        return Overlaps(masks, self.near[np.ix_(places, places)], self.pieces, [self.places[place] for place in places])

    def vote(self, weights: Sequence[Mapping[int, int]]) -> list[Runs]:
        """Return the weighted votes of some sequences each, by their places; half of their weight passes."""
        needed = [-(-sum(own.values()) // 2) for own in weights]
        if self.pieces is None:
            return [
                count_votes([self.masks[place] for place in own], list(own.values())).keep(half)
                for own, half in zip(weights, needed, strict=True)
            ]
        votes = []
        for own, half in zip(weights, needed, strict=True):
            everyone = [0] * len(self.pieces.masks)
            for place, weight in own.items():
                everyone[self.places[place]] = weight
            votes.append(Vote(everyone, half))
        return self.pieces.keep(votes)


def are_near(masks: Sequence[Runs]) -> Flags:
    """Return which pairs have a tracklet IoU of at least 0.5, `(N, N)`, empty ones never; raises as `check_equal`."""
    return find_near(intersect_all(masks))


def find_near(common: Integers) -> Flags:
    """Return which pairs are near from their common pixels `(N, N)`, on the diagonal the areas."""
    areas = np.diagonal(common)
    # In integers: IoU >= 1/2 is 2 common >= area + area - common, so that no rounding decides.
    return (3 * common >= areas[:, None] + areas[None]) & (common > 0)


def intersect_all(masks: Sequence[Runs]) -> Integers:
    """Return the pixels that each pair has in common, `(N, N)`, on the diagonal areas; raises as `check_equal`."""
    n_masks = len(masks)
    if n_masks <= TOGETHER:
        return Pieces.cut(masks).intersect()
    check_equal(masks, "compared")
    common = np.zeros((n_masks, n_masks), np.int64)
    half = TOGETHER // 2
    blocks = [range(first, min(first + half, n_masks)) for first in range(0, n_masks, half)]
    for pair in combinations(blocks, 2):
        places = [place for block in pair for place in block]
        common[np.ix_(places, places)] = Pieces.cut([masks[place] for place in places]).intersect()
    return common


def _sum_by_set(weights: Sequence[int]) -> Integers:
    """Return the weight of every set of sequences, `(2 ** N,)`."""
    totals = np.zeros(1, np.int64)
    for weight in weights:  # the sets with a sequence follow those without it
        totals = np.add.outer([0, weight], totals).ravel()
    return totals


def _sort_boundaries(masks: Sequence[Runs], shift: int) -> Positions:
    """Return every boundary, ascending, with the place of its sequence in the lowest bits."""
    line = masks[0].n_frames * masks[0].stride if masks else 0
    kind: type[np.signedinteger] = np.int32 if line << shift < 1 << 31 else np.int64
    edges = [mask.edges.astype(kind, copy=False) << shift | index for index, mask in enumerate(masks)]
    codes: Positions = np.concatenate(edges) if edges else np.zeros(0, kind)
    codes.sort(kind="stable")  # merges the ascending pieces: as fast on every machine, unlike a vectorised quicksort
    return codes
