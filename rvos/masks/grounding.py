"""What a grounding model is, and how its scores choose a tracklet for every sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.masks.tracklets import TrackletSet
from rvos.settings.problems import count
from rvos.videos import Expression, Video

Scores = NDArray[np.float64]


class GroundingModel(Protocol):
    """Anything that tells how well the tracklets of a video fit its sentences."""

    def scores(self, video: Video, tracklets: TrackletSet, expressions: Sequence[Expression]) -> Scores:
        """Return the score of every tracklet for every sentence, `(E, P)` float64 in [0, 1].

        Args:
            video: for its frames; the sentences are those of `expressions`.
            tracklets: at least one, best first.

        Raises:
            InputError: a frame cannot be read, or the tracklets are not of this video.
            CheckpointError: the network gives values that are not finite.
        """


def choose_tracklets(scores: Scores) -> list[int | None]:
    """Return for every sentence the place of its best tracklet; None where there is no tracklet at all.

    Equal scores go to the earlier tracklet, which is the one with the higher score of its own.

    Args:
        scores: `(E, P)`.

    Source: tracklets.md, section 4.6.
    """
    return [int(np.argmax(row)) if row.size else None for row in scores]


def check_tracklets(video: Video, tracklets: TrackletSet) -> None:
    """Check that tracklets are of a video. Raises InputError: another video, or other frames."""
    if tracklets.video != video.id or tracklets.frames != video.frames:
        raise InputError(
            f"{video.id}: tracklets of {tracklets.video} with "
            f"{count(len(tracklets.frames), 'frame')}, the data set lists "
            f"{video.n_frames}, or other names; make them of this data set"
        )
