"""The propagator with the toy propagator: what is kept, what is shared, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from toy import ToyEngine, ToySession, propagate_video, write_video

from propagate.engines.aot.settings import AotSettings
from propagate.propagator import EXPRESSIONS_AT_ONCE, Source
from rvos.errors import CheckpointError, ConfigError, InputError
from rvos.masks.mask_sequences import MaskSequence, SoftMaps
from rvos.settings import load
from rvos.videos import Video

SIZE = (24, 32)
N_FRAMES = 6
FRAMES = tuple(f"{number:05d}" for number in range(N_FRAMES))


@pytest.fixture
def video(tmp_path: Path) -> Video:
    return write_video(tmp_path, "v", FRAMES, SIZE)


def square(row: int = 4, column: int = 4, side: int = 6) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, dtype=np.bool_)
    mask[row : row + side, column : column + side] = True
    return mask


def sequence(
    key: int | None, *, expression: str = "0", masks: NDArray[np.bool_] | None = None, frames: tuple[str, ...] = FRAMES
) -> MaskSequence:
    if masks is None:
        masks = np.stack([square(side=2)] * len(frames))
        masks[key or 0] = square()
    scores = np.linspace(0, 1, len(frames), dtype=np.float32)
    return MaskSequence.from_masks(masks, video="v", expression=expression, frames=frames, scores=scores, key_frame=key)


def engine(shift: int = 1, **options: Any) -> ToyEngine:
    return ToyEngine(np.full(N_FRAMES, shift), **options)


def test_masks_move_away_from_the_key_frame(video: Video) -> None:
    result = propagate_video(video, [sequence(2)], engine=engine())[0].masks()
    for frame in range(N_FRAMES):
        distance = abs(frame - 2)
        np.testing.assert_array_equal(result[frame], square(4 + distance, 4 + distance))


@pytest.mark.parametrize("key", [0, N_FRAMES - 1], ids=["first", "last"])
def test_key_frame_at_an_end_runs_one_direction(video: Video, key: int) -> None:
    toy = engine()
    result = propagate_video(video, [sequence(key)], engine=toy)[0]
    assert len(toy.sessions) == 1
    assert result.masks()[N_FRAMES - 1 - key].sum() == square().sum()


def test_without_stated_key_frame_the_best_score_decides(video: Video) -> None:
    masks = np.stack([square(side=2 + frame) for frame in range(N_FRAMES)])
    result = propagate_video(video, [sequence(None, masks=masks)], engine=engine())[0]
    assert result.key_frame == N_FRAMES - 1
    assert result.mask(0).sum() == (2 + N_FRAMES - 1) ** 2


def test_key_frame_mask_and_scores_are_kept(video: Video) -> None:
    given = sequence(3)
    result = propagate_video(video, [given], engine=engine())[0]
    assert result.runs[3] == given.runs[3]
    assert result.key_frame == 3
    np.testing.assert_array_equal(result.scores, given.scores)


def test_empty_key_frame_mask_keeps_all_input_masks(video: Video) -> None:
    masks = np.stack([square(side=2)] * N_FRAMES)
    masks[2] = False
    toy = engine()
    result = propagate_video(video, [sequence(2, masks=masks)], engine=toy)[0]
    np.testing.assert_array_equal(result.masks(), masks)
    assert toy.encoded == []


def test_empty_key_frame_mask_may_be_replaced_by_the_best_scored_one(video: Video) -> None:
    masks = np.zeros((N_FRAMES, *SIZE), dtype=np.bool_)
    masks[1] = square(side=3)
    masks[4] = square(side=5)
    result = propagate_video(video, [sequence(2, masks=masks)], engine=engine(), skip_empty=True)[0]
    assert result.key_frame == 4
    assert result.mask(5).sum() == 25


def test_all_masks_empty_stay_empty(video: Video) -> None:
    masks = np.zeros((N_FRAMES, *SIZE), dtype=np.bool_)
    result = propagate_video(video, [sequence(2, masks=masks)], engine=engine(), skip_empty=True)[0]
    assert not result.masks().any()


def test_one_frame_keeps_its_mask(tmp_path: Path) -> None:
    video = write_video(tmp_path, "v", ("00000",), SIZE)
    given = sequence(0, frames=("00000",))
    result = propagate_video(video, [given], engine=engine())[0]
    assert result.runs == given.runs
    assert result.propagation is not None
    assert result.propagation.tolist() == [1]


def test_soft_maps_are_the_averaged_probabilities(video: Video) -> None:
    result = propagate_video(video, [sequence(2)], engine=engine(shift=0), keep_soft=True)[0]
    assert result.soft is not None
    assert (result.soft.kind, result.soft.values.shape) == ("probability", (N_FRAMES, SIZE[0] // 4, SIZE[1] // 4))
    soft = result.soft.dequantise()
    np.testing.assert_allclose(soft[2], square().reshape(6, 4, 8, 4).mean(axis=(1, 3)), atol=0.5 / 255)
    moved = square(5, 4).reshape(6, 4, 8, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(soft[3], moved, atol=0.01)


def test_soft_maps_of_the_input_are_not_handed_on(video: Video) -> None:
    soft = SoftMaps.quantise(np.zeros((N_FRAMES, 6, 8), dtype=np.float32))
    given = replace(sequence(2), soft=soft)
    assert propagate_video(video, [given], engine=engine())[0].soft is None
    empty = replace(sequence(2, masks=np.zeros((N_FRAMES, *SIZE), dtype=np.bool_)), soft=soft)
    assert propagate_video(video, [empty], engine=engine())[0].soft is soft


def test_no_expressions_give_none(video: Video) -> None:
    assert propagate_video(video, [], engine=engine()) == []


def test_together_is_as_one_by_one(video: Video) -> None:
    sequences = [sequence(key, expression=str(n)) for n, key in enumerate((2, 0, 5, 2, 3))]
    together = propagate_video(video, sequences, engine=engine())
    for given, result in zip(sequences, together, strict=True):
        alone = propagate_video(video, [given], engine=engine())[0]
        assert (result.expression, result.runs) == (given.expression, alone.runs)


def test_same_key_frame_shares_a_session(video: Video) -> None:
    toy = engine()
    propagate_video(video, [sequence(0, expression=str(n)) for n in range(3)], engine=toy)
    assert len(toy.sessions) == 1


def test_more_expressions_than_at_once_take_more_rounds(video: Video) -> None:
    sequences = [sequence(0, expression=str(n)) for n in range(EXPRESSIONS_AT_ONCE + 1)]
    toy = engine()
    results = propagate_video(video, sequences, engine=toy)
    assert len(toy.sessions) == 2
    assert len({result.runs for result in results}) == 1


def test_a_frame_is_encoded_once_for_all_expressions_directions_and_sources(video: Video) -> None:
    toy = engine()
    for _ in range(2):
        propagate_video(video, [sequence(key, expression=str(key)) for key in (1, 3, 4)], engine=toy)
    assert sorted(toy.encoded) == list(range(N_FRAMES))


def test_without_cache_a_frame_is_encoded_once_a_direction_for_any_number_of_expressions(video: Video) -> None:
    toy = engine(cache_bytes=0)
    propagate_video(video, [sequence(key, expression=str(key)) for key in (0, 2, N_FRAMES - 1)], engine=toy)
    # The turn at the last frame needs it once.
    assert toy.encoded == [*range(N_FRAMES), *range(N_FRAMES - 2, -1, -1)]


@pytest.mark.parametrize("frames_kept", [1, 2, 4])
def test_a_small_cache_shares_the_turn_and_keeps_its_bound(video: Video, frames_kept: int) -> None:
    toy = engine(cache_bytes=1000 * frames_kept)
    propagate_video(video, [sequence(key, expression=str(key)) for key in (0, N_FRAMES - 1)], engine=toy)
    assert toy.features.n_bytes <= 1000 * frames_kept
    assert len(toy.encoded) == 2 * N_FRAMES - max(frames_kept, 1)


def test_several_references_are_added_before_the_key_frame(video: Video) -> None:
    toy = engine()
    masks = np.stack([square()] * N_FRAMES)
    propagate_video(video, [sequence(2, masks=masks)], engine=toy, n_references=3)
    assert toy.sessions[0][:3] == ["reference 5", "reference 4", "reference 2"]
    assert toy.sessions[1][:3] == ["reference 5", "reference 4", "reference 2"]


def test_a_start_serves_both_directions(video: Video) -> None:
    toy = engine()
    found = propagate_video(video, [sequence(2)], engine=toy)[0]
    assert [calls[:2] for calls in toy.sessions] == [["reference 2", "propagate 3"], ["reference 2", "copy"]]

    class Once(ToyEngine):
        def open(self) -> Any:
            session = super().open()
            # An engine of users may have no fork.
            return SimpleNamespace(start=session.start, step=session.step, commit=session.commit)

    plain = Once(np.full(N_FRAMES, 1))
    assert propagate_video(video, [sequence(2)], engine=plain)[0].runs == found.runs
    assert [calls[0] for calls in plain.sessions] == ["reference 2"] * 2


def test_references_of_another_size_are_left_out(video: Video) -> None:
    toy = engine()
    propagate_video(video, [sequence(2)], engine=toy, n_references=3)
    assert toy.sessions[0][0] == "reference 2"


def test_augmentations_have_a_memory_each(video: Video) -> None:
    toy = engine(shift=0, scales=(0.8, 1.2), flip=True)
    result = propagate_video(video, [sequence(0)], engine=toy)[0]
    assert len(toy.sessions) == 4
    np.testing.assert_array_equal(result.mask(3), square(7, 4))


def test_other_frames_are_refused(video: Video) -> None:
    with pytest.raises(InputError, match="v/0: masks of 5 frames, the data set lists 6"):
        propagate_video(video, [sequence(2, frames=FRAMES[:5])], engine=engine())


def test_masks_of_another_size_are_refused(video: Video) -> None:
    masks = np.zeros((N_FRAMES, 10, 12), dtype=np.bool_)
    with pytest.raises(InputError, match=r"v/0: masks of 10 x 12 pixels .*, frames of 24 x 32"):
        propagate_video(video, [sequence(2, masks=masks)], engine=engine())


def test_masks_of_another_video_are_refused(video: Video) -> None:
    other = MaskSequence("w", "0", FRAMES, SIZE, sequence(2).runs, np.zeros(N_FRAMES, dtype=np.float32))
    with pytest.raises(InputError, match="another video"):
        propagate_video(video, [other], engine=engine())


def test_a_frame_of_another_size_is_refused(video: Video) -> None:
    Image.fromarray(np.full((10, 10, 3), 4, dtype=np.uint8)).save(video.image_paths[4])
    with pytest.raises(InputError, match=r"_00004\.png: frame of size \(10, 10\)"):
        propagate_video(video, [sequence(2)], engine=engine())


def test_scores_that_are_not_finite_are_refused(video: Video) -> None:
    scores = np.array([0, np.nan, 0, 0, 0, 0], dtype=np.float32)
    with pytest.raises(InputError, match="not finite"):
        propagate_video(video, [MaskSequence("v", "0", FRAMES, SIZE, sequence(2).runs, scores)], engine=engine())


def test_a_network_that_gives_nan_is_refused(video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToySession, "propagate", lambda self, features: torch.full((1, 11, *SIZE), torch.nan))
    with pytest.raises(CheckpointError, match="frame 00003 gives values that are not finite"):
        propagate_video(video, [sequence(2)], engine=engine())


def test_unknown_protocol_lists_the_choices() -> None:
    with pytest.raises(ConfigError, match="choose one of fresh, legacy"):
        load(AotSettings, {"network": "aot", "checkpoint": "x", "protocol": "old"}, where="engines.aot")


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, -1.0)])
def test_scales_must_be_positive(scales: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match=r"positive|above 0"):
        load(AotSettings, {"network": "aot", "checkpoint": "x", "scales": scales}, where="engines.aot")


def test_no_reference_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        Source([sequence(2)], n_references=0)


def test_propagation_probability_is_the_mean_inside_the_mask(video: Video) -> None:
    # One-hot logits of 9: the object's probability is e^9 / (e^9 + 1) wherever the toy puts its mask.
    found = propagate_video(video, [sequence(2)], engine=engine())[0].propagation
    sure = np.exp(9) / (np.exp(9) + 1)
    np.testing.assert_allclose(found, [sure, sure, 1, sure, sure, sure], rtol=1e-6)


def test_propagation_probability_of_a_lost_object_is_0(video: Video) -> None:
    masks = np.zeros((N_FRAMES, *SIZE), dtype=np.bool_)
    masks[0, SIZE[0] - 2 :] = True
    result = propagate_video(video, [sequence(0, masks=masks)], engine=engine())[0]
    assert result.propagation is not None
    assert (result.propagation > 0).tolist() == [True, True, False, False, False, False]


def test_masks_that_were_not_propagated_have_no_propagation_probability(video: Video) -> None:
    empty = np.zeros((N_FRAMES, *SIZE), dtype=np.bool_)
    assert propagate_video(video, [sequence(2, masks=empty)], engine=engine())[0].propagation is None


def test_boxes_are_refused_by_aot(video: Video) -> None:
    with pytest.raises(ConfigError, match="start from masks"):
        engine().open().start([], boxes=torch.zeros(1, 4))
