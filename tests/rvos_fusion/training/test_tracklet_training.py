"""Training of the grounding network: candidates from the truth, labels, near-duplicates, and a few real steps."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_images import SIZE as IMAGE_SIZE
from small_images import write_refer
from small_tracklets import CONFIG
from small_videos import write_small_videos

from runners.grounding.scorer import load_grounder
from runners.grounding.settings import GroundingSettings
from runners.networks.tracklets.network import average_area
from rvos.errors import ConfigError, InputError
from rvos_fusion.training.config import LoopSettings, OptimiserSettings, TrainingConfig
from rvos_fusion.training.data.refcoco import ReferFolder, open_refer
from rvos_fusion.training.data.videos import VideoFolder, object_of
from rvos_fusion.training.running.distributed import Ranks
from rvos_fusion.training.running.loop import Trainer
from rvos_fusion.training.tasks import build_task
from rvos_fusion.training.tracklets.candidates import CandidateSettings, make_candidates, roughen, tracklet_overlaps
from rvos_fusion.training.tracklets.samples import Labels, Sample, TrackletData, TrackletSamples, mirror
from rvos_fusion.training.tracklets.task import choice_loss, order_slots

CLEAN = CandidateSettings(found=1.0, lost=0.0, faults=0, loose=0.0)
MINUS = float("-inf")


@pytest.fixture
def folder(tmp_path: Path) -> VideoFolder:
    return VideoFolder(write_small_videos(tmp_path / "data"))


def _objects(count: int = 2, frames: int = 4) -> NDArray[np.bool_]:
    objects = np.zeros((count, frames, 48, 64), np.bool_)
    for index in range(count):
        for frame in range(frames):
            objects[index, frame, 4 + 14 * index : 14 + 14 * index, 4 + 6 * frame : 18 + 6 * frame] = True
    return objects


# Candidates


def test_without_faults_the_candidates_are_near_copies_of_the_objects() -> None:
    objects = _objects(3)
    found = make_candidates(objects, CLEAN, most=10, random=np.random.default_rng(0))
    assert len(found) == 3
    assert (tracklet_overlaps(objects, found).max(1) > 0.5).all()


@given(
    seed=st.integers(0, 10_000),
    faults=st.integers(0, 8),
    count=st.integers(1, 4),
    most=st.integers(1, 6),
    found=st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_candidates_are_few_distinct_and_never_empty(
    seed: int, faults: int, count: int, most: int, found: float
) -> None:
    rule = CandidateSettings(found=found, faults=faults, loose=0.0)
    candidates = make_candidates(_objects(count), rule, most=most, random=np.random.default_rng(seed))
    assert 1 <= len(candidates) <= most
    assert candidates.any((1, 2, 3)).all()
    overlaps = tracklet_overlaps(candidates, candidates)
    np.fill_diagonal(overlaps, 0)
    assert overlaps.max() <= rule.nms_iou


def test_the_same_seed_gives_the_same_candidates() -> None:
    rule = CandidateSettings()
    one, other = (make_candidates(_objects(), rule, most=10, random=np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_a_tracklet_can_be_lost_in_every_frame() -> None:
    assert not roughen(_objects()[0], 1.0, np.random.default_rng(0)).any()


def test_overlap_is_one_quotient_of_sums() -> None:
    one, other = np.zeros((2, 1, 2, 4, 20), np.bool_)
    one[0, :, :, :10] = True
    other[0, 0, :, :10] = True
    # 40 common pixels of 80 in either; a mean over frames would be the same here, but not with a third frame.
    assert tracklet_overlaps(one, other).item() == pytest.approx(0.5)
    assert tracklet_overlaps(np.zeros_like(one), np.zeros_like(one)).item() == 0


# Samples


def test_every_sentence_is_labelled_with_the_tracklet_of_its_object(folder: VideoFolder) -> None:
    samples = TrackletSamples(TrackletData(folder, candidates=CLEAN), slots=4, short_side=48)
    sample = samples.sample(0, np.random.default_rng(0), every=True)
    assert sample is not None
    assert set(sample.texts) == {"the red square on the left", "the blue square moving left"}
    batch = samples.collate([sample])
    truth = samples.videos[0].labels(range(6))
    for text, slot in zip(sample.texts, batch.labels.tracklets.tolist(), strict=True):
        name = 1 if "red" in text else 2
        assert tracklet_overlaps((truth == name)[None], sample.candidates[slot][None]).item() > 0.5


def test_single_frames_have_no_sentences_about_motion(folder: VideoFolder) -> None:
    data = TrackletData(folder, clips="frame", frames=1, candidates=CLEAN)
    samples = TrackletSamples(data, slots=4, short_side=48)
    drawn = [samples.sample(1, np.random.default_rng(seed)) for seed in range(20)]
    # A copy may be too rough for a label, and the sample is left out then.
    kept = [sample for sample in drawn if sample is not None]
    assert kept
    assert {kind for sample in kept for kind in sample.kinds} == {"appearance"}
    assert {sample.candidates.shape[1] for sample in kept} == {1}


def test_a_sentence_without_a_tracklet_is_left_out(folder: VideoFolder) -> None:
    nothing = CandidateSettings(found=0.0, faults=0)
    samples = TrackletSamples(TrackletData(folder, candidates=nothing), slots=4, short_side=48)
    # Where nothing is found the first object stands alone.
    sample = samples.sample(0, np.random.default_rng(0), every=True)
    assert sample is not None
    assert sample.texts == ("the red square on the left",)


def test_the_mirrored_sample_exchanges_sides_in_picture_masks_and_words(folder: VideoFolder) -> None:
    samples = TrackletSamples(TrackletData(folder, candidates=CLEAN), slots=4, short_side=48)
    sample = samples.sample(0, np.random.default_rng(0), every=True)
    assert sample is not None
    mirrored = mirror(sample)
    assert set(mirrored.texts) == {"the red square on the right", "the blue square moving right"}
    np.testing.assert_array_equal(mirrored.candidates, sample.candidates[..., ::-1])
    np.testing.assert_array_equal(mirrored.frames, sample.frames[:, :, ::-1])
    np.testing.assert_array_equal(mirror(mirrored).frames, sample.frames)


def _sample(areas: tuple[int, ...], quality: tuple[float, ...]) -> Sample:
    candidates = np.zeros((len(areas), 1, 8, 8), np.bool_)
    for index, area in enumerate(areas):
        candidates[index, 0].ravel()[:area] = True
    frames, chosen = np.zeros((1, 8, 8, 3), np.uint8), np.zeros(1, np.int64)
    return Sample(frames, chosen, candidates, ("a circle",), ("appearance",), np.array([quality]))


def test_slots_are_ordered_by_area_where_they_are_not_permuted() -> None:
    ordered = order_slots(_sample((3, 9, 5), (0.1, 0.2, 0.9)))
    assert ordered.candidates.sum((1, 2, 3)).tolist() == [9, 5, 3]
    assert ordered.quality.tolist() == [[0.2, 0.9, 0.1]]


def test_padding_slots_are_not_present(folder: VideoFolder) -> None:
    samples = TrackletSamples(TrackletData(folder), slots=4, short_side=8)
    batch = samples.collate([_sample((3,), (0.9,)), _sample((3, 9, 5), (0.1, 0.2, 0.9))])
    assert batch.present.tolist() == [[True, False, False], [True, True, True]]
    assert batch.labels.tracklets.tolist() == [0, 2]
    assert not batch.masks[0, :, 1:].any()


def test_near_duplicates_of_the_label_are_rivals_and_worse_ones_are_wrong(folder: VideoFolder) -> None:
    samples = TrackletSamples(TrackletData(folder, margin=0.1), slots=4, short_side=8)
    batch = samples.collate([_sample((1, 2, 3, 4), (0.9, 0.85, 0.6, 0.45))])
    assert batch.labels.tracklets.tolist() == [0]
    assert batch.labels.rivals.tolist() == [[False, True, False, False]]


def test_a_batch_without_any_sample_says_what_to_do(folder: VideoFolder) -> None:
    with pytest.raises(InputError, match=r"raise loop\.batch"):
        TrackletSamples(TrackletData(folder), slots=4, short_side=8).collate([])


# The loss


def _labels(rivals: list[list[bool]], shown: list[list[bool]]) -> Labels:
    return Labels(
        torch.zeros(1, dtype=torch.int64),
        ("a circle",),
        ("",),
        torch.tensor([0]),
        torch.tensor(rivals),
        torch.tensor(shown),
        torch.ones(1, 3),
    )


def test_the_loss_is_the_cross_entropy_of_the_frames_that_show_the_label() -> None:
    chances = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]])
    found = choice_loss(chances.log(), _labels([[False] * 3], [[True, False]]))
    assert found.item() == pytest.approx(np.log(2))


def test_near_duplicates_take_no_part_in_the_loss() -> None:
    chances = torch.tensor([[[0.5, 0.25, 0.25]]])
    # Without the rival 0.5 of 0.75 is left.
    found = choice_loss(chances.log(), _labels([[False, True, False]], [[True]]))
    assert found.item() == pytest.approx(np.log(1.5))


def test_a_batch_that_shows_no_label_has_no_loss_but_gradients() -> None:
    logits = torch.tensor([[[1.0, 2.0, MINUS]]], requires_grad=True)
    loss = choice_loss(logits, _labels([[False] * 3], [[False]]))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad[..., :2].any()


# A training


def _config(folder: VideoFolder, *, trajectory: bool = False) -> TrainingConfig:
    place = {"root": str(folder.root), "split": folder.split}
    return TrainingConfig(
        name="tiny",
        task="tracklets",
        optimiser=OptimiserSettings(rate=1e-2, clip=1.0),
        loop=LoopSettings(steps=6, batch=2, average=0.5),
        network=dataclasses.asdict(dataclasses.replace(CONFIG, trajectory=trajectory)),
        data={"folder": place, "flip": 0.0, "candidates": {"faults": 1}},
        validation={"folder": place},
        options={"permute_slots": True},
    )


@pytest.mark.parametrize("trajectory", [False, True])
def test_a_few_steps_end_in_a_checkpoint_that_loads(folder: VideoFolder, tmp_path: Path, trajectory: bool) -> None:
    torch.manual_seed(0)
    config = _config(folder, trajectory=trajectory)
    task = build_task(config)
    before = {name: value.clone() for name, value in task.network.state_dict().items()}
    ranks = Ranks(0, 1, torch.device("cpu"))
    summary = Trainer(task, config, tmp_path / "run", ranks=ranks, quiet=True).run()
    assert summary.complete
    assert 0 <= summary.best <= 100
    moved = {name for name, value in task.network.state_dict().items() if not torch.equal(value, before[name])}
    assert any(name.startswith("layers.") for name in moved)
    assert any(name.startswith("trajectories.") for name in moved) is trajectory
    task.export(tmp_path / "final.safetensors")
    grounder = load_grounder(GroundingSettings(tmp_path / "final.safetensors"), device=torch.device("cpu"))
    assert grounder.network.config.trajectory is trajectory


def test_validation_scores_every_kind_of_sentence(folder: VideoFolder, tmp_path: Path) -> None:
    task = build_task(_config(folder))
    with torch.no_grad():
        scores, again = task.validate(tmp_path), task.validate(tmp_path)
    assert scores == again
    assert {"choice", "tracklet-IoU", "choice appearance", "choice motion"} == set(scores)


# Images with sentences


def test_an_image_is_a_video_of_one_frame_with_all_its_objects(tmp_path: Path) -> None:
    write_refer(tmp_path)
    (video,) = open_refer(ReferFolder(tmp_path, tmp_path))
    assert [one.text for one in video.video.expressions] == ["the left thing", "a thing"]
    labels = video.labels([0])
    assert labels.shape == (1, *IMAGE_SIZE)
    assert set(np.unique(labels)) == {0, 1, 2}
    assert {object_of(video, number) for number in (0, 1)} == {int(labels[0, 15, 10])}
    # The other object is a candidate too, though no sentence is about it.
    samples = TrackletSamples(
        TrackletData(refer=(ReferFolder(tmp_path, tmp_path),), clips="frame", frames=1, candidates=CLEAN),
        slots=4,
        short_side=40,
    )
    sample = samples.sample(0, np.random.default_rng(0), every=True)
    assert sample is not None
    assert (len(sample.candidates), sample.texts) == (2, ("the left thing", "a thing"))


def test_images_of_several_sizes_are_padded_and_their_masks_stay_on_them(folder: VideoFolder) -> None:
    samples = TrackletSamples(TrackletData(folder, candidates=CLEAN), slots=4, short_side=24)
    wide = samples.sample(0, np.random.default_rng(0), every=True)
    assert wide is not None
    narrow = dataclasses.replace(wide, frames=wide.frames[:, :, :56], candidates=wide.candidates[..., :56])
    batch, alone = samples.collate([wide, narrow]), samples.collate([narrow])
    assert batch.frames.shape[-2:] == batch.masks.shape[-2:] == (24, 32)
    assert torch.equal(batch.frames[1, ..., :28], alone.frames[0])
    torch.testing.assert_close(batch.masks[1, ..., :28], average_area(alone.masks[0], (24, 28)))
    assert not batch.frames[1, ..., 28:].any()
    assert not batch.masks[1, ..., 28:].any()


def test_data_are_videos_or_images_and_not_both(folder: VideoFolder, tmp_path: Path) -> None:
    for both in ((None, ()), (folder, (ReferFolder(tmp_path, tmp_path),))):
        with pytest.raises(ConfigError, match="give folder, or refer"):
            TrackletData(*both)
