"""Key-frame masks carried forwards and backwards through a video, many expressions at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from propagate.collecting import SequenceCollector
from propagate.engines import PropagationProtocol, VosEngine
from propagate.key_frames import pick_key_frame, pick_start_frames
from propagate.passes import PROTOCOLS, Prediction, Rules, Track, run_passes
from propagate.preprocessing import list_augmentations
from rvos.errors import ConfigError
from rvos.mask_sequences import MaskSequence
from rvos.videos import Video

EXPRESSIONS_AT_ONCE = 8
"""How many memories are held at the same time; more expressions take more rounds over the video."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Where masks come from: a member or a fusion.

    Args:
        sequences: one or more expressions of the video, each propagated alone.
        n_references: frames to start from at most, the key frame among them; see `pick_start_frames`.
    """

    sequences: Sequence[MaskSequence]
    n_references: int = 1


def propagate_video(
    video: Video,
    sequences: Sequence[MaskSequence],
    *,
    engine: VosEngine,
    protocol: PropagationProtocol = "fresh",
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    n_references: int = 1,
    skip_empty: bool = False,
    keep_soft: bool = False,
) -> list[MaskSequence]:
    """Return the sequences of one source, propagated; see `propagate_sources`."""
    return propagate_sources(
        video,
        [Source(sequences, n_references)],
        engine=engine,
        protocol=protocol,
        scales=scales,
        flip=flip,
        skip_empty=skip_empty,
        keep_soft=keep_soft,
    )[0]


def propagate_sources(
    video: Video,
    sources: Sequence[Source],
    *,
    engine: VosEngine,
    protocol: PropagationProtocol = "fresh",
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    skip_empty: bool = False,
    keep_soft: bool = False,
) -> list[list[MaskSequence]]:
    """Return the sequences of every source with every mask but the key frame's replaced by propagation from there.

    The key frame keeps its mask. Where that mask is empty, the input masks are returned as they are, unless
    `skip_empty` finds another. Scores stay those of the input; the key frame is stated. The input's soft maps are
    handed on only with unchanged masks. A source gives to the bit what it gives alone: only image features are shared.

    Args:
        video: whose frames the masks belong to.
        engine: its feature cache is shared by all calls with it.
        protocol: `fresh` or `legacy`, see `propagate.passes`.
        scales, flip: augmentations whose probabilities are averaged.
        skip_empty: replace a key frame whose mask is empty by the best-scored one whose mask is not.
        keep_soft: also keep the averaged probabilities, in 8 bits at a quarter of the frame size.

    Raises:
        InputError: frames or sizes of masks and video differ, scores are not finite, a frame cannot be read.
        CheckpointError: the network gives values that are not finite.
        ConfigError: an unknown protocol, no scale, or no reference.

    Source: seed paper, Sec. 3.2; the 2023 release for the two protocols.
    """
    rules = _find_rules(protocol, scales, [source.n_references for source in sources])
    sequences = [sequence for source in sources for sequence in source.sequences]
    check_sequences(video, sequences)
    keys = [(pick_start_frames(s, skip_empty=skip_empty) or (pick_key_frame(s),))[-1] for s in sequences]
    collectors = [SequenceCollector(s, key=key, keep_soft=keep_soft) for s, key in zip(sequences, keys, strict=True)]
    for prediction in predict(
        video, sources, engine=engine, rules=rules, scales=scales, flip=flip, skip_empty=skip_empty
    ):
        collectors[prediction.position].add(prediction)
    finished = (collector.finish() for collector in collectors)
    return [list(islice(finished, len(source.sequences))) for source in sources]


def predict(
    video: Video,
    sources: Sequence[Source],
    *,
    engine: VosEngine,
    rules: Rules,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    skip_empty: bool = False,
) -> Iterator[Prediction]:
    """Yield every frame of every expression but key frames and expressions whose key frame's mask is empty.

    Positions count through the sequences of all sources.
    """
    tracks: list[Track] = []
    first = 0
    for source in sources:
        starts = [pick_start_frames(s, count=source.n_references, skip_empty=skip_empty) for s in source.sequences]
        tracks += _make_tracks(source.sequences, starts, first)
        first += len(source.sequences)
    augmentations = list_augmentations(scales, flip=flip)
    for together in _share_out(tracks):
        yield from run_passes(video, together, engine=engine, rules=rules, augmentations=augmentations)


def check_sequences(video: Video, sequences: Sequence[MaskSequence]) -> None:
    """Check that masks and video have the same frames and size.

    Raises:
        InputError: they differ, or scores are not finite.
    """
    size = video.read_size() if sequences else None
    for sequence in sequences:
        pick_key_frame(sequence)
        sequence.check_fits(video, size, advice="rerun the member on this data set")


def _find_rules(protocol: str, scales: Sequence[float], n_references: Sequence[int]) -> Rules:
    if protocol not in PROTOCOLS:
        raise ConfigError(f"propagation protocol {protocol!r} is unknown; choose one of {', '.join(PROTOCOLS)}")
    if not scales or min(scales) <= 0:
        raise ConfigError(f"propagation: scales {tuple(scales)}; give one or more positive numbers")
    if min(n_references, default=1) < 1:
        raise ConfigError(f"propagation from {min(n_references)} frames; give at least 1")
    return PROTOCOLS[protocol]


def _make_tracks(sequences: Sequence[MaskSequence], starts: Sequence[tuple[int, ...]], first: int) -> list[Track]:
    """Return one source's expressions grouped by the frames they start from; those without any are left out.

    Args:
        first: position of the first sequence among those of all sources.
    """
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for position, frames in enumerate(starts):
        if frames:
            groups[frames].append(position)
    return [
        Track(frames, tuple(first + index for index in chunk), _starting_masks(sequences, frames, chunk))
        for frames, positions in sorted(groups.items())
        for chunk in _chunks(positions)
    ]


def _starting_masks(sequences: Sequence[MaskSequence], frames: tuple[int, ...], chunk: tuple[int, ...]) -> Tensor:
    """Return the masks `(frames, expressions, H, W)` uint8 that a track starts from."""
    masks = [[sequences[position].mask(frame) for position in chunk] for frame in frames]
    return torch.from_numpy(np.asarray(masks, dtype=np.uint8))


def _chunks(positions: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for begin in range(0, len(positions), EXPRESSIONS_AT_ONCE):
        yield tuple(positions[begin : begin + EXPRESSIONS_AT_ONCE])


def _share_out(tracks: Sequence[Track]) -> Iterator[list[Track]]:
    """Yield rounds of tracks with at most `EXPRESSIONS_AT_ONCE` expressions each."""
    current: list[Track] = []
    for track in tracks:
        if current and sum(len(t.positions) for t in [*current, track]) > EXPRESSIONS_AT_ONCE:
            yield current
            current = []
        current.append(track)
    if current:
        yield current
