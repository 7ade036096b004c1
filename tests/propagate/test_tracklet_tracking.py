"""Tracklets: every proposal goes both ways on its own, or competes with the others of its frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import deaot_toolkit
import numpy as np
import pytest
import torch
from sam2_weights import NETWORK, make_network, make_video
from toy import ToyEngine, write_video

from propagate.box_masks import find_masks
from propagate.engines.aot.engine import AotEngine
from propagate.engines.aot.settings import AotSettings
from propagate.engines.sam2.engine import Sam2Engine
from propagate.engines.sam2.settings import Sam2Settings
from propagate.tracklet_tracking import Tracked, TrackletTracker
from propagate.tracklets import (
    TrackletSettings,
    choose_candidates,
    find_confidence,
    score_agreement,
    to_sequence,
    to_tracklet,
)
from rvos.errors import ConfigError, InputError
from rvos.masks.detections import Proposal, VideoProposals
from rvos.masks.mask_sequences import MaskSequence, decode, encode
from rvos.masks.runs import Runs
from rvos.videos import Video

FRAME = (8, 12)


@pytest.fixture
def video(tmp_path: Path) -> Video:
    return write_video(tmp_path, "v", tuple(f"{index}" for index in range(5)), FRAME)


def square(frame: int, left: int, top: int, confidence: float, size: tuple[int, int] = FRAME) -> Proposal:
    """Return a proposal of 3 x 3 pixels."""
    mask = np.zeros((1, *size), np.bool_)
    mask[0, top : top + 3, left : left + 3] = True
    return Proposal(frame, encode(mask)[0], confidence, "d", "thing")


def propose(video: Video, *proposals: Proposal) -> VideoProposals:
    key_frames = tuple(sorted({one.frame for one in proposals}))
    return VideoProposals(video.id, video.frames, video.read_size(), key_frames, proposals)


def track(video: Video, *proposals: Proposal, **settings: object) -> Tracked:
    """Return tracklets of an engine that moves masks one row down from frame to frame of its way."""
    rules = TrackletSettings(**settings)  # type: ignore[arg-type]
    return TrackletTracker(ToyEngine(np.zeros(5, np.int64)), rules).track(video, propose(video, *proposals))


def tops(runs: tuple[bytes, ...]) -> list[int]:
    """Return the first marked row of every frame."""
    return [int(mask.any(axis=1).argmax()) for mask in decode(runs, FRAME)]


def test_a_proposal_goes_both_ways_and_is_itself_in_its_frame(video: Video) -> None:
    proposal = square(2, 4, 0, 0.8)
    (found,) = track(video, proposal).tracklets
    assert tops(found.runs) == [2, 1, 0, 1, 2]
    assert found.runs[2] == proposal.mask
    assert (found.id, found.key_frame, found.confidence) == ("2.0", 2, 0.8)
    assert (found.label, found.detector) == ("thing", "d")
    assert found.propagation[2] == 1
    assert np.all((found.propagation > 0.9) & (found.propagation <= 1))


def test_a_frame_without_a_mask_has_propagation_0(video: Video) -> None:
    (found,) = track(video, square(0, 4, 5, 0.8)).tracklets
    areas = [int(mask.sum()) for mask in decode(found.runs, FRAME)]
    assert areas == [9, 6, 3, 0, 0]
    assert found.propagation[3:].tolist() == [0, 0]


def test_images_are_read_once_for_all_proposals_of_all_key_frames(video: Video) -> None:
    engine = ToyEngine(np.zeros(5, np.int64))
    proposals = [square(frame, 4 * place, 0, 0.9) for frame in (0, 2, 4) for place in range(3)]
    found = TrackletTracker(engine, TrackletSettings()).track(video, propose(video, *proposals))
    assert [one.id for one in found.tracklets] == [f"{frame}.{place}" for frame in (0, 2, 4) for place in range(3)]
    assert sorted(engine.encoded) == [0, 1, 2, 3, 4]


def test_each_gives_what_it_gives_alone(video: Video) -> None:
    proposals = [square(2, 0, 0, 0.9), square(2, 1, 1, 0.8), square(3, 8, 2, 0.7)]
    together = track(video, *proposals).tracklets
    for proposal, tracklet in zip(proposals, together, strict=True):
        (alone,) = track(video, proposal).tracklets
        assert alone.runs == tracklet.runs
        assert alone.propagation.tolist() == tracklet.propagation.tolist()


def test_what_an_earlier_tracklet_covers_is_not_carried(video: Video) -> None:
    first, same = square(0, 4, 0, 0.8), square(2, 4, 2, 0.8)
    surer, elsewhere = replace(same, confidence=0.9), square(2, 0, 2, 0.5)
    assert track(video, first, same, elsewhere, skip_explained=True).explained == ("2.0",)
    assert [one.id for one in track(video, first, same, elsewhere, skip_explained=True).tracklets] == ["0.0", "2.1"]
    assert track(video, first, surer, skip_explained=True).explained == ()
    assert track(video, first, same).explained == ()


def test_no_proposal_gives_no_tracklet(video: Video) -> None:
    nothing = VideoProposals("v", video.frames, FRAME, (0, 2), ())
    found = TrackletTracker(ToyEngine(np.zeros(5, np.int64)), TrackletSettings()).track(video, nothing)
    assert found == Tracked(())
    chosen = choose_candidates(found.tracklets, video=video, size=FRAME, settings=TrackletSettings())
    assert (len(chosen), chosen.scores.shape, chosen.dropped) == (0, (0,), ())


def test_a_video_of_one_frame_is_its_proposals(tmp_path: Path) -> None:
    video = write_video(tmp_path, "w", ("0",), FRAME)
    proposal = square(0, 4, 0, 0.8)
    (found,) = track(video, proposal).tracklets
    assert (found.runs, found.propagation.tolist()) == ((proposal.mask,), [1])


def test_more_proposals_than_are_batched_are_all_carried(video: Video) -> None:
    proposals = [square(1, place % 9, place // 9, 0.9) for place in range(20)]
    engine = ToyEngine(np.zeros(5, np.int64))
    tracker = TrackletTracker(engine, TrackletSettings())
    assert len(tracker.track(video, propose(video, *proposals)).tracklets) == 20


def test_proposals_of_another_run_are_one_line(video: Video) -> None:
    tracker = TrackletTracker(ToyEngine(np.zeros(5, np.int64)), TrackletSettings())
    found = propose(video, square(0, 0, 0, 0.9))
    with pytest.raises(InputError, match="v: proposals of w with 5 frames"):
        tracker.track(video, replace(found, video="w"))
    with pytest.raises(InputError, match="v: proposals of v with 4 frames"):
        tracker.track(video, replace(found, frames=video.frames[:4]))
    with pytest.raises(InputError, match=r"v: proposals of 9 x 12 pixels \(H x W\), frames of 8 x 12"):
        tracker.track(video, replace(found, size=(9, 12)))


def test_candidates_are_scored_suppressed_and_state_their_settings(video: Video) -> None:
    tracklets = track(video, square(0, 4, 0, 0.5), square(2, 4, 2, 0.9), square(2, 0, 0, 0.4)).tracklets
    settings = TrackletSettings(nms_iou=0.4)
    found = choose_candidates(tracklets, video=video, size=FRAME, settings=settings)
    assert [one.id for one in found.tracklets] == ["2.0", "2.1"]
    assert found.scores[0] == pytest.approx(0.9, abs=0.01)
    assert [(one.id, one.by, one.key_frame) for one in found.dropped] == [("0.0", "2.0", 0)]
    assert found.settings["nms_iou"] == 0.4
    empty = replace(tracklets[0], runs=encode(np.zeros((5, *FRAME), np.bool_)))
    with pytest.raises(InputError, match=r"v/0\.0: a tracklet without a pixel"):
        choose_candidates([empty], video=video, size=FRAME, settings=settings)


def make_sequence(video: Video, masks: np.ndarray, scores: list[float]) -> MaskSequence:  # type: ignore[type-arg]
    return MaskSequence.from_masks(
        masks, video="v", expression="7", frames=video.frames, scores=np.array(scores, np.float32)
    )


def test_a_member_is_a_candidate_with_its_own_confidence(video: Video) -> None:
    masks = np.zeros((5, *FRAME), np.bool_)
    masks[1, :2], masks[3, :4] = True, True
    found = to_tracklet(make_sequence(video, masks, [0.9, 0.2, 0.3, 0.6, 0.1]), member="soc")
    assert found is not None
    # The best-scored frame is empty, so the largest mask counts; (0.9 + 0.2 + 0.3 + 0.6 + 0.1) / 5 is 0.42.
    assert (found.id, found.key_frame, found.confidence) == ("soc/7", 3, pytest.approx(0.42))
    assert found.propagation.tolist() == [0, 1, 0, 1, 0]
    assert to_tracklet(make_sequence(video, masks & False, [0.9] * 5), member="soc") is None


def test_confidences_of_members_are_chances(video: Video) -> None:
    sequence = make_sequence(video, np.ones((5, *FRAME), np.bool_), [3.5, -2.0, 0.4, 1.0, 0.0])
    assert [round(find_confidence(sequence, frame), 3) for frame in range(5)] == [1, 0, 0.4, 1, 0]
    assert find_confidence(replace(sequence, scored=False), 4) == 1


def test_an_answer_is_the_tracklet_with_one_score_in_every_frame(video: Video) -> None:
    (tracklet,) = track(video, square(2, 4, 0, 0.8)).tracklets
    answer = to_sequence(tracklet, expression="1", score=0.25)
    assert (answer.runs, answer.expression, answer.pick_key_frame()) == (tracklet.runs, "1", 2)
    assert answer.scores.tolist() == [0.25] * 5


def test_agreement_is_the_mean_overlap_with_the_members() -> None:
    def runs(end: int) -> Runs:
        masks = np.zeros((1, 1, 10), np.bool_)
        masks[0, 0, :end] = True
        return Runs.from_masks(masks)

    members = [runs(5), runs(10)]
    # Tracklet of 5 pixels: 5/5 and 5/10; of 10: 5/10 and 10/10.
    assert score_agreement([runs(5), runs(10)], members, [1, 1]).tolist() == [0.75, 0.75]
    assert score_agreement([runs(5), runs(10)], members, [3, 1]).tolist() == [0.875, 0.625]
    assert score_agreement([], members, [1, 1]).shape == (0,)
    assert score_agreement([runs(5)], [runs(0)], [1]).tolist() == [0]


@pytest.fixture(scope="module")
def small_aot() -> AotEngine:
    torch.manual_seed(1)
    network = deaot_toolkit.build("small-aot")
    return AotEngine(network, AotSettings("small-aot", Path("none")), device=torch.device("cpu"))


def test_objects_that_compete_share_no_pixel(tmp_path: Path, small_aot: AotEngine) -> None:
    video = write_video(tmp_path, "x", ("0", "1", "2"), (32, 48))
    proposals = [square(1, 4, 4, 0.9, (32, 48)), square(1, 5, 5, 0.8, (32, 48)), square(1, 30, 20, 0.7, (32, 48))]
    tracker = TrackletTracker(small_aot, TrackletSettings(joint=True))
    found = tracker.track(video, propose(video, *proposals)).tracklets
    assert [one.runs[1] for one in found] == [one.mask for one in proposals]
    for frame in (0, 2):
        masks = np.stack([decode((one.runs[frame],), (32, 48))[0] for one in found])
        assert masks.sum(axis=0).max() <= 1


def test_one_object_has_nobody_to_compete_with(tmp_path: Path, small_aot: AotEngine) -> None:
    video = write_video(tmp_path, "x", ("0", "1", "2"), (32, 48))
    proposals = propose(video, square(1, 4, 4, 0.9, (32, 48)))
    joint = TrackletTracker(small_aot, TrackletSettings(joint=True)).track(video, proposals)
    alone = TrackletTracker(small_aot, TrackletSettings()).track(video, proposals)
    assert joint.tracklets[0].runs == alone.tracklets[0].runs
    assert joint.tracklets[0].propagation.tolist() == pytest.approx(alone.tracklets[0].propagation.tolist())


def test_sam2_multiplies_by_presence_and_lets_nothing_compete(tmp_path: Path) -> None:
    engine = Sam2Engine(make_network(), Sam2Settings(NETWORK, tmp_path), device=torch.device("cpu"))
    video = make_video(tmp_path, 3)
    size = video.read_size()
    mask = np.zeros((1, *size), np.bool_)
    mask[0, : size[0] // 2, : size[1] // 2] = True
    proposals = propose(video, Proposal(1, encode(mask)[0], 0.9, "d"))
    (found,) = TrackletTracker(engine, TrackletSettings()).track(video, proposals).tracklets
    visible = [bool(decode((runs,), size).any()) for runs in found.runs]
    assert visible[1]
    for is_there, probability in zip(visible, found.propagation.tolist(), strict=True):
        assert (probability > 0) == is_there
    with pytest.raises(ConfigError, match="joint: the objects of this engine never meet"):
        TrackletTracker(engine, TrackletSettings(joint=True))


def test_masks_of_boxes_are_those_that_sam2_starts_from(tmp_path: Path) -> None:
    engine = Sam2Engine(make_network(), Sam2Settings(NETWORK, tmp_path), device=torch.device("cpu"))
    video = make_video(tmp_path, 2)
    boxes = np.array([[2, 10, 18, 26], [30, 5, 50, 30]] * 5, np.float32)
    found = find_masks(engine, video, 1, boxes)
    assert len(found) == 10
    assert found[:2] == find_masks(engine, video, 1, boxes[:2])
    assert find_masks(engine, video, 1, boxes[:0]) == ()
    with pytest.raises(ConfigError, match="AOT and DeAOT start from masks"):
        find_masks(ToyEngine(np.zeros(5, np.int64)), video, 0, boxes)
