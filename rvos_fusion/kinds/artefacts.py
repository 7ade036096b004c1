"""What nodes store, by sort: how it is written, and what of a video names its parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rvos.errors import InputError
from rvos.masks.mask_sequences import by_expression
from rvos.masks.stored import MASK_SEQUENCES, MASKS_ALONE, PROPOSALS, TRACKLET_SETS, TRACKLETS, Codec
from rvos.settings import count
from rvos.videos import Video


@dataclass(frozen=True, slots=True)
class Artefact:
    """A sort of stored result.

    `by_expression`: its parts are those of the video's expressions, so that another expression file makes another
    result; what belongs to the video alone outlives such a change.
    """

    codec: Codec[Any]
    by_expression: bool

    def parts(self, video: Video) -> Sequence[str]:
        """Return the expressions whose parts a result has; none where it belongs to the video."""
        return [expression.id for expression in video.expressions] if self.by_expression else []

    def check(self, video: Video, value: Any) -> None:
        """Refuse a result without a part for every expression, or of other frames: it must not pass for a whole one."""
        if not self.by_expression:
            return
        found = by_expression(value)
        missing = [name for name in self.parts(video) if name not in found]
        if missing:
            raise InputError(
                f"{video.id}: no masks for {len(missing)} of {count(len(video.expressions), 'expression')}, first "
                f"{missing[0]!r}; whatever made them must give one mask sequence for each"
            )
        for sequence in found.values():
            sequence.check_fits(video, None, advice="whatever made them must keep to the video's frames")


MASKS = Artefact(MASK_SEQUENCES, by_expression=True)
"""One mask sequence for each expression: what can be fused, scored, drawn and submitted."""

HARD_MASKS = Artefact(MASKS_ALONE, by_expression=True)
"""The same without soft maps, which are then left on disk."""

INSTANCES = Artefact(TRACKLETS, by_expression=False)
"""Masks of instances, which belong to the video, whatever its sentences say."""

INSTANCE_PROPOSALS = Artefact(PROPOSALS, by_expression=False)
"""Instance masks of the key frames."""
CANDIDATES = Artefact(TRACKLET_SETS, by_expression=False)
"""The tracklets of a video that a sentence may choose from, as a `TrackletSet`."""

ReadArtefact = Callable[[str, Artefact], Any]
"""Returns the stored result of a node for one video."""
