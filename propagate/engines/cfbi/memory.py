"""What a session remembers at one augmentation: reference frames and the frame before, for independent expressions.

Nothing predicted ever becomes a reference, so a memory's size does not depend on the length of the video.

Source: cfbi.md, sections 5, 7 and 9.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from deaot_toolkit import resize_labels
from torch import Tensor
from torch.nn.functional import interpolate

from propagate.engines.cfbi.configs import Matching
from propagate.engines.cfbi.embeddings import resize
from propagate.engines.cfbi.matching import (
    ReferenceCells,
    distances_everywhere,
    distances_nearby,
    nearest_other,
    squash,
)
from propagate.engines.cfbi.network import Cfbi, CfbiFeatures

_SMALLEST = 1e-5
_NOTHING = -1


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """How reference frames are thinned.

    Args:
        rate: of the finest stride only cells whose row and column are multiples of it are matched everywhere.
        least_cells: rows of at most `least_cells * rate ** 2` cells keep all of theirs; 0: every row is thinned.
    """

    rate: int = 1
    least_cells: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class RegionSums:
    """Sums of embeddings: inside of rows (rows, C), cells of rows (rows,), of the whole frame (C,) and its cells."""

    inside: Tensor
    cells: Tensor
    total: Tensor
    area: int

    @staticmethod
    def of(embedding: Tensor, masks: Tensor) -> RegionSums:
        """Return the sums of an embedding (C, h, w) over masks (rows, h, w) float32."""
        flat, regions = embedding.flatten(1), masks.flatten(1)
        return RegionSums(regions @ flat.T, regions.sum(dim=1), flat.sum(dim=1), flat.shape[1])

    def __add__(self, other: RegionSums) -> RegionSums:
        return RegionSums(
            self.inside + other.inside, self.cells + other.cells, self.total + other.total, self.area + other.area
        )

    def means(self) -> Tensor:
        """Return (rows, 2 C): the mean inside of each row, then outside."""
        inside = self.inside / (self.cells + _SMALLEST)[:, None]
        outside = (self.total - self.inside) / (self.area - self.cells + _SMALLEST)[:, None]
        return torch.cat([inside, outside], dim=1)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A frame with given labels.

    Args:
        cells: at each stride.
        sums: of each expression, at the finest stride.
    """

    cells: tuple[ReferenceCells, ...]
    sums: tuple[RegionSums, ...]


