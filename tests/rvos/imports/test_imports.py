"""Masks of other systems: exact where they fit, one clear error where they do not, and nothing executed."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_folders import (
    FRAMES,
    SIZE,
    index_map,
    listed,
    write_json,
    write_png,
    write_predictions,
    write_ref_youtube_vos,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco
from reference import RELEASED

from rvos.errors import ConfigError, InputError
from rvos.files.tensor_files import read_torch_file
from rvos.formats import Dataset, open_dataset
from rvos.imports import Source, find_misfits, open_source
from rvos.masks.mask_sequences import MaskSequence

VIDEOS = {"b": listed({"0": "1", "1": "2"}), "a": listed({"7": "2"}, FRAMES[:2])}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return open_dataset("ref-youtube-vos", write_ref_youtube_vos(tmp_path / "data", VIDEOS), "valid")


def read_member(source: Source, dataset: Dataset) -> Iterator[tuple[str, tuple[MaskSequence, ...]]]:
    for video in dataset.videos:
        yield video.id, source.read(video)


def a_dump(change: Any = None) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for video, entry in VIDEOS.items():
        content[video] = {}
        for name, expression in entry["expressions"].items():
            masks = np.stack([index_map(t) == int(expression["obj_id"]) for t in range(len(entry["frames"]))])
            content[video][name] = {
                "mask_logits": torch.from_numpy(np.where(masks, 3.0, -3.0).astype(np.float32)),
                "class_info": [0.25, 0.75, 0.5][: len(masks)],
            }
    if change:
        change(content)
    return content


def write_dump(path: Path, content: object, *, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "old container"])
def test_dumps_give_masks_scores_and_key_frames(tmp_path: Path, dataset: Dataset, legacy: bool) -> None:
    source = open_source("dump", write_dump(tmp_path / "soc.pth", a_dump(), legacy=legacy))
    for video, (video_id, sequences) in zip(dataset.videos, read_member(source, dataset), strict=True):
        assert video_id == video.id
        assert [sequence.expression for sequence in sequences] == [expression.id for expression in video.expressions]
        for sequence, expression in zip(sequences, video.expressions, strict=True):
            expected = np.stack([index_map(t) == int(expression.object_ids[0]) for t in range(video.n_frames)])
            assert np.array_equal(sequence.masks(), expected)
            assert sequence.key_frame == 1
            assert sequence.scores.tolist() == [0.25, 0.75, 0.5][: video.n_frames]
    assert find_misfits(source, dataset.videos) == []


def test_dumps_of_the_release_are_met_exactly(tmp_path: Path) -> None:
    folder = RELEASED
    arrays, expected = np.load(folder / "dumps.npz"), np.load(folder / "expected.npz")
    key_frames = json.loads((folder / "expected_key_frames.json").read_text())
    meta = tmp_path / "data/meta_expressions/test/meta_expressions.json"
    write_json(meta, json.loads((folder / "meta_expressions_test.json").read_text()))
    dataset = open_dataset("ref-youtube-vos", tmp_path / "data", "test")
    names = {"soc": "soc", "mutr": "mutr", "referformer_ft": "referformer_ft", "vit_huge": "vit-huge"}
    for model, node in names.items():
        content = {
            video.id: {
                expression.id: {
                    "mask_logits": torch.from_numpy(
                        arrays[f"{model}/{video.id}/{expression.id}/mask"].astype(np.float32)
                    ),
                    "class_info": arrays[f"{model}/{video.id}/{expression.id}/score"].tolist(),
                }
                for expression in video.expressions
            }
            for video in dataset.videos
        }
        values: Any = "probabilities" if model == "vit_huge" else "logits"
        source = open_source("dump", write_dump(tmp_path / f"{model}.pth", content), values=values)
        for video, sequences in read_member(source, dataset):
            for sequence in sequences:
                packed = expected[f"raw/{node}/{video}/{sequence.expression}"]
                masks = np.unpackbits(packed, axis=-1, count=sequence.size[1]).astype(bool)
                assert np.array_equal(sequence.masks(), masks)
                info = key_frames[node][video][sequence.expression]["index_info"]
                assert sequence.pick_key_frame() == info["class_index"]


@pytest.mark.parametrize(
    ("value", "values", "expected"),
    [
        (0.0, "logits", False),
        (6e-8, "logits", False),
        (8.940697e-08, "logits", False),
        (8.9406974e-08, "logits", True),
        (1e-6, "logits", True),
        (0.5, "probabilities", False),
        (0.50000006, "probabilities", True),
    ],
)
def test_thresholds_are_those_of_float32(tmp_path: Path, value: float, values: Any, expected: bool) -> None:
    videos = {"v": listed({"0": None}, FRAMES[:1])}
    dataset = open_dataset("ref-youtube-vos", write_ref_youtube_vos(tmp_path, videos, annotated=False), "valid")
    masks = torch.full((1, *SIZE), value)
    if values == "logits":
        assert bool((torch.sigmoid(masks) > 0.5).all()) is expected
    path = write_dump(tmp_path / "d.pth", {"v": {"0": {"mask_logits": masks, "class_info": [1.0]}}})
    (sequence,) = open_source("dump", path, values=values).read(dataset.videos[0])
    assert bool(sequence.masks().all()) is expected
    assert bool(sequence.masks().any()) is expected


@pytest.mark.parametrize("kind", [torch.float16, torch.float64, torch.float32], ids=str)
def test_other_number_types_and_shared_storages_are_read(tmp_path: Path, dataset: Dataset, kind: torch.dtype) -> None:
    whole = torch.full((4, *SIZE), -1.0, dtype=kind)
    whole[1:, 3, 5] = 1

    def change(content: dict[str, Any]) -> None:
        content["b"]["0"]["mask_logits"] = whole[1:]
        content["b"]["0"]["class_info"] = [np.float32(0.5), torch.tensor(0.25), 1]

    source = open_source("dump", write_dump(tmp_path / "d.pth", a_dump(change)))
    sequence = source.read(dataset.video("b"))[0]
    assert np.argwhere(sequence.masks()).tolist() == [[0, 3, 5], [1, 3, 5], [2, 3, 5]]
    assert sequence.scores.tolist() == [0.5, 0.25, 1]


def test_soft_maps_of_a_dump_can_be_kept(tmp_path: Path, dataset: Dataset) -> None:
    path = write_dump(tmp_path / "d.pth", a_dump())
    (sequence,) = open_source("dump", path, soft=True).read(dataset.video("a"))
    assert sequence.soft is not None
    assert sequence.soft.values.shape == (2, SIZE[0] // 4, SIZE[1] // 4)
    assert sequence.soft.kind == "logit"


def test_split_dumps_are_one_source(tmp_path: Path, dataset: Dataset) -> None:
    content = a_dump()
    (tmp_path / "parts").mkdir()
    write_dump(tmp_path / "parts/soc0.pth", {"b": content["b"]})
    write_dump(tmp_path / "parts/soc1.pth", {"a": content["a"]})
    source = open_source("dump", tmp_path / "parts")
    assert [video for video, _ in read_member(source, dataset)] == ["b", "a"]
    write_dump(tmp_path / "parts/soc2.pth", {"a": content["a"]})
    with pytest.raises(InputError, match=r"soc2\.pth: video a is in soc1\.pth too"):
        open_source("dump", tmp_path / "parts")


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("container", ["archive", "old container", "plain pickle"])
def test_a_dump_that_wants_to_execute_code_is_refused(tmp_path: Path, container: str) -> None:
    path = tmp_path / "evil.pth"
    content = {"v": {"0": Evil(tmp_path / "executed")}}
    if container == "plain pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        write_dump(path, content, legacy=container == "old container")
    with pytest.raises(InputError, match=r"evil\.pth: refused, it names \w+\.mkdir"):
        open_source("dump", path)
    assert not (tmp_path / "executed").exists()


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.booleans())
def test_damaged_dumps_never_crash(tmp_path: Path, data: st.DataObject, legacy: bool) -> None:
    path = write_dump(
        tmp_path / "d.pth", {"v": {"0": {"mask_logits": torch.zeros(1, 2, 2), "class_info": [1.0]}}}, legacy=legacy
    )
    content = bytearray(path.read_bytes())
    # Old containers hold addresses, so the file's length differs from run to run; the draws must not.
    place = data.draw(st.integers(0, 1 << 20)) % len(content)
    if data.draw(st.booleans()):
        content = content[:place]
    else:
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read_torch_file(path)
    except InputError as error:
        message = str(error)
    else:
        message = str(path)
    assert message.startswith(str(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("b"), "no video b"),
        (lambda c: c["b"].pop("1"), "b/1: no `mask_logits`"),
        (lambda c: c["b"]["1"].update(mask_logits=torch.zeros(2, *SIZE)), "b/1: 2 masks, the video has 3"),
        (lambda c: c["b"]["1"].update(mask_logits=torch.zeros(3, 5, 5)), "b/1: masks of 5 x 5 pixels"),
        (lambda c: c["b"]["1"].update(mask_logits=torch.zeros(3, 1, *SIZE)), r"no tensor \(T, H, W\)"),
        (lambda c: c["b"]["1"].update(mask_logits=torch.zeros(3, *SIZE[::-1]).transpose(1, 2)), "in one piece"),
        (lambda c: c["b"]["1"].update(mask_logits=[1, 2]), "no tensor"),
        (lambda c: c["b"]["1"].update(mask_logits=torch.full((3, *SIZE), float("nan"))), "NaN"),
        (lambda c: c["b"]["1"].update(class_info=[1.0]), "1 score, expected 3"),
        (lambda c: c["b"]["1"].update(class_info="high"), "no list of scores"),
        (lambda c: c["b"]["1"].update(class_info=["x"] * 3), "something else than finite numbers"),
        (lambda c: c.update(b=3), "a text with a whole number, not a video"),
    ],
)
def test_dumps_that_do_not_fit_are_named(tmp_path: Path, dataset: Dataset, change: Any, message: str) -> None:
    path = write_dump(tmp_path / "soc.pth", a_dump(change))
    with pytest.raises(InputError, match=rf"soc\.pth: .*{message}"):
        open_source("dump", path).read(dataset.video("b"))


def test_logits_are_not_taken_for_probabilities(tmp_path: Path, dataset: Dataset) -> None:
    path = write_dump(tmp_path / "soc.pth", a_dump())
    with pytest.raises(InputError, match="say `values: logits`"):
        open_source("dump", path, values="probabilities").read(dataset.video("b"))


@pytest.mark.parametrize("layout", ["plain", "with Annotations", "release"])
def test_png_folders_give_masks_and_key_frames(tmp_path: Path, dataset: Dataset, layout: str) -> None:
    folder = {"plain": "m", "with Annotations": "m/Annotations", "release": "m/Annotations_AOT_class_index"}[layout]
    write_predictions(tmp_path / folder, VIDEOS)
    key_frames = {
        video: {name: {"index_info": {"class_index": 1}} for name in entry["expressions"]}
        for video, entry in VIDEOS.items()
    }
    if layout != "plain":
        write_json(tmp_path / "m/key_frame.json", key_frames)
    source = open_source("png", tmp_path / ("m" if layout != "release" else folder))
    assert find_misfits(source, dataset.videos) == []
    sequence = source.read(dataset.video("b"))[1]
    assert np.array_equal(sequence.masks(), np.stack([index_map(t) == 2 for t in range(3)]))
    assert sequence.key_frame == (None if layout == "plain" else 1)


@pytest.mark.parametrize(("mode", "value"), [("L", 255), ("L", 1), ("P", 1), ("P", 255)])
def test_png_values_may_be_one_or_255(tmp_path: Path, dataset: Dataset, mode: str, value: int) -> None:
    for step, frame in enumerate(FRAMES[:2]):
        mask = (index_map(step) == 2).astype(np.uint8) * value
        write_png(tmp_path / f"m/a/7/{frame}.png", mask, mode=mode)
    (sequence,) = open_source("png", tmp_path / "m").read(dataset.video("a"))
    assert sequence.masks().sum() == 2 * 70


def test_masks_without_scores_prefer_the_first_that_is_not_empty(tmp_path: Path, dataset: Dataset) -> None:
    write_predictions(tmp_path / "m", VIDEOS)
    write_png(tmp_path / "m/a/7/00000.png", np.zeros(SIZE, np.uint8))
    (sequence,) = open_source("png", tmp_path / "m").read(dataset.video("a"))
    assert sequence.pick_key_frame() == 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("missing frame", r"a/7/00005\.png: no such file"),
        ("cut", r"a/7/00005\.png: image cannot be decoded"),
        ("size", r"a/7/00005\.png: masks of 9 x 9 pixels"),
        ("values", r"a/7/00005\.png: value 19"),
        ("colour", r"a/7/00005\.png: image mode RGB"),
    ],
)
def test_png_masks_that_do_not_fit_are_named(tmp_path: Path, dataset: Dataset, damage: str, message: str) -> None:
    path = write_predictions(tmp_path / "m", VIDEOS) / "a/7/00005.png"
    if damage == "missing frame":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:60])
    elif damage == "size":
        write_png(path, np.zeros((9, 9), np.uint8))
    elif damage == "values":
        write_png(path, index_map(0) * 19)
    else:
        write_png(path, np.full((*SIZE, 3), (9, 0, 0), np.uint8))
    with pytest.raises(InputError, match=message):
        open_source("png", tmp_path / "m").read(dataset.video("a"))


def test_misfits_list_every_id_that_does_not_fit(tmp_path: Path, dataset: Dataset) -> None:
    folder = write_predictions(tmp_path / "m", VIDEOS)
    (folder / "b/1").rename(folder / "b/9")
    (folder / "a").rename(folder / "c")
    (folder / "b/0/stray.png").write_bytes(b"")
    (folder / "b/notes.txt").write_text("")
    assert find_misfits(open_source("png", folder), dataset.videos) == [
        "c: not in the data set",
        "b/1: missing",
        "b/9: not in the data set",
        "b: notes.txt is no expression folder",
        "b: 0/stray.png is no listed frame",
        "a: missing, 1 expression",
    ]


@pytest.mark.parametrize("index", [5, -1, "1", None])
def test_key_frames_outside_the_video_are_refused(tmp_path: Path, dataset: Dataset, index: object) -> None:
    write_predictions(tmp_path / "m/Annotations", VIDEOS)
    write_json(tmp_path / "m/key_frame.json", {"a": {"7": {"index_info": {"class_index": index}}}})
    with pytest.raises(InputError, match=r"key_frame\.json: a/7"):
        open_source("png", tmp_path / "m").read(dataset.video("a"))


def rle_of(mask: np.ndarray) -> dict[str, Any]:
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


@pytest.mark.parametrize("layout", ["list", "object", "by frame", "folder"])
def test_run_lengths_in_json(tmp_path: Path, dataset: Dataset, layout: str) -> None:
    masks: Any = [rle_of(index_map(0) == 2), None]
    if layout == "object":
        masks = {"masks": masks, "scores": [0.5, 0.25], "key_frame": 1}
    elif layout == "by frame":
        masks = {"masks": {"00005": None, "00000": masks[0]}}
    content = {"a": {"7": masks}}
    path = write_json(tmp_path / "m.json", content)
    if layout == "folder":
        path = write_json(tmp_path / "m/a.json", content["a"]).parent
    (sequence,) = open_source("rle", path).read(dataset.video("a"))
    assert sequence.masks().sum(axis=(1, 2)).tolist() == [70, 0]
    assert sequence.key_frame == (1 if layout == "object" else None)
    assert sequence.scores.tolist() == ([0.5, 0.25] if layout == "object" else [1, 0])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ([None], "1 mask, the video has 2 frames"),
        ({"masks": {"00000": None, "00010": None}}, "frame 00010 is not in the video"),
        ({"masks": {"00000": None}}, "frame 00005 is missing"),
        ([{"size": [9, 9], "counts": "a"}, None], r"size \[9, 9\]"),
        ([{"size": list(SIZE), "counts": "a"}, None], "run lengths"),
        ({"masks": [None, None], "scores": [1]}, "scores must be 2 finite numbers"),
        ({"masks": [None, None], "key_frame": 2}, "key_frame 2"),
        (3, "instead of a list"),
    ],
)
def test_run_lengths_that_do_not_fit_are_named(tmp_path: Path, dataset: Dataset, entry: object, message: str) -> None:
    path = write_json(tmp_path / "m.json", {"a": {"7": entry}})
    with pytest.raises(InputError, match=rf"m\.json: a/7.*{message}"):
        open_source("rle", path).read(dataset.video("a"))


def test_unknown_formats_list_the_choices(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="png, dump, rle"):
        open_source("mat", tmp_path)


def test_masks_without_scores_say_so(tmp_path: Path, dataset: Dataset) -> None:
    """An empty frame is no key frame, but a mask that is there is not worth a 1 beside another system's score."""
    video = dataset.video("a")
    rle = {"size": list(SIZE), "counts": [SIZE[0] * SIZE[1] - 4, 4]}
    masks = [{"size": list(SIZE), "counts": [SIZE[0] * SIZE[1]]}, rle]
    bare = open_source("rle", write_json(tmp_path / "bare.json", {"a": {"7": masks}})).read(video)[0]
    content = {"a": {"7": {"masks": masks, "scores": [0.25, 0.5]}}}
    scored = open_source("rle", write_json(tmp_path / "scored.json", content)).read(video)[0]
    pngs = open_source("png", write_predictions(tmp_path / "masks", VIDEOS)).read(video)[0]
    dump = open_source("dump", write_dump(tmp_path / "dump.pth", a_dump())).read(video)[0]
    assert [one.scored for one in (bare, scored, pngs, dump)] == [False, True, False, True]
    assert bare.pick_key_frame() == 1


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16], ids=["float32", "float16", "bfloat16"])
def test_probabilities_are_not_taken_for_logits(tmp_path: Path, dataset: Dataset, kind: torch.dtype) -> None:
    def squash(content: dict[str, Any]) -> None:
        for entries in content.values():
            for entry in entries.values():
                entry["mask_logits"] = entry["mask_logits"].sigmoid().to(kind)

    path = write_dump(tmp_path / "dump.pth", a_dump(squash))
    with pytest.raises(InputError, match=r"no value is negative.*values: probabilities"):
        open_source("dump", path).read(dataset.video("b"))
    masks = open_source("dump", path, values="probabilities").read(dataset.video("b"))[0].masks()
    assert np.array_equal(masks[0], index_map(0) == 1)


