"""The toolkit's networks behind the propagator: small ones with fixed random weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import deaot_toolkit
import numpy as np
import pytest
import torch
from PIL import Image

from propagate.engines.aot.settings import AotProtocol, AotSettings
from propagate.engines.protocol import Engine
from propagate.engines.table import build_engine
from propagate.passes import Prediction
from propagate.propagator import PropagationSettings, Propagator, Source
from rvos.errors import CheckpointError, ConfigError
from rvos.masks.mask_sequences import MaskSequence
from rvos.settings import load
from rvos.videos import Video

CPU = torch.device("cpu")
NETWORKS = ("small-aot", "small-deaot")
N_FRAMES = 4
SIZE = (50, 70)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = {}
    for name in NETWORKS:
        torch.manual_seed(0)
        paths[name] = folder / f"{name}.safetensors"
        deaot_toolkit.save(deaot_toolkit.build(name), paths[name])
    return paths


def make_video(folder: Path, size: tuple[int, int] = SIZE) -> Video:
    random = np.random.default_rng(0)
    names = tuple(f"{number:05d}" for number in range(N_FRAMES))
    paths = tuple(folder / f"{name}.png" for name in names)
    for path in paths:
        Image.fromarray(random.integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)
    return Video("v", names, (), paths)


def make_sequence(video: Video, expression: str, *, key: int, size: tuple[int, int] = SIZE) -> MaskSequence:
    masks = np.zeros((N_FRAMES, *size), dtype=np.bool_)
    place = int(expression)
    masks[:, : size[0] // 2, place : place + size[1] // 2] = True
    scores = np.zeros(N_FRAMES, dtype=np.float32)
    return MaskSequence.from_masks(
        masks, video="v", expression=expression, frames=video.frames, scores=scores, key_frame=key
    )


def build(settings: AotSettings) -> Engine:
    return build_engine(settings, device=CPU)


def predict(video: Video, sequences: Sequence[MaskSequence], engine: Engine) -> Iterator[Prediction]:
    return Propagator(engine).predict(video, [Source(sequences)])


def propagate_video(video: Video, sequences: Sequence[MaskSequence], engine: Engine) -> list[MaskSequence]:
    return Propagator(engine).propagate(video, [Source(sequences)])[0]


@pytest.mark.parametrize("protocol", ["fresh", "legacy"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_is_as_one_by_one(
    checkpoints: dict[str, Path], tmp_path: Path, name: str, protocol: AotProtocol
) -> None:
    video = make_video(tmp_path)
    engine = build(AotSettings(name, checkpoints[name], protocol=protocol))
    sequences = [make_sequence(video, str(n), key=key) for n, key in ((0, 1), (9, 1), (20, 2))]
    together = {(p.position, p.frame): p.probability for p in predict(video, sequences, engine)}
    assert len(together) == len(sequences) * (N_FRAMES - 1)
    for position, sequence in enumerate(sequences):
        for alone in predict(video, [sequence], engine):
            expected = together[position, alone.frame]
            torch.testing.assert_close(alone.probability, expected, atol=2e-5, rtol=0)


def test_probabilities_have_the_frame_size_and_lie_between_0_and_1(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    video = make_video(tmp_path)
    settings = AotSettings("small-aot", checkpoints["small-aot"], scales=(0.8, 1.2), flip=True)
    for protocol in ("fresh", "legacy"):
        engine = build(replace(settings, protocol=protocol))
        for prediction in predict(video, [make_sequence(video, "0", key=1)], engine):
            assert prediction.probability.shape == prediction.mask.shape == SIZE
            assert ((prediction.probability >= 0) & (prediction.probability <= 1)).all()


def test_directions_and_sources_share_features(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    video = make_video(tmp_path)
    engine = build(AotSettings("small-deaot", checkpoints["small-deaot"], flip=True))
    for key in (1, 2):
        propagate_video(video, [make_sequence(video, "0", key=key)], engine)
    assert engine.features.n_made == 2 * N_FRAMES


@pytest.mark.parametrize("name", NETWORKS)
def test_sources_go_together_and_give_what_they_give_alone(
    checkpoints: dict[str, Path], tmp_path: Path, name: str
) -> None:
    video = make_video(tmp_path)
    engine = build(AotSettings(name, checkpoints[name], cache_megabytes=0))
    propagator = Propagator(engine, PropagationSettings(keep_soft=True))
    many = [make_sequence(video, str(n), key=n % 3) for n in range(5)]
    sources = [Source(many, n_references=2), Source(many[::-1]), Source(many[:1])]
    alone = [propagator.propagate(video, [source])[0] for source in sources]
    made = engine.features.n_made
    together = propagator.propagate(video, sources)
    assert engine.features.n_made - made < made
    for found, expected in zip(together, alone, strict=True):
        for one, other in zip(found, expected, strict=True):
            assert (one.runs, one.expression, one.key_frame) == (other.runs, other.expression, other.key_frame)
            assert one.soft is not None
            assert other.soft is not None
            np.testing.assert_array_equal(one.soft.values, other.soft.values)


def test_cached_features_do_not_change_the_result(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    video = make_video(tmp_path)
    sequence = make_sequence(video, "0", key=1)
    settings = AotSettings("small-deaot", checkpoints["small-deaot"])
    shared, engine = build(settings), build(replace(settings, cache_megabytes=0))
    propagate_video(video, [sequence], shared)
    assert propagate_video(video, [sequence], shared)[0].runs == propagate_video(video, [sequence], engine)[0].runs
    assert engine.features.n_bytes == 0


@pytest.mark.parametrize("size", [(3, 5), (1, 40), (16, 16), (17, 33)], ids=str)
def test_very_small_frames_run(checkpoints: dict[str, Path], tmp_path: Path, size: tuple[int, int]) -> None:
    video = make_video(tmp_path, size)
    engine = build(AotSettings("small-aot", checkpoints["small-aot"]))
    masks = np.ones((N_FRAMES, *size), dtype=np.bool_)
    scores = np.zeros(N_FRAMES, dtype=np.float32)
    sequence = MaskSequence.from_masks(masks, video="v", expression="0", frames=video.frames, scores=scores)
    assert propagate_video(video, [sequence], engine)[0].masks().shape == (N_FRAMES, *size)


def test_half_precision_is_near_to_full(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    video = make_video(tmp_path)
    sequences = [make_sequence(video, "0", key=0)]
    settings = AotSettings("small-aot", checkpoints["small-aot"])
    full = next(predict(video, sequences, build(settings)))
    half = next(predict(video, sequences, build(replace(settings, precision="bfloat16"))))
    assert half.probability.dtype == torch.float32
    torch.testing.assert_close(half.probability, full.probability, atol=0.1, rtol=0)


def test_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing\.pth"):
        build(AotSettings("r50-aotl", tmp_path / "nothing.pth"))


def test_checkpoint_of_another_network_is_refused(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "aot.pth"
    torch.save({"state_dict": deaot_toolkit.build("small-aot").state_dict()}, path)
    with pytest.raises(CheckpointError, match="missing"):
        build(AotSettings("small-deaot", path))


def test_a_name_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "aot.safetensors"
    deaot_toolkit.save(deaot_toolkit.build("small-aot"), path)
    build(AotSettings("Small_AOT", path))  # another spelling is the same name
    with pytest.raises(
        CheckpointError, match=r"aot\.safetensors: holds a network small-aot, not r50-aotl; name that one"
    ):
        build(AotSettings("r50-aotl", path))


def test_unknown_network_lists_the_choices(tmp_path: Path) -> None:
    path = tmp_path / "aot.pth"
    torch.save({"state_dict": deaot_toolkit.build("small-aot").state_dict()}, path)
    with pytest.raises(ConfigError, match="r50-aotl"):
        build(AotSettings("aotx", path))


@pytest.mark.parametrize(
    "wrong",
    [{"scales": ()}, {"scales": (0.0,)}, {"protocol": "old"}, {"max_memory_frames": 0}, {"cache_megabytes": -1}],
    ids=str,
)
def test_settings_that_no_engine_can_use_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"engines.aot: .*{next(iter(wrong))}"):
        load(AotSettings, {"network": "r50-aotl", "checkpoint": "x.pth", **wrong}, where="engines.aot")