class CfbiMemory:
    """References and the frame before. `network`: in evaluation mode; `rules`: how references are thinned."""

    def __init__(self, network: Cfbi, rules: MatchingRules) -> None:
        self._network = network
        self._rules = rules
        self._references: list[Reference] = []
        self._previous: CfbiFeatures | None = None
        self._current: CfbiFeatures | None = None
        self._labels = torch.zeros(0)
        self._n_rows = 0

    def copy(self) -> CfbiMemory:
        """Return a memory in the same state that goes its own way; references are shared, as they never change."""
        twin = copy.copy(self)
        twin._references = [*self._references]
        return twin

    def refer(self, features: CfbiFeatures, labels: Tensor, *, n_objects: int) -> None:
        """Add a frame with given labels, which is the frame before from now on.

        Args:
            labels: (expressions, H, W) at frame size, 0 = background.
            n_objects: of each expression from now on.
        """
        self._n_rows = n_objects + 1
        matchings = self._network.config.matching
        cells = []
        sums: tuple[RegionSums, ...] = ()
        for place, (matching, embedding) in enumerate(zip(matchings, features.embeddings, strict=True)):
            known = resize_labels(labels, features.grids[place])
            places = None
            if not place:
                known, places = self._thin(known)
                sums = tuple(RegionSums.of(embedding, self._rows_of(of_one)) for of_one in known)
            by_row = known.flatten(1) if places is None else known.flatten(1)[:, places]
            kept = embedding[: matching.channels].flatten(1).T
            kept = kept if places is None else kept[places]
            cells.append(ReferenceCells.of(kept, by_row, n_rows=self._n_rows))
        self._references.append(Reference(tuple(cells), sums))
        self._previous, self._labels = features, labels

    def _thin(self, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return labels (expressions, h, w) without what is not matched, and the cells that any of them keeps.

        The official code thins the labels that the mean embeddings are taken from too, where small rows keep all.
        """
        rate = self._rules.rate
        if rate == 1:
            return labels, None
        regular = torch.zeros_like(labels[0], dtype=torch.bool)
        regular[::rate, ::rate] = True
        if not self._rules.least_cells:
            return labels, regular.flatten().nonzero()[:, 0]
        thinned = labels.clone()
        for of_one in thinned:
            for row in range(self._n_rows):
                marked = of_one == row
                if int(marked.sum()) > self._rules.least_cells * rate**2:
                    of_one[marked & ~regular] = _NOTHING
        return thinned, (thinned != _NOTHING).any(dim=0).flatten().nonzero()[:, 0]

    def _rows_of(self, labels: Tensor) -> Tensor:
        """Return labels (h, w) as masks (rows, h, w) float32."""
        rows = torch.arange(self._n_rows, device=labels.device)
        return (labels == rows[:, None, None]).float()

    def propagate(self, features: CfbiFeatures) -> list[Tensor]:
        """Return each expression's logits (rows, h, w) of the next frame at stride 4, background first."""
        assert self._previous is not None, "a memory without a reference"
        self._current = features
        strides = [self._match(place, features, self._previous) for place in range(len(features.embeddings))]
        logits = []
        # One after the other: the ensembler's maps are large, and rows depend on nobody else.
        for expression in range(len(self._labels)):
            masks = [self._rows_of(known[expression]) for _, known in strides]
            references = [reference.sums[expression] for reference in self._references]
            head = torch.cat(
                [
                    sum(references[1:], start=references[0]).means(),
                    RegionSums.of(self._previous.embeddings[0], masks[0]).means(),
                ],
                dim=1,
            )
            maps = [
                torch.cat([of_all[expression][0], mask[:, None], of_all[expression][1]], dim=1)
                for (of_all, _), mask in zip(strides, masks, strict=True)
            ]
            logits.append(self._network.decide(features, self._previous, maps=maps, masks=masks, head=head))
        return logits

    def remember(self, labels: Tensor) -> None:
        """Take the frame propagated to last as the frame before, with labels (expressions, H, W) at frame size."""
        self._previous, self._labels = self._current, labels

    def _match(
        self, place: int, features: CfbiFeatures, previous: CfbiFeatures
    ) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
        """Return each expression's maps (rows, maps, h, w) of its rows and of all others, and labels on the grid."""
        matching = self._network.config.matching[place]
        grid = features.grids[place]
        biases = self._network.biases(place, self._n_rows)
        known = resize_labels(self._labels, grid)
        query = features.embeddings[place][: matching.channels]
        before = previous.embeddings[place][: matching.channels]
        with torch.autocast(query.device.type, enabled=False):
            everywhere = self._match_references(place, query)
            nearby = self._match_previous(matching, query, before, known, biases)
        maps = []
        for far, near in zip(everywhere, nearby, strict=True):
            of_frame = squash(far.reshape(-1, *grid), biases[:, None, None])[:, None]
            maps.append(
                (
                    torch.cat([of_frame, near], dim=1),
                    torch.cat([nearest_other(near), nearest_other(of_frame)], dim=1),
                )
            )
        return maps, known

    def _match_references(self, place: int, query: Tensor) -> list[Tensor]:
        """Return of each expression the distances (rows, N) to the nearest cell of each row in any reference."""
        cells = query.flatten(1).T.contiguous()
        nearest: list[Tensor] = []
        for reference in self._references:
            found = distances_everywhere(cells, reference.cells[place])
            nearest = [torch.minimum(*pair) for pair in zip(nearest, found, strict=True)] if nearest else found
        return nearest

    def _match_previous(
        self, matching: Matching, query: Tensor, previous: Tensor, labels: Tensor, biases: Tensor
    ) -> list[Tensor]:
        """Return of each expression the finished maps (rows, windows, h, w), the largest window first."""
        grid = (query.shape[1], query.shape[2])
        is_pyramid = self._network.config.is_pyramid
        if not is_pyramid:
            # Half the size, for a quarter of the work; the finished maps come back, not the distances.
            half = (grid[0] // 2 + 1, grid[1] // 2 + 1)
            query, previous = (resize(maps[None], half)[0] for maps in (query, previous))
            labels = interpolate(labels[:, None].float(), half, mode="nearest")[:, 0].long()
        found = distances_nearby(query, previous, labels, n_rows=self._n_rows, radii=matching.radii, rate=matching.rate)
        finished: list[Tensor] = []
        for of_one in found:
            maps = squash(of_one, biases[:, None, None, None])
            maps = maps if is_pyramid else resize(maps, grid)
            # The network's channels begin with the largest window.
            finished.append(torch.cat([maps[:, -1:], maps[:, :-1]], dim=1))
        return finished
