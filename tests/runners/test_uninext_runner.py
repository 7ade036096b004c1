"""UNINEXT as a member: sizes, one visual pass for all expressions, batching, linking, and messages."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from runners.base import ModelSettings, OptionValue
from runners.checkpoints.saving import save_network
from runners.networks.text.bert import TextSizes
from runners.networks.text.tokenizers import SmallTokens
from runners.networks.uninext.config import ConvNextSizes, UninextConfig
from runners.networks.uninext.frames import count_tokens, finish, input_size, keep_logits, normalise, resize_frame
from runners.networks.uninext.network import Uninext, pad_frames
from runners.passes.frame_runner import CPU_TOKENS_AT_ONCE, FrameRunner
from runners.registry import build_runner
from runners.test_time import TestTime, mirror_words
from rvos.errors import CheckpointError, ConfigError, InputError
from rvos.masks.mask_sequences import MaskSequence, decode
from rvos.videos import Expression, Video

CPU = torch.device("cpu")
EXPRESSIONS = (
    Expression("0", "The red circle."),
    Expression("1", "the square moving to the left side of the picture"),
    Expression("2", "the circle"),
)
CONFIG = UninextConfig(
    backbone=ConvNextSizes((1, 1, 1, 1), (8, 8, 16, 16)),
    text=TextSizes(SmallTokens().vocabulary_size, 16, 1, 2, 16, 32, 32),
    width=32,
    heads=2,
    encoder_layers=1,
    decoder_layers=2,
    feed_forward=32,
    queries=12,
    fusion_width=32,
    fusion_heads=2,
    short_side=48,
    long_side=96,
    association_layers=1,
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = Uninext(CONFIG)
    network.reset_parameters()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    path = tmp_path_factory.mktemp("uninext") / "small.safetensors"
    save_network(path, "uninext", CONFIG, network)
    return path


def write_frames(folder: Path, n_frames: int, size: tuple[int, int]) -> Video:
    random = np.random.default_rng(0)
    paths = tuple(folder / f"{index:05}.png" for index in range(n_frames))
    for path in paths:
        Image.fromarray(random.integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)
    return Video("6031809500", tuple(path.stem for path in paths), EXPRESSIONS, paths)


@pytest.fixture
def video(tmp_path: Path) -> Video:
    return write_frames(tmp_path, 4, (61, 90))


def settings(checkpoint: Path, **changes: object) -> ModelSettings:
    return dataclasses.replace(ModelSettings("uninext", checkpoint), **changes)  # type: ignore[arg-type]


def build(checkpoint: Path, **changes: object) -> FrameRunner:
    runner = build_runner(settings(checkpoint, **changes), device=CPU)
    assert isinstance(runner, FrameRunner)
    return runner


def assert_same(found: list[MaskSequence], expected: list[MaskSequence]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.expression == other.expression
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        assert (one.masks() != other.masks()).mean() < 1e-3


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((720, 1280), (480, 853)),
        ((1280, 720), (853, 480)),
        ((480, 854), (480, 854)),
        ((720, 960), (480, 640)),
        ((300, 1000), (400, 1333)),
        ((333, 1281), (347, 1333)),
        ((1, 5000), (1, 1333)),
    ],
)
def test_frames_get_the_official_size(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert input_size(size, 480, 1333) == expected


def test_a_frame_of_the_right_size_stays_as_it_is() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (8, 9, 3), dtype=np.uint8)
    assert resize_frame(frame, (8, 9)) is frame
    assert resize_frame(frame, (4, 5)).shape == (4, 5, 3)


def test_normalised_mean_colour_is_zero() -> None:
    frames = np.full((1, 2, 2, 3), (123, 116, 103), np.uint8)
    found = normalise(frames)
    assert found.shape == (1, 3, 2, 2)
    torch.testing.assert_close(found[0, :, 0, 0], torch.tensor([-0.675 / 58.395, -0.28 / 57.12, -0.53 / 57.375]))


def test_the_original_size_is_reached_by_nearest_neighbour() -> None:
    logits = torch.full((1, 2, 2), -9.0)
    logits[0, 0, 0] = 9.0
    found = finish(logits, (8, 6), (16, 12))
    assert found.shape == (1, 16, 12)
    # Every second pixel of either axis is a copy of the one before it.
    torch.testing.assert_close(found[:, ::2], found[:, 1::2])
    torch.testing.assert_close(found[..., ::2], found[..., 1::2])
    kept = keep_logits(logits, (8, 6), True)
    assert kept is not None
    assert kept.shape == (1, 2, 2)


@pytest.mark.parametrize(("size", "multiple"), [((480, 853), 1), ((48, 75), 32)])
def test_tokens_are_counted_as_the_network_makes_them(size: tuple[int, int], multiple: int, checkpoint: Path) -> None:
    height, width = (-(-side // multiple) * multiple for side in size)
    shapes = [(-(-height // stride), -(-width // stride)) for stride in (8, 16, 32, 64)]
    assert count_tokens(size, multiple) == sum(rows * columns for rows, columns in shapes)
    if multiple == 32:
        network = build(checkpoint).network
        frames = pad_frames(torch.zeros(1, 3, *size), multiple)
        assert network.look(frames, torch.tensor([size])).tokens.shape[1] == count_tokens(size, multiple)


def test_every_expression_gets_a_sequence_at_frame_size(checkpoint: Path, video: Video) -> None:
    found = list(build(checkpoint).segment(video, EXPRESSIONS))
    assert [sequence.expression for sequence in found] == ["0", "1", "2"]
    for sequence in found:
        assert sequence.frames == video.frames
        assert sequence.masks().shape == (4, 61, 90)
        assert sequence.scores.dtype == np.float32
        assert ((sequence.scores > 0) & (sequence.scores < 1)).all()
        assert sequence.soft is not None
        assert sequence.soft.values.shape == (4, 12, 18)
    assert not np.allclose(found[0].scores, found[1].scores)


def test_expressions_and_frames_do_not_depend_on_their_company(checkpoint: Path, video: Video) -> None:
    together = list(build(checkpoint).segment(video, EXPRESSIONS))
    one_by_one = build(checkpoint, options={"tokens_at_once": 1})
    alone = [sequence for text in EXPRESSIONS for sequence in one_by_one.segment(video, [text])]
    assert_same(together, alone)
    single = dataclasses.replace(video, frames=video.frames[2:3], image_paths=video.image_paths[2:3])
    (last,) = one_by_one.segment(single, EXPRESSIONS[:1])
    np.testing.assert_allclose(last.scores, together[0].scores[2:3], atol=1e-5)


def test_the_backbone_runs_once_for_all_expressions(
    checkpoint: Path, video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = build(checkpoint)
    seen = []
    backbone = runner.network.detr.detr.backbone[0]
    backbone.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    list(runner.segment(video, EXPRESSIONS))
    assert sum(seen) == video.n_frames


def test_no_batch_passes_the_token_limit(checkpoint: Path, video: Video) -> None:
    per_frame = count_tokens((48, 71), 32)
    runner = build(checkpoint, options={"tokens_at_once": 2 * per_frame + 1})
    seen = []
    encoder = runner.network.detr.detr.transformer.encoder.layers[0]
    encoder.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].shape[0]))
    list(runner.segment(video, EXPRESSIONS))
    assert seen == [2] * 6


def test_the_cpu_takes_no_more_at_once_than_its_caches_hold(checkpoint: Path) -> None:
    assert build(checkpoint, options={"tokens_at_once": 10 * CPU_TOKENS_AT_ONCE}).tokens_at_once == CPU_TOKENS_AT_ONCE
    assert build(checkpoint, options={"tokens_at_once": 5}).tokens_at_once == 5


def test_no_expressions_give_nothing(checkpoint: Path, video: Video) -> None:
    assert list(build(checkpoint).segment(video, [])) == []


def test_linking_is_off_by_default_and_keeps_shapes_when_on(checkpoint: Path, video: Video) -> None:
    assert build(checkpoint).n_best == 1
    linked = list(build(checkpoint, options={"link": True}).segment(video, EXPRESSIONS))
    plain = list(build(checkpoint).segment(video, EXPRESSIONS))
    for one, other in zip(linked, plain, strict=True):
        best = other.pick_key_frame()
        assert one.masks().shape == other.masks().shape
        np.testing.assert_allclose(one.scores[best], other.scores[best], atol=1e-6)
        assert (one.scores <= other.scores + 1e-6).all()


def test_soft_maps_can_be_left_out(checkpoint: Path, video: Video) -> None:
    (sequence,) = build(checkpoint, keep_soft=False).segment(video, EXPRESSIONS[:1])
    assert sequence.soft is None


def test_half_precision_gives_close_scores(checkpoint: Path, video: Video) -> None:
    (full,) = build(checkpoint).segment(video, EXPRESSIONS[:1])
    (half,) = build(checkpoint, precision="bfloat16").segment(video, EXPRESSIONS[:1])
    assert np.abs(full.scores - half.scores).max() < 0.1


@pytest.mark.parametrize("text", ["", "  ", "?!", "..."])
def test_an_expression_without_words_is_named(checkpoint: Path, video: Video, text: str) -> None:
    with pytest.raises(InputError, match=r"6031809500/7: .*no words"):
        list(build(checkpoint).segment(video, [EXPRESSIONS[0], Expression("7", text)]))


def test_a_missing_frame_is_named(checkpoint: Path, video: Video) -> None:
    video.image_paths[2].unlink()
    with pytest.raises(InputError, match=r"00002\.png: frame is missing"):
        list(build(checkpoint).segment(video, EXPRESSIONS))


def test_a_damaged_frame_is_named(checkpoint: Path, video: Video) -> None:
    video.image_paths[1].write_bytes(b"no image")
    with pytest.raises(InputError, match=r"00001\.png: .*cannot be decoded"):
        list(build(checkpoint).segment(video, EXPRESSIONS))


def test_frames_of_two_sizes_are_refused(checkpoint: Path, video: Video) -> None:
    Image.new("RGB", (40, 30)).save(video.image_paths[3])
    with pytest.raises(InputError, match="6031809500/00003: frame is 30x40 but the first is 61x90"):
        list(build(checkpoint).segment(video, EXPRESSIONS))


def test_grey_frames_are_taken_as_rgb(checkpoint: Path, video: Video) -> None:
    Image.new("L", (90, 61), 99).save(video.image_paths[0])
    assert len(list(build(checkpoint).segment(video, EXPRESSIONS[:1]))) == 1


def test_tiny_frames_have_fewer_tokens_than_queries(checkpoint: Path, tmp_path: Path) -> None:
    options: dict[str, OptionValue] = {"short_side": 8, "long_side": 8}
    tiny = write_frames(tmp_path, 1, (9, 9))
    config = dataclasses.replace(CONFIG, queries=40, width=64)
    torch.manual_seed(0)
    network = Uninext(config)
    path = tmp_path / "many.safetensors"
    save_network(path, "uninext", config, network)
    (sequence,) = build(path, options=options).segment(tiny, EXPRESSIONS[:1])
    assert sequence.masks().shape == (1, 9, 9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 5}, "frame by frame"),
        ({"overlap": 1}, "frame by frame"),
        ({"options": {"short": 3}}, "unknown key 'short'"),
        ({"options": {"tokens_at_once": 0}}, "tokens_at_once 0 is not a whole number of at least 1"),
        ({"options": {"tokens_at_once": 1.5}}, "tokens_at_once 1.5"),
        ({"options": {"short_side": True}}, "short_side True"),
        ({"options": {"link": 1}}, "link 1 is not true or false"),
        ({"precision": "float64"}, "float64"),
    ],
)
def test_settings_it_does_not_have_are_refused(checkpoint: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(checkpoint, **changes)


def test_a_tokeniser_of_another_network_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no vocab\.txt"):
        build(checkpoint, tokenizer=tmp_path)


def test_linking_needs_the_embedding_head(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, association_layers=0)
    path = tmp_path / "plain.safetensors"
    save_network(path, "uninext", config, Uninext(config))
    with pytest.raises(ConfigError, match="no embeddings to link"):
        build(path, options={"link": True})


def test_another_networks_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_network(path, "soc", CONFIG, torch.nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match="holds a soc network"):
        build(path)


def test_a_bare_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.pth"
    torch.save({"model": {"weight": torch.zeros(2)}}, path)
    with pytest.raises(ConfigError, match="backbone None is unknown"):
        build(path)
    with pytest.raises(ConfigError, match="choose one of resnet50"):
        build(path, backbone="resnet18")


def test_scores_that_are_not_finite_are_told(checkpoint: Path, video: Video) -> None:
    runner = build(checkpoint)
    with torch.no_grad():
        runner.network.detr.detr.iou_head["1"].bias.fill_(torch.nan)
    with pytest.raises(CheckpointError, match="not finite"):
        list(runner.segment(video, EXPRESSIONS))


def test_a_sentence_may_mean_several_objects(checkpoint: Path, video: Video) -> None:
    one = list(build(checkpoint, keep_soft=False).segment(video, EXPRESSIONS))
    everything = list(build(checkpoint, options={"several": 0.0}).segment(video, EXPRESSIONS))
    middle = float(np.median(one[0].scores))
    some = list(build(checkpoint, options={"several": middle}).segment(video, EXPRESSIONS[:1]))
    nothing = list(build(checkpoint, options={"several": 1.0}).segment(video, EXPRESSIONS))
    runner = build(checkpoint, keep_soft=False)
    runner.n_best = CONFIG.queries
    tracks = runner.find(video, EXPRESSIONS)
    for expression, track in enumerate(tracks):
        united = np.stack([decode(frame.runs, (61, 90)).any(0) for frame in track])
        np.testing.assert_array_equal(everything[expression].masks(), united)
        np.testing.assert_array_equal(everything[expression].scores, one[expression].scores)
        assert not nothing[expression].masks().any()
        assert not nothing[expression].scores.any()
    enough = [np.array(frame.scores) >= middle for frame in tracks[0]]
    united = [decode(frame.runs, (61, 90))[own].any(0) for frame, own in zip(tracks[0], enough, strict=True)]
    np.testing.assert_array_equal(some[0].masks(), np.stack(united))
    assert 0 < sum(own.sum() for own in enough) < len(tracks[0]) * CONFIG.queries
    assert everything[0].soft is None


def test_a_link_follows_one_object(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="link and several"):
        build(checkpoint, options={"link": True, "several": 0.3})


def test_one_ordinary_view_gives_the_ordinary_masks(checkpoint: Path, video: Video) -> None:
    plain = list(build(checkpoint, keep_soft="float16").segment(video, EXPRESSIONS))
    found = list(build(checkpoint, keep_soft="float16", test_time=TestTime(sizes=(48,))).segment(video, EXPRESSIONS))
    for one, other in zip(plain, found, strict=True):
        assert one.runs == other.runs
        np.testing.assert_array_equal(one.scores, other.scores)
        assert one.soft is not None
        assert other.soft is not None
        # Far out the sigmoid of float32 tells logits apart no more.
        clipped = [np.clip(own.soft.dequantise(), -8, 8) for own in (one, other) if own.soft is not None]
        np.testing.assert_allclose(*clipped, atol=2e-2)


def test_views_are_those_of_mirrored_and_resized_videos_averaged(checkpoint: Path, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("plain", "mirrored")]
    for folder in folders:
        folder.mkdir()
    # 60 columns: where the input is as wide as the frame, the nearest pixel is one and the same from both sides.
    video = write_frames(folders[0], 3, (48, 60))
    paths = tuple(folders[1] / path.name for path in video.image_paths)
    for path, mirrored in zip(video.image_paths, paths, strict=True):
        Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(mirrored)
    words = tuple(dataclasses.replace(one, text=mirror_words(one.text)) for one in EXPRESSIONS)
    other = dataclasses.replace(video, image_paths=paths, expressions=words)
    single = []
    for side in (48, 64):
        for seen, is_mirrored in ((video, False), (other, True)):
            runner = build(checkpoint, options={"short_side": side}, keep_soft=False)
            single.append((is_mirrored, list(runner.segment(seen, seen.expressions))))
    views = TestTime(flip=True, sizes=(48, 64))
    found = list(build(checkpoint, test_time=views).segment(video, EXPRESSIONS))
    for place, one in enumerate(found):
        masks = [own[place].masks()[..., :: -1 if is_mirrored else 1] for is_mirrored, own in single]
        np.testing.assert_allclose(one.scores, np.mean([own[place].scores for _, own in single], axis=0), atol=1e-5)
        agreed = np.all(masks, axis=0) | ~np.any(masks, axis=0)
        # Where all views say the same, so does their mean.
        assert (one.masks() != masks[0])[agreed].mean() < 1e-3
        assert one.soft is not None
        assert one.soft.values.shape == (3, 12, 15)
    assert any((one.masks() != own[place].masks()).any() for place, one in enumerate(found) for _, own in single[:1])


@pytest.mark.parametrize("options", [{"link": True}, {"several": 0.3}])
def test_views_average_one_mask_a_frame(checkpoint: Path, options: dict[str, OptionValue]) -> None:
    with pytest.raises(ConfigError, match="uninext: test_time averages the best mask of every frame"):
        build(checkpoint, test_time=TestTime(flip=True), options=options)
