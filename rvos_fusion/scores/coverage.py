"""Which videos the rows of a table have: figures are over those that all have, and what is lacking is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rvos.errors import StoreError
from rvos.videos import Video
from rvos_fusion.planning.results import Results


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far the rows of a table are.

    Args:
        command: makes what is missing.
        missing: number of videos that a row has no result for.
        left_out: the same of inputs that are no rows because they lack videos.
        videos: that all rows have which have any.
        n_videos: that there are.
    """

    command: str
    missing: Mapping[str, int]
    left_out: Mapping[str, int]
    videos: tuple[Video, ...]
    n_videos: int

    @property
    def scored(self) -> list[str]:
        """The rows that have figures."""
        return [node for node in self.missing if self.missing[node] < self.n_videos]

    def notes(self) -> list[str]:
        """Return what a table must say: which rows and inputs lack videos, and over which the figures are."""
        notes = [f"{node} has {self._count(lacking)}" for node, lacking in self.missing.items() if lacking]
        notes += [f"input {node} is left out: {self._count(lacking)}" for node, lacking in self.left_out.items()]
        if len(self.videos) < self.n_videos:
            notes.append(f"figures over the {len(self.videos)} of {self.n_videos} videos that all rows with any have")
        return [*notes, f"to make what is missing: {self.command}"] if notes else []

    def _count(self, lacking: int) -> str:
        return f"{self.n_videos - lacking} of {self.n_videos} videos"


def find_coverage(results: Results, videos: Sequence[Video], rows: Sequence[str]) -> Coverage:
    """Return how far the rows of a table are, and the further inputs of the last one, which follow them.

    Raises:
        StoreError: no video is common to the rows that have any.
    """
    further = {node: results.find_missing(node) for node in results.find_inputs(rows)}
    missing = {node: results.find_missing(node) for node in rows}
    missing |= {node: lacking for node, lacking in further.items() if not lacking}
    counts = {node: len(lacking) for node, lacking in missing.items()}
    lacked = {video for own in missing.values() if len(own) < len(videos) for video in own}
    common = tuple(video for video in videos if video.id not in lacked)
    if not common:
        started = ", ".join(
            f"{node} {len(videos) - lacking}" for node, lacking in counts.items() if lacking < len(videos)
        )
        raise StoreError(
            f"{results.store.workspace}: no video has results of all nodes (of {len(videos)} videos: {started}); "
            f"name nodes, or run first: {results.command}"
        )
    left_out = {node: len(lacking) for node, lacking in further.items() if lacking}
    return Coverage(results.command, counts, left_out, common, len(videos))
