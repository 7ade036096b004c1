"""Sequences for mask propagation: numbering, pasting, crops, static copies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_videos import write_small_videos

from rvos_fusion.training.data.sequence_augmentation import (
    FILL,
    Photometric,
    Sequence,
    Warp,
    coarsen,
    paste,
    recolour,
    renumber,
    scale_and_crop,
    warp,
)
from rvos_fusion.training.data.sequences import Sequences, SequenceSettings
from rvos_fusion.training.data.videos import VideoFolder


@pytest.fixture
def settings(tmp_path: Path) -> SequenceSettings:
    folder = VideoFolder(write_small_videos(tmp_path / "data"), in_memory=True)
    return SequenceSettings(
        (folder,), size=(33, 49), short_edge=48, least_reference=20, least_object=10, most_objects=4, merge=0.5
    )


def sequence_of(*names: int) -> Sequence:
    labels = np.zeros((2, 20, 30), np.uint8)
    for place, name in enumerate(names):
        labels[:, 2:8, 2 + 8 * place : 8 + 8 * place] = name
    frames = np.repeat(labels[..., None], 3, axis=3) * np.uint8(20)
    return Sequence(frames, labels)


def test_renumbering_keeps_the_objects_of_the_first_frame() -> None:
    labels = np.array([[[0, 7, 3, 255]], [[9, 7, 3, 255]]], np.uint8)
    numbered, n_objects = renumber(labels, most_objects=10)
    assert n_objects == 2
    assert numbered.tolist() == [[[0, 2, 1, 255]], [[0, 2, 1, 255]]]
    assert renumber(labels, most_objects=1)[1] == 1


def test_pasting_adds_objects_on_top() -> None:
    merged = paste(sequence_of(1, 2), sequence_of(0, 5), least=10, most_objects=10)
    assert sorted(np.unique(merged.labels)) == [0, 1, 3]
    assert np.array_equal(merged.frames[merged.labels == 3], sequence_of(0, 5).frames[merged.labels == 3])


def test_pasting_never_exceeds_the_identities() -> None:
    assert np.array_equal(
        paste(sequence_of(1, 2), sequence_of(0, 0, 4), least=10, most_objects=2).labels, sequence_of(1, 2).labels
    )
    assert np.array_equal(
        paste(sequence_of(1), sequence_of(0, 3), least=1000, most_objects=9).labels, sequence_of(1).labels
    )


def test_small_frames_are_padded() -> None:
    cut = scale_and_crop(sequence_of(1), (33, 49), short_edge=20, least=5, random=np.random.default_rng(0))
    assert cut.labels.shape == (2, 33, 49)
    assert tuple(cut.frames[0, 0, 0]) == FILL
    assert cut.labels[0, 0, 0] == 0


def test_cuts_show_an_object_where_they_can() -> None:
    large = Sequence(np.zeros((1, 20, 200, 3), np.uint8), np.zeros((1, 20, 200), np.uint8))
    large.labels[:, :, 90:110] = 1
    shown = [
        scale_and_crop(large, (20, 60), short_edge=20, least=10, random=np.random.default_rng(seed)).labels.any()
        for seed in range(30)
    ]
    # A single try would show it about half of the time.
    assert sum(shown) >= 27


def test_identity_warp_changes_nothing() -> None:
    still = Warp(degrees=0, shift=0, scale=(1, 1), shear=0, area=(1, 1), aspect=(1.5, 1.5), flip=0)
    sequence = sequence_of(1, 2)
    image, label = warp(sequence.frames[0], sequence.labels[0], (20, 30), still, np.random.default_rng(0))
    assert np.array_equal(image, sequence.frames[0])
    assert np.array_equal(label, sequence.labels[0])


def test_grey_frames_have_equal_channels() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    grey = recolour(frame, Photometric(grey=1.0), np.random.default_rng(0))
    assert np.array_equal(grey[..., 0], grey[..., 1])
    assert np.array_equal(recolour(frame, Photometric(), np.random.default_rng(0)), frame)
    jittered = recolour(frame, Photometric(jitter=(0.4, 0.4, 0.2, 0.1), blur=1.0), np.random.default_rng(0))
    assert jittered.shape == frame.shape
    assert not np.array_equal(jittered, frame)


@pytest.mark.parametrize("kind", ["video", "static"])
def test_batches(settings: SequenceSettings, kind: str) -> None:
    from dataclasses import replace

    sequences = Sequences(replace(settings, kind=kind))  # type: ignore[arg-type]
    assert len(sequences) == (2 if kind == "video" else 12)
    batch = sequences.batch([0, 1, 1], [1, 2, 3])
    assert batch.frames.shape == (3, 5, 3, 33, 49)
    assert batch.labels.shape == (3, 5, 33, 49)
    for row in range(3):
        # Every object starts in the first frame, and the orders keep the background.
        assert int(batch.labels[row].max()) <= int(batch.n_objects[row])
        assert int(batch.labels[row, 0].max()) == int(batch.n_objects[row])
        assert batch.orders[row, 0] == 0
        assert sorted(batch.orders[row].tolist()) == [0, 1, 2, 3, 4]
    again = sequences.batch([0, 1, 1], [1, 2, 3])
    assert torch.equal(batch.frames, again.frames)
    assert torch.equal(batch.orders, again.orders)


def test_one_object_alone(settings: SequenceSettings) -> None:
    from dataclasses import replace

    batch = Sequences(replace(settings, alone=1.0)).batch([0, 1], [4, 5])
    assert batch.n_objects.tolist() == [1, 1]


def test_coarse_references_are_rough_forms_of_the_labels(settings: SequenceSettings) -> None:
    sequences = Sequences(replace(settings, coarse=1.0))
    batch = sequences.batch(list(range(len(sequences))), list(range(len(sequences))))
    assert not torch.equal(batch.references, batch.labels[:, 0])
    overlaps = []
    for reference, label in zip(batch.references, batch.labels[:, 0], strict=True):
        assert set(reference.unique().tolist()) <= set(label.unique().tolist()) | {0}
        assert torch.equal(reference == 255, label == 255)
        shown, true = (reference > 0) & (reference < 255), (label > 0) & (label < 255)
        overlaps.append(float((shown & true).sum() / (shown | true).sum().clamp(min=1)))
    assert 0.4 < sum(overlaps) / len(overlaps) < 1


@pytest.mark.parametrize("seed", range(8))
def test_coarse_masks_never_lose_an_object(seed: int) -> None:
    label = np.zeros((40, 60), np.uint8)
    label[5:20, 5:25] = 1
    label[30:32, 50:52] = 2
    label[:, 58:] = 255
    rough = coarsen(label, np.random.default_rng(seed))
    assert {1, 2} <= set(np.unique(rough).tolist())
    assert (rough[:, 58:] != 0).all()
