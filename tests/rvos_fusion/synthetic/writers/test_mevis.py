"""The MeViS-shaped set: read as such, with sentences that mean nothing in their video."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rvos.errors import InputError
from rvos.formats import open_dataset
from rvos_fusion.synthetic.language.sentences import NOUNS
from rvos_fusion.synthetic.synthesis import make_video
from rvos_fusion.synthetic.writers.files import drop_sentences
from rvos_fusion.synthetic.writers.mevis import write_mevis


def test_the_set_is_read_with_its_truth_and_sentences_without_target(tmp_path: Path) -> None:
    n_expressions, _ = write_mevis(tmp_path, seed=3, n_videos=4, no_target=0.3)
    dataset = open_dataset("mevis", tmp_path, "valid_u")
    everything = [(video, expression) for video in dataset.videos for expression in video.expressions]
    assert len(everything) == n_expressions
    without = [(video, expression) for video, expression in everything if not expression.has_target]
    assert 0 < len(without) < n_expressions
    for video, expression in everything:
        assert dataset.read_truth(video).masks(expression).any() == expression.has_target


def test_a_sentence_about_several_objects_lists_them_all(tmp_path: Path) -> None:
    write_mevis(tmp_path, seed=3, n_videos=4)
    videos = {make_video(3, index).id: make_video(3, index) for index in range(4)}
    dataset, n_several = open_dataset("mevis", tmp_path, "valid_u"), 0
    for video in dataset.videos:
        truth = videos[video.id]
        shown = dataset.read_truth(video)
        first = min(int(name) for expression in video.expressions for name in expression.object_ids)
        singles = {expression.text for expression in truth.expressions}
        for expression in video.expressions:
            values = [int(name) - first + 1 for name in expression.object_ids]
            np.testing.assert_array_equal(shown.masks(expression), np.isin(truth.index_masks, values))
            assert (len(values) == 1) == (expression.text in singles and expression.has_target)
            n_several += len(values) > 1
    assert n_several >= 8


def test_the_categories_of_all_objects_are_written(tmp_path: Path) -> None:
    write_mevis(tmp_path, seed=3, n_videos=2)
    listed = json.loads((tmp_path / "valid_u" / "meta.json").read_text())["videos"]
    for index in range(2):
        video = make_video(3, index)
        assert [entry["category"] for entry in listed[video.id]["objects"].values()] == list(video.categories)


def test_a_sentence_without_target_names_a_shape_that_the_video_does_not_show(tmp_path: Path) -> None:
    write_mevis(tmp_path, seed=3, n_videos=4, no_target=0.3)
    shown = {make_video(3, index).id: make_video(3, index).categories for index in range(4)}
    for video in open_dataset("mevis", tmp_path, "valid_u").videos:
        for expression in video.expressions:
            if expression.kind == "absent":
                assert not expression.has_target
                words = set(expression.text.split())
                named = [shape for shape, nouns in NOUNS.items() if words & set(nouns)]
                assert named
                assert not set(named) & set(shown[video.id])


@pytest.mark.parametrize(("n_videos", "no_target"), [(0, 0.1), (1, 1.0), (1, -0.1)])
def test_impossible_wishes_are_refused(tmp_path: Path, n_videos: int, no_target: float) -> None:
    with pytest.raises(InputError, match="no_target"):
        write_mevis(tmp_path, seed=3, n_videos=n_videos, no_target=no_target)


def test_dropping_keeps_order_and_one_sentence() -> None:
    video = make_video(3, 0)
    texts = [expression.text for expression in video.expressions]
    some = drop_sentences(video, 0.5, random=np.random.default_rng(0)).expressions
    assert [text for text in texts if text in {e.text for e in some}] == [e.text for e in some]
    assert 0 < len(some) < len(texts)
    assert len(drop_sentences(video, 1 - 1e-12, random=np.random.default_rng(0)).expressions) == 1
    assert drop_sentences(video, 0.0, random=np.random.default_rng(0)).expressions == video.expressions
