"""UNINEXT's training task: frames with their expressions, the words of every pixel, export to the runner."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from small_videos import SIZE, write_small_videos

from runners.base import ModelSettings
from runners.networks.text.tokenizers import SmallTokens
from runners.registry import build_runner
from rvos.errors import ConfigError
from rvos_fusion.synthetic.writers.mevis import write_mevis
from rvos_fusion.training.config import LoopSettings, OptimiserSettings, TrainingConfig, read_config
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.videos import VideoFolder
from rvos_fusion.training.members.uninext.questions import NounQuestions, texts_of
from rvos_fusion.training.members.uninext.task import UninextBatch, UninextTask, build
from rvos_fusion.training.members.uninext.words import WordTargets, gather, single_words, word_loss, words_of

NETWORK = {
    "backbone": {"blocks": [1, 1, 1, 1], "width": 4, "norm": "group"},
    "text": {"vocabulary": 160, "width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "positions": 32},
    "width": 32,
    "heads": 2,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "feed_forward": 32,
    "queries": 6,
    "fusion_width": 32,
    "fusion_heads": 2,
    "short_side": 48,
    "long_side": 96,
}


def make_config(root: Path, **network: object) -> TrainingConfig:
    folder = {"root": str(root), "split": "train"}
    return TrainingConfig(
        name="try",
        task="uninext",
        optimiser=OptimiserSettings(rate=1e-3),
        loop=LoopSettings(steps=2),
        network={**NETWORK, **network},
        data={"folder": folder, "short_sides": [48], "multiple": 8},
        options={"denoising_groups": 2, "words": 0.5, "weights": {"dense": 1.0}},
        validation={"folder": folder, "expressions": 1},
    )


@pytest.fixture
def task(tmp_path: Path) -> UninextTask:
    torch.manual_seed(0)
    return build(make_config(write_small_videos(tmp_path / "data", n_videos=1, n_frames=3)))


def test_expressions_of_a_frame_share_its_picture(task: UninextTask) -> None:
    batch = task.batch([0, 1], [5, 6])
    # Object 2 is not in frame 0, so that frame has one expression only.
    assert batch.owners.tolist() == [0, 1, 1]
    assert batch.first.tolist() == [0, 1]
    assert batch.clips.frames.shape[:2] == (3, 1)
    torch.testing.assert_close(batch.clips.frames[1], batch.clips.frames[2])
    assert batch.noisy is not None
    assert batch.noisy.shape == (3, 2, 2, 4)


def test_a_sample_depends_on_its_seed_alone(task: UninextTask) -> None:
    one, other = task.batch([1, 2], [7, 8]), task.batch([1, 2], [7, 8])
    torch.testing.assert_close(one.clips.frames, other.clips.frames)
    assert one.clips.texts == other.clips.texts
    torch.testing.assert_close(one.noisy, other.noisy)
    alone = task.batch([1], [7])
    assert one.clips.texts[: len(alone.clips.texts)] == alone.clips.texts


def masks_by_colour(batch: UninextBatch) -> dict[str, torch.Tensor]:
    pairs = zip(batch.clips.texts, batch.clips.targets.masks, strict=True)
    return {text.split()[1]: mask[0] for text, mask in pairs}


def test_mirroring_moves_masks_words_and_text_together(task: UninextTask) -> None:
    drawn = [task.batch([1], [seed]) for seed in range(12)]
    batch = next(batch for batch in drawn if "the red square on the right" in batch.clips.texts)
    plain = next(batch for batch in drawn if "the red square on the left" in batch.clips.texts)
    mirrored, straight = masks_by_colour(batch), masks_by_colour(plain)
    torch.testing.assert_close(mirrored["red"], straight["red"].flip(-1))
    assert batch.words is not None
    torch.testing.assert_close(batch.words.objects[0] == 1, mirrored["red"])


def test_words_of_an_object_are_those_of_its_expressions(task: UninextTask, tmp_path: Path) -> None:
    tokens = SmallTokens()
    (video,) = open_videos(VideoFolder(tmp_path / "data", "train"))
    for mirrored, side in ((False, "left"), (True, "right")):
        row = words_of(texts_of(video, 1, NounQuestions()), tokens, mirrored=mirrored)
        ids, _ = tokens.encode([f"the red square on the {side}"])
        expected = {int(index) - 4 for index in ids[0] if index >= 4}
        assert set(row.nonzero()[:, 0].tolist()) == expected
    assert single_words(tokens).shape == (len(tokens.words), 3)
    assert words_of(texts_of(video, 9, NounQuestions()), tokens, mirrored=False).sum() == 0


def test_objects_of_several_frames_get_rows_of_their_own() -> None:
    labels = [np.array([[0, 1], [2, 255]], np.uint8), np.array([[1, 0]], np.uint8)]
    rows = [[torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])], [torch.tensor([1.0, 1.0])]]
    found = gather(labels, rows, (2, 3))
    assert found.objects.tolist() == [[[0, 1, 0], [2, 0, 0]], [[3, 0, 0], [0, 0, 0]]]
    assert found.words.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]


def test_word_loss_is_a_cross_entropy_a_pixel() -> None:
    objects = torch.zeros(1, 16, 16, dtype=torch.int64)
    objects[0, :8, :8] = 1
    targets = WordTargets(objects, torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    # Level 0 has 2 x 2 cells with centres at 4 and 12; levels 1 and 2 have one each, with centre 8 and none.
    shapes = ((2, 2), (1, 1), (1, 1), (1, 1))
    scores = torch.tensor([[[4.0, 1.0], [0.0, 0.0], [9.0, 9.0], [9.0, 9.0], [9.0, 9.0], [9.0, 9.0], [9.0, 9.0]]])

    def entropy(score: float, target: float) -> float:
        probability = 1 / (1 + math.exp(3 - score))
        return -math.log(probability if target else 1 - probability)

    # Every seventh cell of the background counts: here none beside the object cell at place 0.
    expected = entropy(4.0, 1) + entropy(1.0, 0)
    found = word_loss(scores.expand(1, -1, -1), shapes, targets)
    assert float(found) == pytest.approx(expected, rel=1e-5)
    # With twice the rows, the cell at place 7 is background and counts.
    taller = WordTargets(torch.cat([objects, torch.zeros(1, 16, 16, dtype=torch.int64)], dim=1), targets.words)
    scores = torch.cat([scores, torch.full((1, 6, 2), 2.0)], dim=1)
    scores[0, 7] = torch.tensor([1.5, -0.5])
    found = word_loss(scores, ((4, 2), (2, 1), (1, 1), (2, 1)), taller)
    assert float(found) == pytest.approx(expected + entropy(1.5, 0) + entropy(-0.5, 0), rel=1e-5)


def test_all_losses_are_finite_and_reach_the_network(task: UninextTask) -> None:
    task.network.train()
    losses = task.losses(task.batch([0, 1, 2], [1, 2, 3]), 0.0)
    assert {"words", "dense_proposals", "class_denoising_1", "mask", "total"} <= set(losses)
    assert all(bool(value.isfinite()) for value in losses.values())
    losses["total"].backward()
    fusion = task.network.detr.detr.transformer.encoder.vl_layers[0].b_attn.attn.l_proj
    assert float(fusion.weight.grad.abs().sum()) > 0


def test_validation_and_export_use_the_runner(task: UninextTask, tmp_path: Path) -> None:
    scores = task.validate(tmp_path)
    assert set(scores) == {"J", "F", "J&F"}
    assert scores["J&F"] == pytest.approx((scores["J"] + scores["F"]) / 2)
    (picture,) = task.pictures.taken().values()
    assert picture.shape == (*SIZE, 3)
    path = tmp_path / "small.safetensors"
    task.export(path)
    runner = build_runner(ModelSettings("uninext", path), device=torch.device("cpu"))
    (labelled,) = open_videos(VideoFolder(tmp_path / "data", "train"))
    found = list(runner.segment(labelled.video, labelled.video.expressions))
    assert found[0].masks().shape == (3, *SIZE)


def test_a_network_with_too_few_words_is_refused(tmp_path: Path) -> None:
    root = write_small_videos(tmp_path / "data", n_videos=1, n_frames=2)
    with pytest.raises(ConfigError, match="vocabulary is 10"):
        build(make_config(root, text={**NETWORK["text"], "vocabulary": 10}))  # type: ignore[dict-item]


def test_nouns_and_sentences_about_several_objects_are_trained(tmp_path: Path) -> None:
    write_mevis(tmp_path, seed=3, n_videos=2, split="train", no_target=0.3)
    shipped = Path(__file__).parents[3] / "rvos_fusion" / "training" / "configs" / "small_uninext_nouns.yaml"
    own = [f"data.folder.root={tmp_path}", f"validation.folder.root={tmp_path}", "validation.folder.split=train"]
    torch.manual_seed(0)
    task = build(read_config(shipped, own))
    batch = task.batch([0, 9], [1, 2])
    meant = batch.objects.visible.sum(1)
    assert {0, 1} < set(meant.tolist())
    assert torch.equal(batch.objects.masks.any(1), batch.clips.targets.masks[:, 0])
    losses = task.losses(batch, 0.0)
    assert all(bool(value.isfinite()) for value in losses.values())
    losses["total"].backward()
    assert set(task.validate(tmp_path)) == {"J", "F", "J&F"}


def test_the_shipped_configuration_fits(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "rvos_fusion" / "training" / "configs" / "small_uninext.yaml"
    root = write_small_videos(tmp_path / "data", n_videos=1, n_frames=2)
    write_small_videos(tmp_path / "data", n_videos=1, n_frames=2, split="valid")
    config = read_config(shipped, [f"data.folder.root={root}", f"validation.folder.root={root}"])
    task = build(config)
    losses = task.losses(task.batch([1], [0]), 0.0)
    assert bool(losses["total"].isfinite())
    assert sum(value.numel() for value in task.network.parameters()) < 5_000_000
