"""Synthetic videos: exact repetition, truth of every expression, twins that only motion tells apart."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from runners.networks.text.tokenizers import SmallTokens
from rvos.errors import InputError
from rvos_fusion.synthetic.language.vocabulary import WORDS
from rvos_fusion.synthetic.synthesis import SyntheticVideo, make_video

N_VIDEOS = 30


@pytest.fixture(scope="module")
def videos() -> list[SyntheticVideo]:
    return [make_video(11, index) for index in range(N_VIDEOS)]


def test_same_arguments_give_the_same_bytes(videos: list[SyntheticVideo]) -> None:
    again = make_video(11, 4)
    assert again.id == videos[4].id
    assert again.frames.tobytes() == videos[4].frames.tobytes()
    assert again.index_masks.tobytes() == videos[4].index_masks.tobytes()
    assert again.expressions == videos[4].expressions


def test_another_seed_gives_another_video(videos: list[SyntheticVideo]) -> None:
    other = make_video(12, 0)
    assert other.id != videos[0].id
    assert other.expressions != videos[0].expressions


def test_shapes_and_counts(videos: list[SyntheticVideo]) -> None:
    for video in videos:
        n_frames = len(video.frames)
        assert 8 <= n_frames <= 16
        assert video.frames.shape == (n_frames, 128, 224, 3)
        assert video.frames.dtype == np.uint8
        assert video.index_masks.shape == (n_frames, 128, 224)
        assert 3 <= len(video.categories) <= 6
        assert set(np.unique(video.index_masks)) == set(range(len(video.categories) + 1))


def test_two_expressions_an_object_in_neighbouring_order(videos: list[SyntheticVideo]) -> None:
    odd = 0
    for video in videos:
        ids = [expression.object_id for expression in video.expressions]
        odd += len(ids) % 2
        for first in range(0, len(ids) - 1, 2):
            assert ids[first] == ids[first + 1]
            assert video.expressions[first].text != video.expressions[first + 1].text
        assert set(ids) == set(range(1, len(video.categories) + 1))
    assert 0 < odd < N_VIDEOS / 3


def test_expressions_of_all_kinds(videos: list[SyntheticVideo]) -> None:
    kinds = Counter(expression.kind for video in videos for expression in video.expressions)
    total = sum(kinds.values())
    assert set(kinds) == {"appearance", "place", "relation", "motion"}
    assert all(count > 0.1 * total for count in kinds.values())


def test_an_expression_names_one_object_of_its_video(videos: list[SyntheticVideo]) -> None:
    for video in videos:
        objects: dict[str, set[int]] = {}
        for expression in video.expressions:
            objects.setdefault(expression.text, set()).add(expression.object_id)
        assert all(len(ids) == 1 for ids in objects.values())


def test_every_word_is_in_the_vocabulary(videos: list[SyntheticVideo]) -> None:
    used = {word for video in videos for expression in video.expressions for word in expression.text.split()}
    assert used <= set(WORDS)
    assert list(WORDS) == sorted(set(WORDS))


def test_the_small_tokeniser_knows_every_word() -> None:
    assert set(WORDS) <= SmallTokens().words


def test_every_object_shows_itself_in_half_of_the_frames(videos: list[SyntheticVideo]) -> None:
    for video in videos:
        for index in range(1, len(video.categories) + 1):
            areas = (video.index_masks == index).sum(axis=(1, 2))
            assert np.mean(areas > 0) >= 0.5


@pytest.mark.parametrize(
    ("words", "axis", "sign"),
    [
        (("moving left", "to the left", "heading left"), 2, -1),
        (("moving right", "to the right", "heading right"), 2, 1),
        (("moving up", "upwards", "climbing up"), 1, -1),
        (("moving down", "downwards", "heading down"), 1, 1),
    ],
    ids=["left", "right", "up", "down"],
)
def test_masks_move_as_the_expression_says(
    videos: list[SyntheticVideo], words: tuple[str, ...], axis: int, sign: int
) -> None:
    said = [(v, e) for v in videos for e in v.expressions if e.kind == "motion" and e.text.endswith(words)]
    assert said
    for video, expression in said:
        points = np.argwhere(video.index_masks == expression.object_id)
        shown = np.unique(points[:, 0])
        first, last = (points[points[:, 0] == frame, axis].mean() for frame in (shown[0], shown[-1]))
        assert sign * (last - first) > 8


def test_repeats_in_another_process(videos: list[SyntheticVideo]) -> None:
    script = (
        "import hashlib; from rvos_fusion.synthetic.synthesis import make_video; v = make_video(11, 7); "
        "print(hashlib.sha256(v.frames.tobytes() + repr(v.expressions).encode()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=600)
    here = hashlib.sha256(videos[7].frames.tobytes() + repr(videos[7].expressions).encode()).hexdigest()
    assert done.stdout.strip() == here


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1)])
def test_negative_arguments_are_refused(seed: int, index: int) -> None:
    with pytest.raises(InputError, match="negative"):
        make_video(seed, index)


def test_a_cut_puts_the_same_things_before_another_background() -> None:
    video = make_video(11, 0, has_cut=True)
    cut = video.scene.cut
    assert 0 < cut < len(video.frames)
    jump = np.abs(np.diff(video.scene.camera, axis=0))
    assert jump[cut - 1, 0] == jump[:, 0].max() >= 20
    background = (video.index_masks == 0)[cut - 1 : cut + 1].all(axis=0)
    before, after = (video.frames[index][background].astype(int) for index in (cut - 1, cut))
    assert np.abs(before - after).mean() > 10
    assert set(np.unique(video.index_masks[:cut])) == set(np.unique(video.index_masks[cut:]))
