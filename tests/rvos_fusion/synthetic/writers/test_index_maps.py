"""Synthetic sets with index maps: objects without sentences, and a folder that says itself where its parts lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rvos.errors import InputError
from rvos.formats import open_dataset
from rvos_fusion.synthetic.synthesis import make_video, video_id
from rvos_fusion.synthetic.writers.index_maps import write_custom, write_mosev2

SEED = 5
Write = Callable[..., tuple[int, int]]


def test_every_object_of_mosev2_has_the_masks_that_were_drawn(tmp_path: Path) -> None:
    n_objects, n_frames = write_mosev2(tmp_path, seed=SEED, n_videos=2)
    dataset = open_dataset("mosev2", tmp_path)
    assert n_objects == sum(len(make_video(SEED, index).categories) for index in range(2)) == dataset.n_expressions
    assert n_frames == sum(video.n_frames for video in dataset.videos)
    for index in range(2):
        drawn, video = make_video(SEED, index), dataset.video(video_id(SEED, index))
        truth = dataset.read_truth(video)
        for number, one in enumerate(video.expressions, start=1):
            np.testing.assert_array_equal(truth.masks(one), drawn.index_masks == number)


def test_a_described_set_has_the_sentences_that_were_drawn(tmp_path: Path) -> None:
    assert write_custom(tmp_path, seed=SEED, n_videos=1, split="train")[0] == len(make_video(SEED, 0).expressions)
    dataset = open_dataset("custom", tmp_path, "train")
    (video,), drawn = dataset.videos, make_video(SEED, 0)
    truth = dataset.read_truth(video)
    for one, wanted in zip(video.expressions, drawn.expressions, strict=True):
        assert (one.text, one.kind, one.object_ids) == (wanted.text, wanted.kind, (str(wanted.object_id),))
        np.testing.assert_array_equal(truth.masks(one), drawn.index_masks == wanted.object_id)


@pytest.mark.parametrize("write", [write_mosev2, write_custom])
def test_a_folder_of_other_videos_is_refused(tmp_path: Path, write: Write) -> None:
    write(tmp_path, seed=SEED, n_videos=1)
    with pytest.raises(InputError, match="holds 1 other video, first"):
        write(tmp_path, seed=SEED + 1, n_videos=1)
