"""Views of a video that are averaged: mirrored frames and words, other sizes, frames taken apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from runners.base import ModelSettings
from runners.networks.text.text_encoder import TextFeatures
from runners.networks.text.tokenizers import SmallTokens
from runners.passes.clip_runner import ClipProtocol, ClipRunner
from runners.passes.schedule import Answer, Join, Pass, plan_passes
from runners.registry import RUNNERS
from runners.test_time import TestTime, View, mirror_words
from rvos.errors import ConfigError
from rvos.settings import load
from rvos.videos import Expression, Video
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe

WIDTH = 16
LOOKS = [Pass(View(), range(1)), Pass(View(mirrored=True), range(1))]


def join(passes: Sequence[Pass], answers: Sequence[Answer]) -> Answer:
    """Return the joined answers for one expression."""
    joined = Join(sum(len(one.frames) for one in passes if one.view == passes[0].view))
    for one, answer in zip(passes, answers, strict=True):
        joined.add(one, [answer])
    (found,) = joined.finish()
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the dog on the left of the man", "the dog on the right of the man"),
        ("leftmost, then right-hand and Right", "rightmost, then left-hand and Left"),
        ("moving leftwards, a lefthand turn", "moving rightwards, a righthand turn"),
        ("the bright leftover", "the bright leftover"),
        ("from LEFT to right", "from RIGHT to left"),
    ],
)
def test_left_and_right_change_places_where_they_are_words(text: str, expected: str) -> None:
    assert mirror_words(text) == expected
    assert mirror_words(expected) == text


def test_views_are_all_combinations_and_the_first_is_the_ordinary_one() -> None:
    found = TestTime(flip=True, sizes=(96, 128), steps=(1, 2)).views()
    assert len(found) == len(set(found)) == 8
    assert found[0] == View(False, 96, 1)
    assert TestTime(flip=True).views() == (View(), View(mirrored=True))


def test_a_step_takes_every_frame_once() -> None:
    assert list(View(step=2).clips(5)) == [range(0, 5, 2), range(1, 5, 2)]
    assert list(View(step=4).clips(2)) == [range(0, 2, 4), range(1, 2, 4)]
    parts = [(torch.tensor([[[0.0]], [[2.0]]]), torch.tensor([0.0, 2.0]))]
    parts.append((torch.tensor([[[1.0]]]), torch.tensor([1.0])))
    logits, scores = join(plan_passes(3, (View(step=2),), None), parts)
    assert logits.flatten().tolist() == scores.tolist() == [0.0, 1.0, 2.0]


def test_probabilities_and_scores_are_averaged_not_logits() -> None:
    sure, unsure = torch.full((1, 2, 2), 20.0), torch.full((1, 2, 2), -0.5)
    one = (sure, torch.tensor([0.9]))
    assert torch.equal(join(LOOKS[:1], [one])[0], sure)
    logits, scores = join(LOOKS, [one, (unsure, torch.tensor([0.5]))])
    expected = (1 + torch.tensor(-0.5).sigmoid()) / 2
    assert torch.allclose(logits.sigmoid(), expected.expand_as(logits), atol=1e-5)
    assert scores.tolist() == pytest.approx([0.7])
    assert torch.equal(sure, torch.full((1, 2, 2), 20.0))


def test_views_of_other_sizes_come_to_the_first_ones_resolution() -> None:
    views = [(torch.zeros(1, 2, 4), torch.zeros(1)), (torch.full((1, 4, 8), 2.0), torch.zeros(1))]
    logits, _ = join(LOOKS, views)
    assert logits.shape == (1, 2, 4)


class SideNetwork:
    """Marks the bright columns on the side that the sentence names; it remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[tuple[int, ...], str]] = []
        self._asked = ""

    def encode_video(self, frames: Tensor) -> Tensor:
        self.seen.append((tuple(frames.shape[1:]), self._asked))
        return frames

    def encode_text(self, ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        left = ids[0].tolist() == SmallTokens().encode(["the left"])[0][0].tolist()
        return TextFeatures(torch.full((1, 1, 1), float(left)), attention_mask, ids.float(), ids.float())

    def choose(self, visual: Tensor, texts: Sequence[TextFeatures]) -> Iterator[tuple[Tensor, Tensor]]:
        bright = visual[0, :, 0, ::4, ::4] > 0
        half = bright.shape[-1] // 2
        for text in texts:
            is_left = bool(text.words.item())
            side = torch.zeros_like(bright)
            side[..., :half] = is_left
            side[..., half:] = not is_left
            logits = torch.where(bright & side, 8.0, -8.0)
            yield logits, logits.flatten(1).amax(1).sigmoid()


@pytest.fixture
def video(tmp_path: Path) -> Video:
    paths = []
    for index in range(3):
        frame = Image.new("RGB", (WIDTH, 8))
        frame.paste((255, 255, 255), (0, 0, 4, 8))
        frame.paste((255, 255, 255), (12, 0, 16, 8))
        paths.append(tmp_path / f"{index}.png")
        frame.save(paths[-1])
    return Video("v", ("0", "1", "2"), (Expression("0", "the left"), Expression("1", "the right")), tuple(paths))


def run(video: Video, test_time: TestTime | None, **options: Any) -> tuple[SideNetwork, list[Any]]:
    settings = ModelSettings("soc", Path("none"), test_time=test_time, **options)
    network, clips = SideNetwork(), ClipProtocol(settings, short_side=8)
    runner = ClipRunner(network, network.choose, SmallTokens(), torch.device("cpu"), clips)
    return network, list(runner.segment(video, video.expressions))


def test_a_mirrored_look_finds_the_same_side(video: Video) -> None:
    plain, averaged = run(video, None)[1], run(video, TestTime(flip=True))[1]
    for one, other in zip(plain, averaged, strict=True):
        assert one.masks().any()
        assert (one.masks() == other.masks()).all()
        assert one.scores.tolist() == pytest.approx(other.scores.tolist())


def test_every_size_and_step_is_looked_at(video: Video) -> None:
    network, found = run(video, TestTime(sizes=(8, 16), steps=(1, 2)))
    shapes = [shape for shape, _ in network.seen]
    assert shapes == [(3, 3, 8, 16), (2, 3, 8, 16), (1, 3, 8, 16), (3, 3, 16, 32), (2, 3, 16, 32), (1, 3, 16, 32)]
    assert all(sequence.masks().any() for sequence in found)


def test_windows_are_cut_from_the_frames_of_a_step(video: Video) -> None:
    network, found = run(video, TestTime(steps=(2,)), window=1)
    assert [shape[0] for shape, _ in network.seen] == [1, 1, 1]
    plain = run(video, None)[1]
    assert [one.runs for one in found] == [one.runs for one in plain]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "asks for nothing"),
        ({"steps": [1]}, "asks for nothing"),
        ({"sizes": [96, 96]}, "sizes: one value stands there twice"),
        ({"steps": []}, "steps is empty"),
        ({"flip": True, "flips": True}, "unknown key 'flips'"),
        ({"steps": [0]}, "steps"),
    ],
)
def test_what_makes_no_sense_is_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(TestTime, values, where="recipe")
    assert "\n" not in str(caught.value)


