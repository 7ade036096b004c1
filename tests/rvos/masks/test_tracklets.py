"""Tracklet sets: what belongs together, what tells them apart, and which tracklet a sentence takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rvos.errors import InputError
from rvos.masks.detections import Proposal, VideoProposals
from rvos.masks.grounding import check_tracklets, choose_tracklets
from rvos.masks.mask_sequences import encode
from rvos.masks.tracklets import Tracklet, TrackletSet
from rvos.videos import Video

FRAMES = ("0", "1")


def make(name: str, *columns: int) -> Tracklet:
    """Return a tracklet of frames of 1 x 10 pixels that marks the first so many columns of each."""
    masks = np.zeros((2, 1, 10), np.bool_)
    for mask, end in zip(masks, columns, strict=True):
        mask[0, :end] = True
    return Tracklet("v", name, FRAMES, (1, 10), encode(masks), np.ones(2, np.float32), 0.9, 0)


def make_set(*tracklets: Tracklet) -> TrackletSet:
    return TrackletSet("v", FRAMES, (1, 10), tracklets, np.linspace(0.9, 0.5, len(tracklets)))


def test_the_content_hash_is_of_masks_and_their_order() -> None:
    a, b = make("a", 5, 5), make("b", 4, 5)
    own = make_set(a, b).content_hash()
    assert len(own) == 64
    assert own == make_set(replace(a, label="other", id="x"), b).content_hash()
    others = [make_set(b, a), make_set(a), make_set(), make_set(a, make("b", 5, 4))]
    assert len({own, *(other.content_hash() for other in others)}) == 5


def test_tracklets_of_another_video_frames_or_size_are_refused() -> None:
    tracklet = make("a", 5, 5)
    with pytest.raises(InputError, match="a tracklet of w"):
        make_set(replace(tracklet, video="w"))
    with pytest.raises(InputError, match="expected 2 of"):
        make_set(replace(tracklet, frames=("0", "2")))
    with pytest.raises(InputError, match="give one float64 for each"):
        TrackletSet("v", FRAMES, (1, 10), (tracklet,), np.ones(2))


def test_tracklets_of_another_run_are_refused() -> None:
    video = Video("v", ("0", "1", "2"), (), (Path("0.jpg"), Path("1.jpg"), Path("2.jpg")))
    with pytest.raises(InputError, match="v: tracklets of v with 2 frames, the data set lists 3"):
        check_tracklets(video, make_set())


def test_the_best_score_wins_and_a_tie_goes_to_the_earlier_slot() -> None:
    assert choose_tracklets(np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]])) == [1, 0]
    assert choose_tracklets(np.zeros((2, 0))) == [None, None]


def test_proposals_stand_in_the_order_of_their_key_frames() -> None:
    mask = encode(np.ones((1, 1, 10), np.bool_))[0]
    first, last = Proposal(0, mask, 0.9, "d"), Proposal(1, mask, 0.9, "d")
    assert VideoProposals("v", FRAMES, (1, 10), (0, 1), (first, last)).of_frame(1) == (last,)
    with pytest.raises(InputError, match="sort them"):
        VideoProposals("v", FRAMES, (1, 10), (0, 1), (last, first))
    with pytest.raises(InputError, match="other frames"):
        VideoProposals("v", FRAMES, (1, 10), (0,), (last,))
    with pytest.raises(InputError, match="key frames"):
        VideoProposals("v", FRAMES, (1, 10), (0, 2), ())
    with pytest.raises(InputError, match=r"confidence 1\.5"):
        Proposal(0, mask, 1.5, "d")
