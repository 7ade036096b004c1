"""Key-frame masks carried forwards and backwards through a video, many expressions at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from propagate.collecting import SequenceCollector
from propagate.engines.protocol import Engine
from propagate.key_frames import pick_start_frames
from propagate.passes import EXPRESSIONS_AT_ONCE, Prediction, Track, cut, run_passes
from rvos.errors import ConfigError
from rvos.masks.mask_sequences import KeepSoft, MaskSequence
from rvos.settings import count
from rvos.videos import Video


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Where masks come from: a member or a fusion. Raises ConfigError: no reference.

    Args:
        sequences: one or more expressions of the video, each propagated alone.
        n_references: frames to start from at most, the key frame among them; see `pick_start_frames`.
    """

    sequences: Sequence[MaskSequence]
    n_references: int = 1

    def __post_init__(self) -> None:
        if self.n_references < 1:
            raise ConfigError(f"propagation from {count(self.n_references, 'frame')}; give at least 1")


@dataclass(frozen=True, slots=True)
class PropagationSettings:
    """What is asked of a propagation, whatever engine does it.

    Args:
        skip_empty: replace a key frame whose mask is empty by the best-scored one whose mask is not.
        keep_soft: also keep the averaged probabilities at a quarter of the frame size, in `uint8` (true) or `float16`.
    """

    skip_empty: bool = False
    keep_soft: KeepSoft = False


class Propagator:
    """Carries key-frame masks through videos with one engine. `engine`: its feature cache is shared by all calls."""

    def __init__(self, engine: Engine, settings: PropagationSettings = PropagationSettings()) -> None:
        self.engine = engine
        self._settings = settings

    def propagate(self, video: Video, sources: Sequence[Source]) -> list[list[MaskSequence]]:
        """Return the sequences of every source with every mask but the key frame's replaced by propagation from there.

        The key frame keeps its mask. Where that mask is empty, the input masks are returned as they are, unless
        `skip_empty` finds another. Scores stay those of the input; the key frame is stated. The input's soft maps are
        handed on only with unchanged masks. A source gives to the bit what it gives alone: only image features are
        shared. Source: seed paper, Sec. 3.2; the 2023 release for the protocols of AOT and DeAOT.

        Args:
            video: whose frames the masks belong to.

        Raises:
            InputError: frames or sizes of masks and video differ, scores are not finite, a frame cannot be read.
            CheckpointError: the network gives values that are not finite.
        """
        sequences = [sequence for source in sources for sequence in source.sequences]
        check_sequences(video, sequences)
        collectors = [
            SequenceCollector(sequence, key=self._pick_key(sequence), keep_soft=self._settings.keep_soft)
            for sequence in sequences
        ]
        for prediction in self.predict(video, sources):
            collectors[prediction.position].add(prediction)
        finished = (collector.finish() for collector in collectors)
        return [list(islice(finished, len(source.sequences))) for source in sources]

    def predict(self, video: Video, sources: Sequence[Source]) -> Iterator[Prediction]:
        """Yield the predicted frames of all expressions, whose positions count through the sources' sequences."""
        tracks: list[Track] = []
        first = 0
        for source in sources:
            starts = [self._pick_starts(sequence, source.n_references) for sequence in source.sequences]
            tracks += _make_tracks(source.sequences, starts, first)
            first += len(source.sequences)
        for together in share_out(tracks):
            yield from run_passes(video, together, self.engine)

    def _pick_starts(self, sequence: MaskSequence, n_references: int) -> tuple[int, ...]:
        return pick_start_frames(sequence, count=n_references, skip_empty=self._settings.skip_empty)

    def _pick_key(self, sequence: MaskSequence) -> int:
        starts = self._pick_starts(sequence, 1)
        return starts[-1] if starts else sequence.pick_key_frame()


def check_sequences(video: Video, sequences: Sequence[MaskSequence]) -> None:
    """Check that masks and video have the same frames and size. Raises InputError: they differ."""
    size = video.read_size() if sequences else None
    for sequence in sequences:
        sequence.check_fits(video, size, advice="rerun the member on this data set")


def _make_tracks(sequences: Sequence[MaskSequence], starts: Sequence[tuple[int, ...]], first: int) -> list[Track]:
    """Return a source's expressions by the frames they start from, those with any; the first has position `first`."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for position, frames in enumerate(starts):
        if frames:
            groups[frames].append(position)
    tracks = []
    for frames, positions in sorted(groups.items()):
        for chunk in cut(positions, EXPRESSIONS_AT_ONCE):
            masks = np.asarray([[sequences[index].mask(frame) for index in chunk] for frame in frames], np.uint8)
            tracks.append(Track(frames, tuple(first + index for index in chunk), torch.from_numpy(masks)))
    return tracks


def share_out(tracks: Sequence[Track], at_once: int = EXPRESSIONS_AT_ONCE) -> Iterator[list[Track]]:
    """Yield rounds of tracks with at most `at_once` expressions each; a track is never cut."""
    current: list[Track] = []
    for track in tracks:
        if current and sum(len(t.positions) for t in [*current, track]) > at_once:
            yield current
            current = []
        current.append(track)
    if current:
        yield current