def test_a_network_of_single_frames_has_no_steps() -> None:
    RUNNERS["uninext"].check(ModelSettings("uninext", Path("x"), test_time=TestTime(flip=True, sizes=(320, 480))))
    with pytest.raises(ConfigError, match=r"uninext: works frame by frame; drop test_time\.steps"):
        RUNNERS["uninext"].check(ModelSettings("uninext", Path("x"), test_time=TestTime(flip=True, steps=(1, 2))))


def test_a_recipe_gives_it_and_results_without_it_keep_their_settings(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "dataset: {format: ref-youtube-vos, root: data, split: valid}\nworkspace: runs\ngroups: {by: none}\nmodels:\n"
        "  plain: {runner: soc, checkpoint: soc.pth}\n"
        "  flipped: {runner: soc, checkpoint: soc.pth, test_time: {flip: true, sizes: [96, 128]}}\n"
        "stages:\n  stage1:\n    both: {fuse: [plain, flipped], threshold: 1}\nsubmission: {node: both}\n"
    )
    read = read_recipe(recipe)
    build_graph(read)
    plain, flipped = (read.node(name) for name in ("plain", "flipped"))
    assert "test_time" not in str(plain.settings())
    assert flipped.settings()["test_time"] == {"flip": True, "sizes": [96, 128]}  # type: ignore[index]
    assert flipped.protocol() == "official: all frames of a video at once; 4 views (mirrored too; short sides 96, 128)"