def test_one_sentence_may_name_the_whole_picture(tmp_path: Path, dataset: Dataset) -> None:
    def fill(content: dict[str, Any]) -> None:
        content["b"]["0"]["mask_logits"] = torch.rand(3, *SIZE) + 0.5

    source = open_source("dump", write_dump(tmp_path / "dump.pth", a_dump(fill)))
    assert source.read(dataset.video("b"))[0].masks().all()


@pytest.mark.parametrize(("key", "meant"), [("score", "scores"), ("keyframe", "key_frame")])
def test_keys_of_run_lengths_that_nothing_reads_are_named(
    tmp_path: Path, dataset: Dataset, key: str, meant: str
) -> None:
    path = write_json(tmp_path / "m.json", {"a": {"7": {"masks": [rle_of(index_map(0) == 2)] * 2, key: [1, 0]}}})
    with pytest.raises(InputError, match=rf"a/7: unknown key '{key}'; did you mean '{meant}'\?"):
        open_source("rle", path).read(dataset.video("a"))


@pytest.mark.parametrize("value", [1, 255])
def test_labels_of_16_bits_are_no_probabilities(tmp_path: Path, dataset: Dataset, value: int) -> None:
    def write(folder: str, values: Any) -> Source:
        for video, name, frame in (("a", "7", frame) for frame in FRAMES[:2]):
            (tmp_path / folder / video / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(tmp_path / folder / video / name / f"{frame}.png")
        return open_source("png16", tmp_path / folder)

    mask = (index_map(0) == 2).astype(np.uint16)
    with pytest.raises(InputError, match=rf"a: values up to {value} of 65535, one a frame, are labels or masks"):
        write("labels", mask * value).read(dataset.video("a"))
    faint = mask * value
    faint[0, :3] = 2, 3, 4
    for folder, values in (("whole", mask * 65535), ("nothing", mask * 0), ("faint", faint)):
        (found,) = write(folder, values.astype(np.uint16)).read(dataset.video("a"))
        assert found.masks().any() == (folder == "whole")
