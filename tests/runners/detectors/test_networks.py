"""Grounding DINO and UNINEXT as detectors, each a tiny network with random weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_parts import split_weights
from PIL import Image
from safetensors.torch import load_file, save_file
from small_dino import write_grounding_dino

from runners.checkpoints.saving import save_network
from runners.detectors.grounding_dino import GroundingDino, load_network
from runners.detectors.settings import GroundingDinoSettings, UninextDetectorSettings
from runners.detectors.table import build_detector
from runners.networks.text.bert import TextSizes
from runners.networks.text.tokenizers import SmallTokens
from runners.networks.uninext.config import ConvNextSizes, UninextConfig
from runners.networks.uninext.network import Uninext
from rvos.errors import CheckpointError, ConfigError
from rvos.masks.mask_sequences import decode
from rvos.videos import Video

CPU = torch.device("cpu")
SIZE = (40, 60)


@pytest.fixture
def video(tmp_path: Path) -> Video:
    random = np.random.default_rng(0)
    names = ("00000", "00005", "00010")
    for name in names:
        Image.fromarray(random.integers(0, 255, (*SIZE, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    return Video("v", names, (), tuple(tmp_path / f"{name}.png" for name in names))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grounding_dino(tmp_path_factory.mktemp("dino"))


def open_dino(folder: Path, **settings: float) -> GroundingDino:
    detector = build_detector(GroundingDinoSettings("grounding-dino", checkpoint=folder, **settings), device=CPU)  # type: ignore[arg-type]
    assert isinstance(detector, GroundingDino)
    return detector


def test_grounding_dino_gives_boxes_in_pixels_of_the_frame(folder: Path, video: Video) -> None:
    found = open_dino(folder, box_threshold=0.0).detect(video, (0, 2), [("cat",), ("man", "person")])
    assert [len(frames) for frames in found] == [2, 2]
    boxes = found[0][0].boxes
    assert len(boxes.labels) == 12
    assert boxes.boxes.max() > 1
    centres = (boxes.boxes[:, :2] + boxes.boxes[:, 2:]) / 2
    assert ((centres >= 0) & (centres <= np.array(SIZE[::-1]))).all()
    assert found[0][0].masks is None


def test_a_noun_gives_what_it_gives_alone(folder: Path, video: Video) -> None:
    detector = open_dino(folder, box_threshold=0.0)
    together = detector.detect(video, (0,), [("cat",), ("man",)])
    alone = detector.detect(video, (0,), [("man",)])
    assert np.array_equal(together[1][0].boxes.boxes, alone[0][0].boxes.boxes)


def test_low_scores_are_dropped_and_words_label_their_boxes(folder: Path, video: Video) -> None:
    everything = open_dino(folder, box_threshold=0.0, text_threshold=0.0).detect(video, (0,), [("man", "person")])
    scores = np.sort(everything[0][0].boxes.scores)
    assert everything[0][0].boxes.labels == ("man . person",) * 12
    middle = float(scores[6])
    few = open_dino(folder, box_threshold=middle, text_threshold=1.0).detect(video, (0,), [("man", "person")])
    assert few[0][0].boxes.labels == ("",) * int((scores >= middle).sum())


def copy(folder: Path, target: Path) -> Path:
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "preprocessor_config.json"])
def test_a_folder_that_lacks_a_file_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    broken = copy(folder, tmp_path / "dino")
    (broken / name).unlink()
    with pytest.raises(CheckpointError, match=f"no {name}"):
        open_dino(broken)


def test_damaged_files_are_refused(folder: Path, tmp_path: Path) -> None:
    broken = copy(folder, tmp_path / "dino")
    (broken / "model.safetensors").write_bytes(b"\x10" * 100)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not a whole safetensors file"):
        open_dino(broken)


def test_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    broken = copy(folder, tmp_path / "dino")
    (broken / "config.json").write_text('{"model_type": "detr"}')
    with pytest.raises(CheckpointError, match="type 'detr'"):
        open_dino(broken)


def test_every_key_is_accounted_for(folder: Path, tmp_path: Path) -> None:
    broken = copy(folder, tmp_path / "dino")
    state = load_file(folder / "model.safetensors")
    name = next(key for key in state if "input_proj" in key)
    weight = state.pop(name)
    save_file(state, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=f"1 missing keys, such as {name}"):
        open_dino(broken)
    save_file(state | {name: weight, "more": torch.zeros(1)}, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="1 unexpected keys, such as more"):
        open_dino(broken)


@pytest.mark.parametrize("prefix", ["model.", "module.", "_forward_module.", "_forward_module.model."])
@pytest.mark.parametrize("has_parts", [False, True])
def test_wrapped_weights_and_weights_in_parts_are_the_same_network(
    folder: Path, tmp_path: Path, prefix: str, *, has_parts: bool
) -> None:
    changed = copy(folder, tmp_path / "dino")
    state = load_file(folder / "model.safetensors")
    save_file({prefix + name: value for name, value in state.items()}, changed / "model.safetensors")
    if has_parts:
        split_weights(changed)
    expected, found = load_network(folder).state_dict(), load_network(changed).state_dict()
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


def test_heads_that_are_stored_once_leave_the_word_of_the_trunk(folder: Path, tmp_path: Path) -> None:
    trunk = copy(folder, tmp_path / "dino")
    state = load_file(folder / "model.safetensors")
    state = {f"model.decoder.{name}" if name.startswith("bbox_embed.") else name: v for name, v in state.items()}
    save_file(state, trunk / "model.safetensors")
    expected, found = load_network(folder).state_dict(), load_network(trunk).state_dict()
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


def test_a_missing_part_is_named(folder: Path, tmp_path: Path) -> None:
    broken = copy(folder, tmp_path / "dino")
    split_weights(broken)
    (broken / "model-00002-of-00002.safetensors").unlink()
    for device in (CPU, torch.device("meta")):
        with pytest.raises(CheckpointError, match=r"model-00002-of-00002\.safetensors: no such"):
            build_detector(GroundingDinoSettings("grounding-dino", checkpoint=broken), device=device)


def test_a_file_in_place_of_the_folder_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model\.safetensors: a file, not a folder; give a folder such as"):
        open_dino(folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="nowhere: no such folder"):
        open_dino(tmp_path / "nowhere")


def test_another_vocabulary_is_refused(folder: Path, tmp_path: Path) -> None:
    broken = copy(folder, tmp_path / "dino")
    (broken / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    with pytest.raises(ConfigError, match="bert-base-uncased"):
        open_dino(broken)


def test_values_that_are_not_finite_are_told(folder: Path, video: Video) -> None:
    detector = open_dino(folder)
    with torch.no_grad():
        for parameter in detector._network.model.level_embed, *detector._network.bbox_embed.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="v/00000: grounding-dino gives values that are not finite"):
        detector.detect(video, (0,), [("cat",)])


UNINEXT = UninextConfig(
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
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = Uninext(UNINEXT)
    network.reset_parameters()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    path = tmp_path_factory.mktemp("uninext") / "small.safetensors"
    save_network(path, "uninext", UNINEXT, network)
    return path


def test_uninext_gives_masks_with_the_boxes_around_them(checkpoint: Path, video: Video) -> None:
    detector = build_detector(UninextDetectorSettings("uninext", checkpoint=checkpoint, box_threshold=0.0), device=CPU)
    found = detector.detect(video, (0, 2), [("circle",), ("square", "circle")])
    assert [len(frames) for frames in found] == [2, 2]
    for frame in (*found[0], *found[1]):
        assert frame.masks is not None
        for mask, box in zip(decode(frame.masks, SIZE), frame.boxes.boxes, strict=True):
            rows, columns = np.nonzero(mask)
            extent = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else (0, 0, 0, 0)
            assert box.tolist() == list(extent)
    assert found[0][0].boxes.labels == ("circle",) * 12
    assert found[1][0].boxes.labels == ("square",) * 12 + ("circle",) * 12
    assert found[1][0].boxes.scores[12:].tolist() == found[0][0].boxes.scores.tolist()


def test_uninext_drops_low_scores_and_asks_nothing_without_a_noun(checkpoint: Path, video: Video) -> None:
    settings = UninextDetectorSettings("uninext", checkpoint=checkpoint, box_threshold=1.0)
    detector = build_detector(settings, device=CPU)
    assert detector.detect(video, (0,), [("circle",)])[0][0].boxes.labels == ()
    assert detector.detect(video, (0,), []) == []
    assert dataclasses.replace(settings, box_threshold=0.5).gives_masks
