"""The engine: batches, copies, resets, memory schedule, and calls that do not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from deaot_toolkit import Engine, EngineError, FrameFeatures, VosNetwork, build

SIZE = (49, 65)
TINY = {"embedding_dim": 32, "heads": 2, "feed_forward_dim": 64, "max_objects": 4}
FAMILIES = ("small-aot", "small-deaot")


@pytest.fixture(scope="module", params=FAMILIES)
def network(request: pytest.FixtureRequest) -> VosNetwork:
    torch.manual_seed(0)
    built = build(request.param, TINY)
    with torch.no_grad():
        built.patch_wise_id_bank.weight.mul_(1000)  # so that labels weigh as much as the image
    return built


@pytest.fixture(scope="module")
def frames(network: VosNetwork) -> list[FrameFeatures]:
    torch.manual_seed(1)
    return [network.encode(image[None]) for image in torch.randn(14, 3, *SIZE)]


def draw_labels(seed: int, rows: int = 1, objects: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, objects + 1, (rows, 7, 9), generator=random)
    return coarse.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, : SIZE[0], : SIZE[1]]


def run(engine: Engine, frames: list[FrameFeatures], rows: int = 1) -> list[Tensor]:
    """Return the logits of all frames, labels of our own drawing being remembered."""
    results = []
    for index, features in enumerate(frames):
        results.append(engine.propagate(features))
        engine.remember(draw_labels(100 + index, rows))
    return results


def test_a_batch_equals_separate_engines(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    labels = [torch.cat([draw_labels(10 * row + index) for row in range(3)]) for index in range(8)]
    together = Engine(network, long_term_gap=2)
    together.reference(frames[0], labels[0], 1)
    separate = [Engine(network, long_term_gap=2) for _ in range(3)]
    for row, engine in enumerate(separate):
        engine.reference(frames[0], labels[0][row : row + 1], 1)
    for index in range(1, 8):
        logits = together.propagate(frames[index])
        together.remember(labels[index])
        for row, engine in enumerate(separate):
            torch.testing.assert_close(logits[row : row + 1], engine.propagate(frames[index]), atol=1e-5, rtol=1e-5)
            engine.remember(labels[index][row : row + 1])


def test_rows_of_a_batch_depend_on_their_own_labels(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    engine = Engine(network)
    engine.reference(frames[0], torch.cat([draw_labels(0), draw_labels(1)]), 1)
    first, second = engine.propagate(frames[1])
    assert (first - second)[:2].abs().max() > 1e-3


def test_a_copy_goes_its_own_way(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    engine = Engine(network, long_term_gap=2)
    engine.reference(frames[0], draw_labels(0), 1)
    other = engine.copy()
    expected = run(engine, frames[1:6])
    assert other.n_memory_frames == 1
    found = run(other, frames[1:6])
    assert all(torch.equal(*pair) for pair in zip(expected, found, strict=True))


def test_a_reset_engine_is_like_new(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    engine, new = Engine(network, long_term_gap=2), Engine(network, long_term_gap=2)
    engine.reference(frames[3], draw_labels(5, objects=3), 3)
    run(engine, frames[4:8])
    engine.reset()
    for one in (engine, new):
        one.reference(frames[0], draw_labels(0), 1)
    assert torch.equal(run(engine, frames[1:4])[-1], run(new, frames[1:4])[-1])
    assert engine.active_objects == 1


def test_long_term_writes_follow_the_gap(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    engine = Engine(network, long_term_gap=5)
    engine.reference(frames[0], draw_labels(0), 1)
    counts = []
    for features in frames[1:12]:
        engine.propagate(features)
        engine.remember(draw_labels(1))
        counts.append(engine.n_memory_frames)
    assert counts == [1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3]


def test_the_gap_counts_from_the_last_reference(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    engine = Engine(network, long_term_gap=3)
    engine.reference(frames[0], draw_labels(0), 1)
    run(engine, frames[1:3])
    engine.reference(frames[3], draw_labels(3), 1)
    counts = []
    for features in frames[4:8]:
        engine.propagate(features)
        engine.remember(draw_labels(1))
        counts.append(engine.n_memory_frames)
    assert counts == [2, 2, 3, 3]


def test_the_legacy_counter_writes_right_after_a_second_reference(
    network: VosNetwork, frames: list[FrameFeatures]
) -> None:
    engine = Engine(network, long_term_gap=5, legacy_counter=True)
    engine.reference(frames[6], draw_labels(0), 1)
    run(engine, frames[7:13])
    assert engine.n_memory_frames == 2
    engine.reference(frames[6], draw_labels(0), 1)
    counts = []
    for features in frames[5::-1]:
        engine.propagate(features)
        engine.remember(draw_labels(1))
        counts.append(engine.n_memory_frames)
    assert counts == [4, 4, 4, 4, 4, 5]


def test_the_cap_keeps_the_reference_and_the_newest(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    engine = Engine(network, long_term_gap=1, max_memory_frames=3)
    engine.reference(frames[0], draw_labels(0), 1)
    reference_key = engine.long_term[0].key
    keys = []
    for features in frames[1:9]:
        engine.propagate(features)
        engine.remember(draw_labels(1))
        keys.append(engine.short_term[0].key)
    assert engine.n_memory_frames == 3
    assert torch.equal(engine.long_term[0].key, torch.cat([keys[-1], keys[-2], reference_key], dim=1))


def test_memory_of_a_capped_engine_does_not_grow(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    engine = Engine(network, long_term_gap=1, max_memory_frames=2)
    engine.reference(frames[0], draw_labels(0), 1)
    run(engine, frames[1:3])
    before = engine.n_bytes
    run(engine, frames[3:9])
    assert engine.n_bytes == before


def test_identities_not_in_use_are_suppressed(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    engine = Engine(network)
    engine.reference(frames[0], draw_labels(0, objects=2), 2)
    logits = engine.propagate(frames[1])
    assert (logits[:, 3:] == -1e10).all()
    assert (logits[:, :3].abs() < 1e3).all()


def test_all_identities_compete_without_a_number(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    engine = Engine(network, active_objects=None)
    engine.reference(frames[0], draw_labels(0), 1)
    assert (engine.propagate(frames[1]).abs() < 1e3).all()


def test_a_later_reference_adds_an_object(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    engine = Engine(network)
    engine.reference(frames[0], draw_labels(0), 1)
    engine.propagate(frames[1])
    engine.reference(frames[1], draw_labels(1, objects=2), 2)
    engine.remember(draw_labels(1, objects=2))
    assert engine.n_memory_frames == 2
    assert (engine.propagate(frames[2])[:, 2].abs() < 1e3).all()


def test_shares_equal_the_labels_that_they_spell_out(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    labels = draw_labels(0, objects=2)
    shares = torch.nn.functional.one_hot(labels, 5).permute(0, 3, 1, 2).float()
    engines = [Engine(network, active_objects=None) for _ in range(2)]
    engines[0].reference(frames[0], labels)
    engines[1].reference(frames[0], shares)
    first, second = (engine.propagate(frames[1]) for engine in engines)
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


def test_a_one_frame_video_can_be_decoded(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    engine = Engine(network)
    engine.reference(frames[0], draw_labels(0), 1)
    assert engine.decode().shape == (1, 5, 13, 17)


def test_the_smallest_frame_works(network: VosNetwork) -> None:
    features = network.encode(torch.randn(1, 3, 17, 17))
    engine = Engine(network)
    engine.reference(features, torch.ones(1, 17, 17, dtype=torch.long), 1)
    assert engine.propagate(features).isfinite().all()


def test_several_frames_encoded_together_equal_single_ones(network: VosNetwork) -> None:
    images = torch.randn(3, 3, *SIZE)
    together = network.encode(images).select([2])
    alone = network.encode(images[2:])
    for first, second in zip((*together.adapted, *together.first), (*alone.adapted, *alone.first), strict=True):
        if first is not None:
            torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


def test_features_count_their_bytes(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    expected = 4 * sum(part.numel() for part in (*frames[0].adapted, *frames[0].first) if part is not None)
    expected += 0 if frames[0].image_part is None else 4 * frames[0].image_part.numel()
    assert frames[0].n_bytes == expected


def test_training_reaches_every_weight(network: VosNetwork) -> None:
    network.train()
    try:
        features = network.encode(torch.randn(6, 3, *SIZE))
        engine = Engine(network, active_objects=None)
        loss = torch.zeros(())
        engine.reference(features.select([0, 3]), draw_labels(0, rows=2))
        for index in (1, 2):
            logits = engine.propagate(features.select([index, 3 + index]))
            loss = loss + logits.logsumexp(dim=1).mean() - logits[:, 1].mean()
            engine.remember(logits.softmax(dim=1).repeat_interleave(4, 2).repeat_interleave(4, 3)[..., :49, :65])
        torch.autograd.backward(loss)
        unread = {name for name, weight in network.named_parameters() if weight.grad is None}
        assert unread <= {"LSTT.mask_token"}
        assert all(weight.grad.isfinite().all() for weight in network.parameters() if weight.grad is not None)
    finally:
        network.eval()
        network.zero_grad()


def test_no_graph_is_built_in_evaluation(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    engine = Engine(network)
    engine.reference(frames[0], draw_labels(0), 1)
    assert not engine.propagate(frames[1]).requires_grad


def test_calls_out_of_order_are_refused(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    engine = Engine(network)
    with pytest.raises(EngineError, match="no reference"):
        engine.propagate(frames[0])
    with pytest.raises(EngineError, match="no frame"):
        engine.remember(draw_labels(0))
    with pytest.raises(EngineError, match="no frame"):
        engine.decode()


@pytest.mark.parametrize(
    ("labels", "objects", "message"),
    [
        (torch.zeros(1, 48, 65, dtype=torch.long), 1, "give .* at that size"),
        (torch.zeros(49, 65, dtype=torch.long), 1, "give .* at that size"),
        (torch.zeros(1, *SIZE, dtype=torch.long), 0, "at least one"),
        (torch.zeros(1, *SIZE, dtype=torch.long), 5, "4 identities; use EngineGroup"),
        (torch.full((1, *SIZE), 3), 2, "identity 3, but n_objects is 2"),
        (torch.full((1, *SIZE), 5), None, "4 identities"),
    ],
    ids=["height", "axes", "no object", "too many objects", "identity above the number", "identity above all"],
)
def test_labels_that_do_not_fit_are_refused(
    network: VosNetwork, frames: list[FrameFeatures], labels: Tensor, objects: int | None, message: str
) -> None:
    with pytest.raises(EngineError, match=message):
        Engine(network).reference(frames[0], labels, objects)


def test_another_size_or_batch_is_refused(network: VosNetwork, frames: list[FrameFeatures]) -> None:
    engine = Engine(network)
    engine.reference(frames[0], draw_labels(0), 1)
    with pytest.raises(EngineError, match="another size"):
        engine.propagate(network.encode(torch.randn(1, 3, 65, 49)))
    engine.propagate(frames[1])
    with pytest.raises(EngineError, match="2 rows, the memory has 1"):
        engine.remember(draw_labels(0, rows=2))


@pytest.mark.parametrize("shape", [(1, 3, 48, 64), (3, 49, 65), (1, 3, 1, 1), (0, 3, 49, 65)])
def test_images_off_the_grid_are_refused(network: VosNetwork, shape: tuple[int, ...]) -> None:
    with pytest.raises(EngineError, match="images"):
        network.encode(torch.zeros(shape))


@pytest.mark.parametrize("options", [{"long_term_gap": 0}, {"max_memory_frames": 0}, {"active_objects": 0}])
def test_settings_that_mean_nothing_are_refused(network: VosNetwork, options: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="at least"):
        Engine(network, **options)
