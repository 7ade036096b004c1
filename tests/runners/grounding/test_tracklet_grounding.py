"""The grounding network: pooling by the paper's formula, slots and padding, scores of a video, loading."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from small_tracklets import CONFIG, SENTENCES, make_checkpoint, make_tracklets, write_video

from runners.checkpoints.saving import save_network
from runners.grounding.scorer import TrackletGrounder, load_grounder
from runners.grounding.settings import GroundingSettings
from runners.networks.text.bert import TextSizes
from runners.networks.tracklets.config import GroundingConfig
from runners.networks.tracklets.network import (
    GroundingNetwork,
    Paths,
    Slots,
    Words,
    average_area,
    pool_masks,
    video_scores,
)
from runners.networks.tracklets.paths import PATH_FEATURES, describe_paths
from rvos.errors import CheckpointError, ConfigError, InputError
from rvos.videos import Expression, Video

CPU = torch.device("cpu")


@pytest.fixture
def video(tmp_path: Path) -> Video:
    return write_video(tmp_path)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "grounding.safetensors")


def _network(**changes: object) -> GroundingNetwork:
    torch.manual_seed(0)
    return GroundingNetwork(dataclasses.replace(CONFIG, **changes)).eval()  # type: ignore[arg-type]


def _inputs(slots: int = 3, frames: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    pictures = torch.randn((1, frames, 3, 32, 48), generator=random)
    masks = torch.zeros((1, frames, slots, 32, 48))
    for slot in range(slots):
        masks[:, :, slot, 4 * slot : 4 * slot + 12, 8 * slot : 8 * slot + 16] = 1
    return pictures, masks, torch.ones((1, slots), dtype=torch.bool)


def _words(network: GroundingNetwork, length: int = 5) -> Words:
    ids = torch.arange(4, 4 + length)[None]
    return network.encode_words(ids, torch.ones_like(ids))


# Pooling


def test_a_masked_mean_divides_by_the_area_of_the_mask_and_the_literal_one_by_that_of_the_map() -> None:
    features = torch.arange(6.0).reshape(1, 1, 2, 3)
    masks = torch.tensor([[[[0, 1, 0.5], [0, 0, 0.5]]]])
    # 1 * 1 + 2 * 0.5 + 5 * 0.5 = 4.5 over an area of 2, or over 6 cells
    assert pool_masks(features, masks, "masked")[0].item() == pytest.approx(2.25)
    assert pool_masks(features, masks, "literal")[0].item() == pytest.approx(0.75)


@pytest.mark.parametrize("pool", ["masked", "literal"])
def test_an_empty_mask_has_a_zero_feature(pool: str) -> None:
    pooled, weight = pool_masks(torch.ones(1, 2, 3, 3), torch.zeros(1, 1, 3, 3), pool)  # type: ignore[arg-type]
    assert not pooled.any()
    assert not weight.any()


@pytest.mark.parametrize("pool", ["masked", "literal"])
def test_projecting_behind_the_pooling_is_projecting_the_map(pool: str) -> None:
    torch.manual_seed(0)
    features, masks = torch.randn(2, 4, 3, 5), torch.rand(2, 3, 3, 5)
    masks[0, 0] = 0
    convolution = torch.nn.Conv2d(4, 6, 1)
    expected, _ = pool_masks(convolution(features), masks, pool)  # type: ignore[arg-type]
    pooled, weight = pool_masks(features, masks, pool)  # type: ignore[arg-type]
    found = torch.nn.functional.linear(pooled, convolution.weight[:, :, 0, 0]) + weight[..., None] * convolution.bias
    torch.testing.assert_close(found, expected)


@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    cells=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_averaging_over_areas_keeps_the_covered_part_of_the_frame(
    sizes: tuple[int, int], cells: tuple[int, int], seed: int
) -> None:
    mask = torch.from_numpy(np.random.default_rng(seed).random(sizes) < 0.3).float()
    shrunk = average_area(mask, cells)
    assert shrunk.mean().item() == pytest.approx(mask.mean().item(), abs=1e-5)
    assert 0 <= shrunk.min() <= shrunk.max() <= 1 + 1e-6


def test_averaging_over_areas_is_that_of_opencv() -> None:
    mask = (np.random.default_rng(0).random((30, 44)) < 0.4).astype(np.float32)
    expected = cv2.resize(mask, (7, 4), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(average_area(torch.from_numpy(mask), (4, 7)).numpy(), expected, atol=1e-5)


# Slots, padding and scores


def test_padding_slots_and_padding_words_change_nothing() -> None:
    network = _network()
    frames, masks, present = _inputs(slots=2)
    words = _words(network)
    alone = network(network.encode_slots(frames, masks, present), words)
    more_masks = torch.cat([masks, torch.ones_like(masks)], 2)
    more_present = torch.tensor([[True, True, False, False]])
    filler = torch.randn(1, 3, CONFIG.width)
    more_words = Words(torch.cat([words.tokens, filler], 1), torch.cat([words.mask, torch.zeros(1, 3, dtype=bool)], 1))
    padded = network(network.encode_slots(frames, more_masks, more_present), more_words)
    torch.testing.assert_close(padded[..., :2], alone)
    assert padded[..., 2:].isneginf().all()


def test_the_slot_is_part_of_the_token() -> None:
    network = _network()
    frames, masks, present = _inputs(slots=2)
    alike = masks[:, :, :1].expand(-1, -1, 2, -1, -1)
    tokens = network.encode_slots(frames, alike, present).tokens
    difference = network.slot_embedding[1] - network.slot_embedding[0]
    torch.testing.assert_close(tokens[0, 0, 1] - tokens[0, 0, 0], difference, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("rule", "takes_part"), [("zero", True), ("mask", False)])
def test_a_slot_without_mask_stays_or_is_taken_out(rule: str, takes_part: bool) -> None:
    network = _network(empty_slots=rule)
    frames, masks, present = _inputs()
    masks[:, 0, 1] = 0
    slots = network.encode_slots(frames, masks, present)
    if takes_part:
        torch.testing.assert_close(slots.tokens[0, 0, 1], network.slot_embedding[1])
    logits = network(slots, _words(network))
    assert bool(logits[0, 0, 1].isfinite()) is takes_part
    assert logits[0, 1].isfinite().all()
    chances = video_scores(logits[:, :1], slots.used[:, :1])[0]
    assert bool(chances[1] > 0) is takes_part
    assert chances.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("rule", ["zero", "mask"])
def test_frames_without_any_tracklet_do_not_count(rule: str) -> None:
    network = _network(empty_slots=rule)
    frames, masks, present = _inputs(frames=3)
    masks[:, 1] = 0
    slots, words = network.encode_slots(frames, masks, present), _words(network)
    assert slots.used.tolist() == [[True, False, True]]
    kept = network.encode_slots(frames[:, [0, 2]], masks[:, [0, 2]], present)
    found = video_scores(network(slots, words), slots.used)
    torch.testing.assert_close(found, video_scores(network(kept, words), kept.used))


def test_no_used_frame_gives_zeros() -> None:
    logits = torch.full((1, 2, 3), float("-inf"))
    assert video_scores(logits, torch.zeros((1, 2), dtype=torch.bool)).tolist() == [[0, 0, 0]]


def test_the_score_of_a_video_is_the_mean_of_the_softmax_over_frames() -> None:
    logits = torch.log(torch.tensor([[[0.8, 0.2], [0.4, 0.6]]]))
    found = video_scores(logits, torch.tensor([[True, True]]))
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.4]]))


def test_frames_do_not_see_each_other_without_trajectories() -> None:
    network = _network()
    frames, masks, present = _inputs()
    before = network(network.encode_slots(frames, masks, present), _words(network))
    frames[:, 1] += 1
    after = network(network.encode_slots(frames, masks, present), _words(network))
    torch.testing.assert_close(after[:, 0], before[:, 0])
    assert not torch.allclose(after[:, 1], before[:, 1])


# Trajectories


def test_trajectories_are_no_part_of_a_network_without_them() -> None:
    assert not [name for name in _network().state_dict() if "trajector" in name]


def test_trajectories_add_nothing_before_they_are_trained() -> None:
    network = _network(trajectory=True)
    frames, masks, present = _inputs()
    tokens = network.encode_slots(frames, masks, present, _paths(masks)).tokens
    torch.manual_seed(0)
    plain = GroundingNetwork(CONFIG).eval()
    plain.load_state_dict({name: network.state_dict()[name] for name in plain.state_dict()})
    torch.testing.assert_close(tokens, plain.encode_slots(frames, masks, present).tokens)


def _paths(masks: torch.Tensor) -> Paths:
    features = torch.from_numpy(describe_paths(masks[0].numpy() > 0))[None]
    n_frames = masks.shape[1]
    return Paths(features, torch.zeros((1, n_frames), dtype=torch.bool), torch.arange(n_frames)[None])


def test_a_network_with_trajectories_tells_one_direction_from_the_other() -> None:
    network = _network(trajectory=True)
    torch.nn.init.normal_(network.trajectories.add.weight)
    frames, masks, present = _inputs(slots=1, frames=4)
    masks[:] = 0
    for frame in range(4):
        masks[0, frame, 0, 8:16, 8 * frame : 8 * frame + 8] = 1
    middle = slice(1, 2)
    forwards, backwards = _paths(masks), _paths(masks.flip(1))
    right = network.encode_slots(
        frames[:, middle], masks[:, middle], present, Paths(forwards.features, forwards.padding, torch.tensor([[1]]))
    )
    left = network.encode_slots(
        frames[:, middle], masks[:, middle], present, Paths(backwards.features, backwards.padding, torch.tensor([[2]]))
    )
    assert not torch.allclose(right.tokens, left.tokens, atol=1e-3)


def _square(frame: int, top: int, left: int, *, side: int = 8, frames: int = 4) -> NDArray[np.bool_]:
    masks = np.zeros((frames, 1, 32, 64), np.bool_)
    masks[frame, 0, top : top + side, left : left + side] = True
    return masks


def test_a_path_knows_place_size_and_time() -> None:
    masks = _square(0, 12, 0) | _square(3, 12, 48, side=16)
    features = describe_paths(masks)
    assert features.shape == (4, 1, PATH_FEATURES)
    assert features[:, 0, 0].tolist() == [1, 0, 0, 1]
    # Centre of columns 0 to 7 of 64, and of rows 12 to 19 of 32, from -1 to 1.
    np.testing.assert_allclose(features[0, 0, 1:3], [-0.875, 0.0], atol=1e-6)
    np.testing.assert_allclose(features[0, 0, 3:6], np.log([8 / 64, 8 / 32, np.sqrt(64 / 2048)]), atol=1e-6)
    np.testing.assert_allclose(features[:, 0, 13], [-1, -1 / 3, 1 / 3, 1], atol=1e-6)


def test_hidden_frames_hold_the_time_and_the_sum_of_the_path_alone() -> None:
    features = describe_paths(_square(0, 4, 4))
    assert not features[1:, 0, :13].any()
    assert not features[1:, 0, 14:32].any()


def test_the_mirrored_path_has_the_opposite_way() -> None:
    masks = _square(0, 12, 8) | _square(1, 12, 16) | _square(2, 12, 24)
    there, back = describe_paths(masks), describe_paths(masks[..., ::-1])
    ways = slice(14, 35, 3)
    np.testing.assert_allclose(there[..., ways], -back[..., ways], atol=1e-5)
    assert np.abs(there[0, 0, ways]).max() > 0


def test_a_tracklet_without_any_mask_and_a_video_of_one_frame_have_finite_paths() -> None:
    assert np.isfinite(describe_paths(np.zeros((3, 2, 8, 8), np.bool_))).all()
    assert np.isfinite(describe_paths(_square(0, 0, 0, frames=1))).all()


# Loading and scores of real files


def test_scores_are_of_every_sentence_and_tracklet(video: Video, checkpoint: Path) -> None:
    grounder = load_grounder(GroundingSettings(checkpoint), device=CPU)
    scores = grounder.scores(video, make_tracklets(video, 3), video.expressions)
    assert scores.shape == (len(SENTENCES), 3)
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-6)


def test_a_sentence_has_the_same_scores_alone(video: Video, checkpoint: Path) -> None:
    grounder = load_grounder(GroundingSettings(checkpoint), device=CPU)
    tracklets = make_tracklets(video, 3)
    together = grounder.scores(video, tracklets, video.expressions)
    alone = load_grounder(GroundingSettings(checkpoint), device=CPU).scores(video, tracklets, video.expressions[1:2])
    np.testing.assert_array_equal(together[1:2], alone)


def test_every_nth_frame_is_looked_at(video: Video, checkpoint: Path) -> None:
    tracklets = make_tracklets(video, 3)
    whole = load_grounder(GroundingSettings(checkpoint), device=CPU)
    every_second = load_grounder(GroundingSettings(checkpoint, frame_stride=2), device=CPU)
    slots: Slots = every_second._encode(video, tracklets)
    torch.testing.assert_close(slots.tokens, whole._encode(video, tracklets).tokens[:, ::2])


def test_no_tracklet_and_no_sentence_have_no_scores(video: Video, checkpoint: Path) -> None:
    grounder = load_grounder(GroundingSettings(checkpoint), device=CPU)
    assert grounder.scores(video, make_tracklets(video, 0), video.expressions).shape == (len(SENTENCES), 0)
    assert grounder.scores(video, make_tracklets(video, 2), ()).shape == (0, 2)


def test_more_tracklets_than_slots_are_refused(video: Video, checkpoint: Path) -> None:
    grounder = load_grounder(GroundingSettings(checkpoint), device=CPU)
    with pytest.raises(InputError, match=r"5 tracklets, .* has 4 slots; set `keep: 4`"):
        grounder.scores(video, make_tracklets(video, 5), video.expressions)


def test_long_texts_are_cut_with_a_warning(video: Video, checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    grounder = load_grounder(GroundingSettings(checkpoint), device=CPU)
    long = Expression("9", " ".join(["red"] * 60))
    with caplog.at_level(logging.WARNING):
        scores = grounder.scores(video, make_tracklets(video, 2), [long])
    assert scores.shape == (1, 2)
    assert f"cut to {CONFIG.max_words}" in caplog.text


def test_a_checkpoint_of_another_width_is_refused_in_one_line(tmp_path: Path, checkpoint: Path) -> None:
    other = tmp_path / "other.safetensors"
    config = dataclasses.asdict(dataclasses.replace(CONFIG, width=32))
    save_file(load_file(checkpoint), other, {"rvos_network": "tracklet-grounding", "config": json.dumps(config)})
    with pytest.raises(CheckpointError, match="does not fit GroundingNetwork, nothing was loaded") as caught:
        load_grounder(GroundingSettings(other), device=CPU)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_network(path, "soc", CONFIG, torch.nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match="holds a soc network"):
        load_grounder(GroundingSettings(path), device=CPU)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="no grounding network"):
        load_grounder(GroundingSettings(path), device=CPU)


def test_a_network_that_reads_word_pieces_asks_for_their_files(tmp_path: Path) -> None:
    text = TextSizes(width=16, layers=1, heads=2, feed_forward=16)
    path = make_checkpoint(tmp_path / "bert.safetensors", dataclasses.replace(CONFIG, text=text))
    with pytest.raises(ConfigError, match=r"no tokenizer; set it to a folder with the vocab\.txt"):
        load_grounder(GroundingSettings(path), device=CPU)


def test_the_official_sizes_are_those_of_the_paper() -> None:
    official = GroundingConfig()
    assert (official.width, official.layers, official.heads, official.slots) == (768, 4, 12, 10)
    assert official.backbone.depths == (3, 4, 23, 3)
    with torch.device("meta"):
        network = GroundingNetwork(official)
    assert isinstance(network.words, torch.nn.Identity)
    assert network.project.weight.shape == (768, 2048)


@pytest.mark.parametrize(
    "changes", [{"width": 50, "heads": 4}, {"levels": ()}, {"levels": (1, 1)}, {"short_side": 90, "long_side": 80}]
)
def test_sizes_that_cannot_work_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="grounding"):
        dataclasses.replace(CONFIG, **changes)  # type: ignore[arg-type]


def test_a_weight_must_be_positive(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="weight 0"):
        GroundingSettings(checkpoint, weight=0)


def test_scores_that_are_not_finite_are_refused(video: Video) -> None:
    network = _network()
    torch.nn.init.constant_(network.head[2].weight, float("nan"))
    from runners.networks.text.tokenizers import SmallTokens

    with pytest.raises(CheckpointError, match="not finite"):
        TrackletGrounder(network, SmallTokens(max_tokens=8), CPU).scores(
            video, make_tracklets(video, 2), video.expressions
        )
