"""Labelled videos and the clips drawn from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_videos import SIZE, write_small_videos

from rvos.errors import InputError
from rvos_fusion.training.data.clip_augmentation import Augmentation, Clip, augment, crop, distort, flip, resize
from rvos_fusion.training.data.clips import VideoClips, VideoClipSettings, collate
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.targets import ClipTargets, boxes_of
from rvos_fusion.training.data.videos import VideoFolder, objects_seen


@pytest.fixture
def folder(tmp_path: Path) -> VideoFolder:
    return VideoFolder(write_small_videos(tmp_path / "data"), in_memory=True)


def clip_of(text: str = "the left one", frames: int = 2) -> Clip:
    random = np.random.default_rng(0)
    masks = np.zeros((frames, 40, 60), bool)
    masks[:, 5:20, 10:30] = True
    return Clip(random.integers(0, 256, (frames, 40, 60, 3), dtype=np.uint8), masks, text)


def test_videos_know_frames_labels_categories_and_kinds(folder: VideoFolder) -> None:
    first, _ = open_videos(folder)
    assert first.frames([0, 3]).shape == (2, *SIZE, 3)
    assert [objects_seen(label) for label in first.labels([0, 1])] == [[1], [1, 2]]
    assert first.categories == {"1": "square", "2": "square"}
    assert first.kinds == {"0": "appearance", "1": "motion"}
    assert first.video.expressions[1].object_ids == ("2",)


def test_missing_annotation_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no expression file of split train"):
        open_videos(VideoFolder(tmp_path))


def test_missing_mask_is_named(folder: VideoFolder) -> None:
    (folder.root / "train/Annotations/video0/00005.png").unlink()
    with pytest.raises(InputError, match=r"00005\.png: no such file"):
        open_videos(folder)[0].labels([0, 1])


@pytest.mark.parametrize(
    ("sampling", "expected"),
    # Object 2 is missing in frame 0, so windows of one frame leave that one out.
    [("around", 2 * 2 * 2), ("windows", 2 * (6 + 5)), ("spread", 2 * 2)],
)
def test_number_of_samples(folder: VideoFolder, sampling: str, expected: int) -> None:
    settings = VideoClipSettings(folder, 1, sampling, Augmentation())  # type: ignore[arg-type]
    assert len(VideoClips(settings)) == expected


def test_sample_without_its_object_is_replaced(folder: VideoFolder) -> None:
    clips = VideoClips(VideoClipSettings(folder, 1, "around", Augmentation(), step=100))
    drawn = [clips.clip(index, np.random.default_rng(index)) for index in range(len(clips))]
    assert all(clip.masks.any() for clip in drawn)
    assert {clip.text for clip in drawn} == {"the red square on the left"}


def test_the_same_seed_gives_the_same_clip(folder: VideoFolder) -> None:
    settings = VideoClipSettings(folder, 3, "around", Augmentation(flip=0.5, photometric=True, short_sides=(32, 40)))
    one, two = (VideoClips(settings).clip(3, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one.frames, two.frames)
    assert np.array_equal(one.masks, two.masks)


def test_expressions_of_a_clip_share_its_frames(folder: VideoFolder) -> None:
    augmentation = Augmentation(flip=0.5, short_sides=(32, 40))
    clips = VideoClips(VideoClipSettings(folder, 2, "spread", augmentation))
    for seed in range(6):
        drawn = clips.clips(1, np.random.default_rng(seed), expressions=3)
        # The video has two expressions, so the first comes again.
        assert drawn[0].text == drawn[2].text != drawn[1].text
        assert all(np.array_equal(clip.frames, drawn[0].frames) for clip in drawn)
        assert not (drawn[0].masks & drawn[1].masks).any()
        # Mirrored together or not at all: the texts are "the blue square moving left" and "the red ... on the left".
        assert len({"right" in clip.text for clip in drawn}) == 1


def test_batches_keep_shared_frames_once() -> None:
    clips = [clip_of(text, 3) for text in "abcd"]
    batch = collate(clips, expressions=2)
    assert batch.frames.shape[:2] == batch.padding_mask.shape[:2] == (2, 3)
    assert batch.texts == ("a", "b", "c", "d")
    assert batch.targets.masks.shape[:2] == (4, 3)
    assert len(batch.sizes) == 4


def test_flip_exchanges_sides_in_picture_and_text() -> None:
    clip = clip_of("the leftmost bright thing left of the right one")
    flipped = flip(clip)
    # Plain substrings, as officially: "bright" becomes "bleft".
    assert flipped.text == "the rightmost bleft thing right of the left one"
    assert np.array_equal(flipped.masks, clip.masks[:, :, ::-1])
    again = flip(flipped)
    assert again.text == clip.text
    assert np.array_equal(again.frames, clip.frames)


def test_resize_keeps_to_the_longest_side() -> None:
    assert resize(clip_of(), 20).masks.shape == (2, 20, 30)
    assert resize(clip_of(), 80, longest=90).masks.shape == (2, 60, 90)
    assert resize(clip_of(), 80, longest=90).frames.shape == (2, 60, 90, 3)


def test_crops_stay_inside() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        height, width = crop(clip_of(), (24, 50), random).masks.shape[1:]
        assert 24 <= height <= 40
        assert 24 <= width <= 50


def test_distortion_changes_colours_only() -> None:
    frame = clip_of().frames[0]
    changed = [distort(frame, np.random.default_rng(seed)) for seed in range(10)]
    assert all(picture.shape == frame.shape and picture.dtype == np.uint8 for picture in changed)
    assert sum(not np.array_equal(picture, frame) for picture in changed) > 7


def test_no_augmentation_changes_nothing() -> None:
    clip = clip_of()
    assert augment(clip, Augmentation(), np.random.default_rng(0)) is clip


def test_batches_are_padded_with_background() -> None:
    clips = [clip_of(), resize(clip_of("another"), 20)]
    batch = collate(clips)
    assert batch.frames.shape == (2, 2, 3, 64, 64)
    assert batch.sizes.tolist() == [[40, 60], [20, 30]]
    assert not batch.padding_mask[0, 0, :40, :60].any()
    assert bool(batch.padding_mask[1, 0, 20:].all())
    assert float(batch.frames[1, :, :, 20:].abs().max()) == 0
    assert not batch.targets.masks[1, :, 20:].any()
    mean = torch.tensor([0.485, 0.456, 0.406])
    deviation = torch.tensor([0.229, 0.224, 0.225])
    expected = (torch.tensor(clips[0].frames[1, 7, 9]) / 255 - mean) / deviation
    torch.testing.assert_close(batch.frames[0, 1, :, 7, 9], expected)


def test_boxes_are_inclusive_and_normalised_to_the_unpadded_size() -> None:
    masks = torch.zeros(1, 2, 64, 64, dtype=torch.bool)
    masks[0, 0, 5:20, 10:30] = True
    boxes = boxes_of(masks, torch.tensor([[40, 60]]))
    torch.testing.assert_close(boxes[0, 0], torch.tensor([19.5 / 60, 12 / 40, 19 / 60, 14 / 40]))
    assert boxes[0, 1].tolist() == [0, 0, 0, 0]


def test_targets_of_other_shapes_are_refused() -> None:
    batch = collate([clip_of()])
    with pytest.raises(InputError, match="targets: masks"):
        ClipTargets(batch.targets.masks, batch.targets.boxes[:, :1], batch.targets.visible, batch.targets.labels)


def test_frames_and_masks_of_unequal_sizes_are_refused() -> None:
    clip = clip_of()
    with pytest.raises(InputError, match="check the annotation"):
        replace(clip, masks=clip.masks[:, 1:])


@pytest.mark.parametrize("layout", ["youtube-vos", "davis17", "images"])
def test_layouts_without_expressions(tmp_path: Path, layout: str) -> None:
    root = write_small_videos(tmp_path / "source", n_videos=1)
    pictures, masks = (root / "train" / part for part in ("JPEGImages", "Annotations"))
    if layout == "davis17":
        for part in (pictures, masks):
            (root / part.name).mkdir()
            part.rename(root / part.name / "480p")
        (root / "ImageSets/2017").mkdir(parents=True)
        (root / "ImageSets/2017/train.txt").write_text("video0\n", encoding="utf-8")
    elif layout == "images":
        (pictures / "video0").rename(root / "JPEGImages")
        (masks / "video0").rename(root / "Annotations")
    found = open_videos(VideoFolder(root, layout=layout))  # type: ignore[arg-type]
    assert [video.n_frames for video in found] == ([1] * 6 if layout == "images" else [6])
    assert objects_seen(found[-1].labels([found[-1].n_frames - 1])) == [1, 2]
    assert found[0].frames([0]).shape == (1, *SIZE, 3)


def test_missing_layout_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.txt: cannot be read"):
        open_videos(VideoFolder(tmp_path, layout="davis17"))


def test_sentences_about_motion_are_drawn_as_often_as_the_settings_say(folder: VideoFolder) -> None:
    once, often = (VideoClips(VideoClipSettings(folder, 1, "spread", Augmentation(), motion=n)) for n in (1, 4))
    n_motion = sum(kind == "motion" for video in once.videos for kind in video.kinds.values())
    assert n_motion > 0
    assert len(often) == len(once) + 3 * n_motion
