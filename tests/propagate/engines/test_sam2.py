"""SAM 2 behind the propagator: a small network with fixed weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sam2_weights import NETWORK, SIDE, SIZE, make_network, make_sequence, make_video

from propagate.engines.aot.settings import AotSettings
from propagate.engines.protocol import Augmentation
from propagate.engines.sam2.engine import Sam2Engine, Sam2Features, Sam2Session
from propagate.engines.sam2.memory import ObjectMemory
from propagate.engines.sam2.network import Sam2Network
from propagate.engines.sam2.settings import Sam2Protocol, Sam2Settings
from propagate.frames import Frame
from propagate.propagator import Propagator, Source
from rvos.errors import ConfigError, InputError
from rvos.masks.mask_sequences import MaskSequence
from rvos.settings import load
from rvos.videos import Video

CPU = torch.device("cpu")
LONG = 24
"""Frames: more than the six maps and fifteen pointers that are read."""


@pytest.fixture(scope="module")
def network() -> Sam2Network:
    return make_network()


class Watched(Sam2Engine):
    """Keeps its sessions."""

    def __init__(self, network: Sam2Network, settings: Sam2Settings, *, device: torch.device) -> None:
        super().__init__(network, settings, device=device)
        self.opened: list[Sam2Session] = []

    def open(self) -> Sam2Session:
        self.opened.append(super().open())
        return self.opened[-1]


def build(network: Sam2Network, protocol: Sam2Protocol = "fresh", **options: Any) -> Sam2Engine:
    settings = Sam2Settings(NETWORK, Path("weights"), protocol=protocol, image_size=SIDE, **options)
    return Sam2Engine(network, settings, device=CPU)


def propagate(video: Video, engine: Sam2Engine, *sequences: MaskSequence, references: int = 1) -> list[MaskSequence]:
    return Propagator(engine).propagate(video, [Source(sequences, references)])[0]


def read(engine: Sam2Engine, video: Video, index: int) -> list[Sam2Features]:
    return [engine.read(Frame(video, index, SIZE), Augmentation(1.0, mirrored=False))]


def keep_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ObjectMemory, "_prune", lambda self, kept, frame, reach: kept)


def test_a_key_mask_goes_both_ways_and_stays(network: Sam2Network, tmp_path: Path) -> None:
    video = make_video(tmp_path, 6)
    given = make_sequence(video, key=2)
    found = propagate(video, build(network), given)[0]
    assert found.runs[2] == given.runs[2]
    areas = found.masks().sum(axis=(1, 2))
    assert all(0 < area < SIZE[0] * SIZE[1] for area in areas)
    assert found.propagation is not None
    assert found.propagation[2] == 1
    # Its masks are where the probability is above a half, so their mean is.
    assert ((found.propagation > 0.5) & (found.propagation <= 1)).all()


def test_a_frame_is_encoded_once_for_all_expressions_directions_and_sources(
    network: Sam2Network, tmp_path: Path
) -> None:
    video = make_video(tmp_path, 5)
    engine = build(network)
    sequences = [make_sequence(video, str(number), key=number) for number in range(3)]
    Propagator(engine).propagate(video, [Source(sequences[:2]), Source(sequences[2:])])
    assert engine.features.n_made == 5


def test_objects_give_together_what_they_give_alone(network: Sam2Network, tmp_path: Path) -> None:
    video = make_video(tmp_path, 6)
    engine = build(network)
    sequences = [make_sequence(video, str(number), key=key) for number, key in ((0, 2), (7, 2), (3, 4))]
    for together, sequence in zip(propagate(video, engine, *sequences), sequences, strict=True):
        (alone,) = propagate(video, engine, sequence)
        assert together.runs == alone.runs
        np.testing.assert_array_equal(together.propagation, alone.propagation)


@pytest.mark.parametrize("protocol", ["fresh", "shared"])
def test_what_is_forgotten_is_never_read(
    network: Sam2Network, tmp_path: Path, protocol: Sam2Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make_video(tmp_path, LONG)
    sequence = make_sequence(video, key=18)
    (pruned,) = propagate(video, build(network, protocol), sequence)
    keep_everything(monkeypatch)
    (whole,) = propagate(video, build(network, protocol), sequence)
    assert pruned.runs == whole.runs
    np.testing.assert_array_equal(pruned.propagation, whole.propagation)


@pytest.mark.parametrize(("maps", "pointers"), [(5, 15), (6, 14)], ids=["a map less", "a pointer less"])
def test_nothing_more_may_be_forgotten(
    network: Sam2Network, tmp_path: Path, maps: int, pointers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make_video(tmp_path, LONG)
    sequence = make_sequence(video, key=0)
    (expected,) = propagate(video, build(network), sequence)
    reach = {6: maps, 15: pointers}
    prune = ObjectMemory._prune
    monkeypatch.setattr(ObjectMemory, "_prune", lambda self, kept, frame, limit: prune(self, kept, frame, reach[limit]))
    (found,) = propagate(video, build(network), sequence)
    assert found.propagation is not None
    assert (found.propagation != expected.propagation).any()


@pytest.mark.parametrize(("protocol", "extra"), [("fresh", 0), ("shared", 5)])
def test_memory_does_not_grow_with_the_video(
    network: Sam2Network, tmp_path: Path, protocol: Sam2Protocol, extra: int
) -> None:
    video = make_video(tmp_path, 40)
    engine = Watched(network, Sam2Settings(NETWORK, Path("weights"), protocol=protocol), device=CPU)
    held = []
    for _ in Propagator(engine).predict(video, [Source([make_sequence(video, key=0)])]):
        (walker,) = engine.opened[0].objects
        held.append(walker.memory.n_bytes)
    # Full after the fifteen pointers that are read, and with `shared` fourteen more next to the key frame.
    assert max(held) == held[-1] == held[30] > held[5]
    cells = (SIDE // 16) ** 2
    maps = (1 + 6 + extra) * cells * 64 * 2
    assert maps < held[-1] < maps + 40 * 256 * 4 + 4 * (SIDE // 4) ** 2 + 100


def test_shared_lets_the_backward_pass_see_the_forward_pass(network: Sam2Network, tmp_path: Path) -> None:
    video = make_video(tmp_path, 10)
    sequence = make_sequence(video, key=5)
    (fresh,) = propagate(video, build(network, "fresh"), sequence)
    (shared,) = propagate(video, build(network, "shared"), sequence)
    assert fresh.runs[5:] == shared.runs[5:]
    assert fresh.runs[:5] != shared.runs[:5]


def test_fresh_directions_are_independent(network: Sam2Network, tmp_path: Path) -> None:
    video = make_video(tmp_path, 20)
    turned = Video("v", video.frames, (), video.image_paths[::-1])
    sequence = make_sequence(video, key=9)
    backwards = MaskSequence("v", "0", video.frames, SIZE, sequence.runs[::-1], sequence.scores, key_frame=10)
    (found,) = propagate(video, build(network), sequence)
    (mirrored,) = propagate(turned, build(network), backwards)
    assert found.runs == mirrored.runs[::-1]


def test_short_clips_measure_distances_by_their_own_length(network: Sam2Network, tmp_path: Path) -> None:
    long = make_video(tmp_path, 20)
    short = Video("v", long.frames[:5], (), long.image_paths[:5])
    (whole,) = propagate(long, build(network), make_sequence(long, key=0))
    (cut,) = propagate(short, build(network), make_sequence(short, key=0))
    assert whole.runs[:5] != cut.runs


def test_several_references_are_prompts_that_are_not_computed_again(network: Sam2Network, tmp_path: Path) -> None:
    video = make_video(tmp_path, 6)
    engine = build(network)
    session = engine.open()
    for key in (4, 1):
        session.start(read(engine, video, key), masks=torch.from_numpy(make_sequence(video, key=key).mask(key))[None])
    (walker,) = session.objects
    given = walker.memory.prompted[4]
    for index in (2, 3, 4):
        session.commit(session.step(read(engine, video, index)).masks)
    assert walker.memory.prompted[4] is given
    assert sorted(walker.memory.prompted) == [1, 4]


def test_a_box_finds_a_mask_and_its_presence(network: Sam2Network, tmp_path: Path) -> None:
    video = make_video(tmp_path, 3)
    engine = build(network)
    session = engine.open()
    step = session.start(read(engine, video, 0), boxes=torch.tensor([[0.0, 10.0, 16.0, 26.0]]))
    assert step.masks.shape == (1, *SIZE)
    assert step.presence is not None
    assert 0.5 < float(step.presence) < 1
    torch.testing.assert_close(step.masks, step.probability > 0.5)
    other = engine.open().start(read(engine, video, 0), boxes=torch.tensor([[30.0, 0.0, 60.0, 20.0]]))
    assert not torch.equal(other.probability, step.probability)
    assert session.step(read(engine, video, 1)).masks.shape == (1, *SIZE)


def test_an_object_that_is_not_there_has_probability_0(tmp_path: Path) -> None:
    network = make_network()
    with torch.no_grad():
        network.model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(-40.0)
    video = make_video(tmp_path, 3)
    (found,) = propagate(video, build(network), make_sequence(video, key=0))
    assert not found.masks()[1:].any()
    assert found.propagation is not None
    assert found.propagation.tolist() == [1, 0, 0]


def test_masks_that_were_decided_otherwise_are_remembered(network: Sam2Network, tmp_path: Path) -> None:
    video = make_video(tmp_path, 4)
    engine = build(network)
    outcomes = []
    for change in (False, True):
        session = engine.open()
        session.start(read(engine, video, 0), masks=torch.from_numpy(make_sequence(video, key=0).mask(0))[None])
        step = session.step(read(engine, video, 1))
        session.commit(~step.masks if change else step.masks)
        outcomes.append(session.step(read(engine, video, 2)).probability)
    assert not torch.equal(*outcomes)


def test_a_step_before_any_prompt_is_refused(network: Sam2Network, tmp_path: Path) -> None:
    video = make_video(tmp_path, 2)
    engine = build(network)
    with pytest.raises(InputError, match="start it from a mask or a box"):
        engine.open().step(read(engine, video, 0))


@pytest.mark.parametrize("prompts", [{}, {"masks": torch.ones(1, *SIZE), "boxes": torch.ones(1, 4)}], ids=len)
def test_exactly_one_kind_of_prompt(network: Sam2Network, tmp_path: Path, prompts: dict[str, Any]) -> None:
    video = make_video(tmp_path, 1)
    engine = build(network)
    with pytest.raises(ConfigError, match="one of both"):
        engine.open().start(read(engine, video, 0), **prompts)


def test_half_precision_runs_and_stays_near(network: Sam2Network, tmp_path: Path) -> None:
    video = make_video(tmp_path, 3)
    sequence = make_sequence(video, key=0)
    full, half = (
        next(Propagator(build(network, precision=precision)).predict(video, [Source([sequence])]))
        for precision in ("float32", "bfloat16")
    )
    assert half.probability.dtype == torch.float32
    assert float((half.probability - full.probability).abs().mean()) < 0.1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"protocol": "legacy"}, "choose one of fresh, shared"),
        ({"scales": (0.8,)}, "unknown key 'scales'"),
        ({"flip": True}, "unknown key 'flip'"),
        ({"long_term_gap": 3}, "unknown key 'long_term_gap'"),
    ],
    ids=str,
)
def test_settings_of_aot_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(Sam2Settings, {"network": NETWORK, "checkpoint": "x", **wrong}, where="engines.sam2")


def test_settings_of_sam2_are_refused_by_aot() -> None:
    for wrong, message in (
        ({"image_size": 512}, "unknown key 'image_size'"),
        ({"protocol": "shared"}, "fresh, legacy"),
    ):
        with pytest.raises(ConfigError, match=message):
            load(AotSettings, {"network": "r50-aotl", "checkpoint": "x", **wrong}, where="engines.aot")
