"""What frames are asked: sentences about several objects or none, nouns, and the objects that the losses see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rvos.formats import open_dataset
from rvos.videos import Video
from rvos_fusion.synthetic.writers.mevis import write_mevis
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.videos import LabelledVideo, VideoFolder, objects_seen
from rvos_fusion.training.members.uninext.questions import (
    NounQuestions,
    Question,
    draw_nouns,
    gather_objects,
    nouns_of,
    sentences_of,
    texts_of,
)

NOUNS = NounQuestions(0.5, {"circle": ("ball", "balls"), "square": ("box",)}, ("thing",))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> VideoFolder:
    root = tmp_path_factory.mktemp("mevis")
    write_mevis(root, seed=3, n_videos=2, split="train", no_target=0.3)
    return VideoFolder(root, layout="mevis")


@pytest.fixture(scope="module")
def videos(folder: VideoFolder) -> list[LabelledVideo]:
    return open_videos(folder)


def test_a_mevis_folder_has_index_masks_and_sentences_about_several(
    folder: VideoFolder, videos: list[LabelledVideo]
) -> None:
    dataset = open_dataset("mevis", folder.root, "train")
    for video, plain in zip(videos, sorted(dataset.videos, key=lambda video: video.id), strict=True):
        labels, truth = video.labels(range(video.n_frames)), dataset.read_truth(plain)
        assert set(video.categories) == {str(number) for number in objects_seen(labels)}
        for one, original in zip(video.video.expressions, plain.expressions, strict=True):
            own = np.isin(labels, [int(name) for name in one.object_ids])
            np.testing.assert_array_equal(own, truth.masks(original))
    counts = {len(one.object_ids) for video in videos for one in video.video.expressions}
    assert {0, 1, 2} <= counts


def test_sentences_of_nothing_in_the_frame_are_asked_only_where_they_are_wanted(videos: list[LabelledVideo]) -> None:
    video = videos[0]
    everything = sentences_of(video, [1, 2], negatives=True)
    assert len(everything) == len(video.video.expressions)
    assert {len(question.objects) for question in everything} >= {0, 1}
    shown = sentences_of(video, [1, 2], negatives=False)
    assert shown == [question for question in everything if question.objects]
    assert all(set(question.objects) <= {1, 2} for question in shown)


def labelled(*categories: str) -> LabelledVideo:
    """A video that has nothing but categories of objects 1, 2, ..."""
    names = {str(number): category for number, category in enumerate(categories, start=1)}
    return LabelledVideo(Video("v", (), (), ()), [], categories=names)


def test_a_noun_means_all_objects_of_its_category_that_the_frame_shows() -> None:
    video = labelled("circle", "star", "circle", "circle")
    assert nouns_of(video, [1, 2, 3], NOUNS) == [
        Question("ball", (1, 3)),
        Question("balls", (1, 3)),
        Question("box", ()),
        Question("star", (2,)),
        Question("thing", (1, 2, 3)),
    ]


def test_drawn_nouns_are_as_many_as_asked_for_and_some_name_nothing() -> None:
    video = labelled("circle", "star")
    drawn = [draw_nouns(video, [1, 2], NOUNS, 3, random=np.random.default_rng(seed)) for seed in range(60)]
    assert all(len(questions) == 3 for questions in drawn)
    absent = sum(not question.objects for questions in drawn for question in questions)
    assert 0 < absent < 60


def test_an_object_is_called_by_its_sentences_and_its_nouns(videos: list[LabelledVideo]) -> None:
    video = videos[0]
    own = [one.text for one in video.video.expressions if "1" in one.object_ids]
    assert texts_of(video, 1, NounQuestions()) == own
    assert texts_of(labelled("circle"), 1, NOUNS) == ["ball", "balls", "thing"]


def test_objects_get_places_of_their_own_and_absent_ones_are_not_visible() -> None:
    label = np.array([[1, 1, 0], [0, 2, 2]], np.uint8)
    other = np.array([[3]], np.uint8)
    asked = [[Question("things", (2, 1)), Question("box", ())], [Question("star", (3,))]]
    found = gather_objects([label, other], asked, (2, 4))
    assert found.masks.shape == (3, 2, 2, 4)
    assert found.masks[0, 0].int().tolist() == [[0, 0, 0, 0], [0, 1, 1, 0]]
    assert found.masks[0, 1].int().tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]
    assert found.masks[2, 0].int().tolist() == [[1, 0, 0, 0], [0, 0, 0, 0]]
    assert found.visible.tolist() == [[True, True], [False, False], [True, False]]
    # Columns 1 to 2 and row 1 of a frame of 2 x 3.
    torch.testing.assert_close(found.boxes[0, 0], torch.tensor([1.5 / 3, 1 / 2, 1 / 3, 0.0]))
