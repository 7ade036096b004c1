"""Masklets: which boxes are used, which instances are new, and their way through the video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sam2_weights import NETWORK, SIZE, make_network, make_video
from toy import ToyEngine, write_video

from propagate.engines.sam2.engine import Sam2Engine
from propagate.engines.sam2.settings import Sam2Settings
from propagate.masklet_tracking import Masklets, MaskletTracker
from propagate.masklets import MaskletSettings, box_iou, find_instance, pick_boxes
from rvos.errors import ConfigError, InputError
from rvos.masks.detections import FrameBoxes, FrameInstances
from rvos.masks.mask_sequences import decode, encode
from rvos.videos import Video

FRAME = (8, 12)


def make_boxes(*rows: Sequence[float]) -> FrameBoxes:
    """Return boxes from rows of left, top, right, bottom, score."""
    values = np.asarray(rows, np.float32).reshape(-1, 5)
    return FrameBoxes(values[:, :4].copy(), values[:, 4].copy(), ("thing",) * len(rows))


def make_instances(*places: tuple[int, int, float]) -> FrameInstances:
    """Return 3 x 3 objects with masks from rows of left, top, score."""
    rows = [(left, top, left + 3, top + 3, score) for left, top, score in places]
    masks = np.zeros((len(places), *FRAME), np.bool_)
    for mask, (left, top, _) in zip(masks, places, strict=True):
        mask[top : top + 3, left : left + 3] = True
    return FrameInstances(make_boxes(*rows), encode(masks) if len(masks) else ())


def pick(*rows: Sequence[float], **settings: object) -> list[int]:
    return pick_boxes(make_boxes(*rows), FRAME, MaskletSettings(**settings))[1]  # type: ignore[arg-type]


def test_boxes_are_used_best_first() -> None:
    assert pick((0, 0, 3, 3, 0.4), (5, 0, 8, 3, 0.9), (9, 0, 12, 3, 0.4)) == [1, 0, 2]


def test_boxes_are_clipped_and_those_without_a_pixel_are_dropped() -> None:
    rows = [(-5, -5, 4, 4, 0.9), (20, 0, 30, 5, 0.8), (1, 1, 1.5, 5, 0.7), (3, 3, 2, 2, 0.6)]
    boxes, used = pick_boxes(make_boxes(*rows), FRAME, MaskletSettings())
    assert used == [0]
    assert boxes[0].tolist() == [0, 0, 4, 4]


def test_a_copy_of_a_better_box_is_dropped() -> None:
    # IoU 9/10 and 8/10; only what is above 0.8 is a copy.
    assert pick((0, 0, 9, 1, 0.5), (0, 0, 10, 1, 0.6), (0, 0, 8, 1, 0.4)) == [1, 2]


def test_a_frame_gives_no_more_boxes_than_instances_are_allowed() -> None:
    assert pick((0, 0, 2, 2, 0.3), (3, 0, 5, 2, 0.5), (6, 0, 8, 2, 0.4), max_instances=2) == [1, 2]


def test_no_box_at_all_is_fine() -> None:
    assert pick() == []


@given(st.lists(st.tuples(*[st.integers(0, 6)] * 2, *[st.integers(1, 6)] * 2), min_size=2, max_size=2))
def test_the_iou_of_boxes_is_that_of_their_pixels(boxes: list[tuple[int, int, int, int]]) -> None:
    corners = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes], np.float32)
    grid = np.zeros((2, 12, 12), bool)
    for pixels, (x, y, w, h) in zip(grid, boxes, strict=True):
        pixels[y : y + h, x : x + w] = True
    assert box_iou(*corners) == pytest.approx((grid[0] & grid[1]).sum() / (grid[0] | grid[1]).sum())


def test_a_mask_is_of_the_instance_that_it_overlaps_most() -> None:
    live = np.zeros((2, 1, 10), bool)
    live[0, 0, :6], live[1, 0, :5] = True, True
    mask = live[1]
    assert find_instance(mask, list(live), iou=0.5) == 1
    assert find_instance(live[0], [live[1]], iou=0.9) is None
    assert find_instance(mask, [], iou=0.5) is None
    assert find_instance(np.zeros((1, 10), bool), [np.zeros((1, 10), bool)], iou=0.5) is None


def test_detection_frames_are_every_fifteenth() -> None:
    assert MaskletSettings().list_frames(31) == (0, 15, 30)
    assert MaskletSettings(detect_frames="first").list_frames(31) == (0,)


@pytest.fixture
def video(tmp_path: Path) -> Video:
    return write_video(tmp_path, "v", tuple(f"{index}" for index in range(5)), FRAME)


def track(video: Video, found: dict[str, dict[int, FrameInstances]], **settings: object) -> Masklets:
    """Return masklets of an engine that moves masks one row down from frame to frame of its way."""
    engine = ToyEngine(np.zeros(5, np.int64))
    tracker = MaskletTracker(engine, MaskletSettings(**settings), takes_boxes=False, detector="d")  # type: ignore[arg-type]
    return tracker.track(video, found)


def tops(masklets: Masklets) -> list[list[int]]:
    """Return the first marked row of every frame."""
    return [[int(mask.any(axis=1).argmax()) for mask in decode(one.runs, one.size)] for one in masklets.tracklets]


def test_a_masklet_goes_forwards_and_backwards_from_its_frame(video: Video) -> None:
    found = track(video, {"cat": {2: make_instances((4, 1, 0.7))}})
    (masklet,) = found.tracklets
    assert tops(found) == [[3, 2, 1, 2, 3]]
    assert (masklet.label, masklet.key_frame, masklet.detector, masklet.id) == ("cat", 2, "d", "0")
    assert masklet.confidence == pytest.approx(0.7)
    assert masklet.propagation[2] == 1


def test_an_instance_that_has_a_masklet_starts_no_second_one(video: Video) -> None:
    # In frame 2 the first object has moved two rows down.
    later = make_instances((1, 3, 0.9), (8, 0, 0.8))
    found = track(video, {"cat": {0: make_instances((1, 1, 0.5)), 2: later}})
    assert [(one.key_frame, round(one.confidence, 1)) for one in found.tracklets] == [(0, 0.5), (2, 0.8)]
    assert [(row.known, row.started) for row in found.counts["cat"]] == [(0, 1), (1, 1)]


def test_nouns_do_not_see_each_other(video: Video) -> None:
    cats, dogs = {0: make_instances((1, 1, 0.5))}, {0: make_instances((1, 1, 0.9), (8, 0, 0.3))}
    found = track(video, {"cat": cats, "dog": dogs})
    assert [(one.label, one.id) for one in found.tracklets] == [("cat", "0"), ("dog", "1"), ("dog", "2")]
    alone = track(video, {"dog": dogs})
    assert [one.runs for one in found.tracklets[1:]] == [one.runs for one in alone.tracklets]


def test_instances_beyond_the_cap_are_counted(video: Video) -> None:
    found = track(video, {"cat": {0: make_instances((0, 0, 0.9)), 2: make_instances((5, 0, 0.9))}}, max_instances=1)
    assert len(found.tracklets) == 1
    assert found.counts["cat"][1].capped == 1
    assert found.report()["cat"][1]["capped"] == 1


def test_more_instances_than_fit_at_once_give_what_each_gives_alone(video: Video) -> None:
    places = [(left, top, 0.9 - 0.01 * left) for top in (0, 4) for left in range(0, 10, 1)]
    found = track(video, {"cat": {1: make_instances(*places)}}, associate_iou=1.0)
    assert len(found.tracklets) > 8
    first = track(video, {"cat": {1: make_instances(places[0])}})
    assert found.tracklets[0].runs == first.tracklets[0].runs


def columns(masklets: Masklets) -> list[list[int]]:
    """Return the first marked column of every frame."""
    return [[int(mask.any(axis=0).argmax()) for mask in decode(one.runs, one.size)] for one in masklets.tracklets]


def test_a_worse_detection_over_a_better_one_is_suppressed_by_its_mask(video: Video) -> None:
    # Their masks share 3 of 15 pixels, an IoU of 0.2.
    both = {0: make_instances((0, 0, 0.5), (2, 0, 0.9))}
    found = track(video, {"cat": both}, mask_iou=0.2)
    assert [one.confidence for one in found.tracklets] == pytest.approx([0.9, 0.5])
    found = track(video, {"cat": both}, mask_iou=0.19)
    assert [one.confidence for one in found.tracklets] == pytest.approx([0.9])
    assert (found.counts["cat"][0].suppressed, found.counts["cat"][0].started) == (1, 1)


def test_a_noun_with_masklets_wants_surer_ones(video: Video) -> None:
    cats = {1: make_instances((0, 0, 0.5), (8, 0, 0.4)), 3: make_instances((4, 3, 0.75), (8, 5, 0.65))}
    found = track(video, {"cat": cats}, new_score=0.7)
    # In the first frame that shows any, all start.
    assert [(one.key_frame, round(one.confidence, 2)) for one in found.tracklets] == [(1, 0.5), (1, 0.4), (3, 0.75)]
    assert [row.unsure for row in found.counts["cat"]] == [0, 1]


SURE = {"detect_frames": 2, "recondition_frames": 2, "recondition_iou": 0.5, "recondition_score": 0.75}


def test_a_masklet_starts_anew_from_a_sure_detection_of_itself(video: Video) -> None:
    # By frame 2 the object has moved two rows down; the detection lies one column to the right, an IoU of 6 / 12.
    cats = {0: make_instances((1, 0, 0.9)), 2: make_instances((2, 2, 0.75)), 4: make_instances((2, 4, 0.5))}
    found = track(video, {"cat": cats}, **SURE)
    assert (tops(found), columns(found)) == ([[0, 1, 2, 3, 4]], [[1, 1, 2, 2, 2]])
    assert [row.renewed for row in found.counts["cat"]] == [0, 1, 0]
    assert found.tracklets[0].propagation[2] == 1
    assert columns(track(video, {"cat": cats}, **SURE | {"recondition_iou": 0.51})) == [[1] * 5]
    assert columns(track(video, {"cat": cats}, **SURE | {"recondition_score": 0.76})) == [[1] * 5]
    assert columns(track(video, {"cat": cats})) == [[1] * 5]


def test_backwards_too_and_each_for_itself(video: Video) -> None:
    cats = {
        0: make_instances((1, 4, 0.85), (8, 4, 0.85)),
        2: make_instances((2, 2, 0.9), (7, 2, 0.9)),
    }
    # Going backwards they move down as well: both are in row 4 in frame 0.
    found = track(video, {"cat": {2: cats[2], 0: FrameInstances(make_boxes(), ())}}, **SURE)
    assert columns(found) == [[2] * 5, [7] * 5]
    found = track(video, {"cat": cats}, **SURE | {"associate_iou": 0.5})
    assert [one.key_frame for one in found.tracklets] == [0, 0, 2, 2]
    assert columns(found)[2:] == [[1, 2, 2, 2, 2], [8, 7, 7, 7, 7]]


@pytest.mark.parametrize(("frames", "every"), [("first", 16), (15, 16)])
def test_frames_that_the_detector_does_not_see_renew_nothing(frames: object, every: int) -> None:
    with pytest.raises(ConfigError, match=f"recondition_frames {every}: .* detect_frames {frames}; give a multiple"):
        MaskletSettings(detect_frames=frames, recondition_frames=every)  # type: ignore[arg-type]


def test_nothing_found_gives_no_masklet(video: Video) -> None:
    empty = FrameInstances(make_boxes(), ())
    assert track(video, {"cat": {0: empty}}).tracklets == ()
    assert track(video, {}).tracklets == ()


def test_boxes_for_an_engine_that_starts_from_masks_are_refused(video: Video) -> None:
    with pytest.raises(InputError, match="v: detector d gives boxes alone"):
        track(video, {"cat": {0: FrameInstances(make_boxes((1, 1, 4, 4, 0.9)))}})


def test_one_frame_gives_a_masklet_of_one_frame(tmp_path: Path) -> None:
    single = write_video(tmp_path, "v", ("0",), FRAME)
    assert tops(track(single, {"cat": {0: make_instances((4, 1, 0.7))}})) == [[1]]


def test_boxes_start_sam2_with_its_own_masks(tmp_path: Path) -> None:
    video = make_video(tmp_path, 4)
    engine = Sam2Engine(make_network(), Sam2Settings(NETWORK, tmp_path), device=torch.device("cpu"))
    tracker = MaskletTracker(engine, MaskletSettings(), takes_boxes=True, detector="d")
    boxes = make_boxes((2, 10, 18, 26, 0.9), (30, 5, 50, 30, 0.6))
    found = tracker.track(video, {"square": {1: FrameInstances(boxes)}})
    counts = found.counts["square"][0]
    assert counts.used == 2
    assert counts.empty + counts.known + counts.started == 2
    assert found.tracklets
    for masklet in found.tracklets:
        assert masklet.size == SIZE
        place = [0.9, 0.6].index(round(masklet.confidence, 1))
        alone = tracker.track(video, {"square": {1: FrameInstances(make_boxes((*boxes.boxes[place].tolist(), 0.9)))}})
        assert masklet.runs == alone.tracklets[0].runs
