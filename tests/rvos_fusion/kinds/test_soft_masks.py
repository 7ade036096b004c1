"""Probabilities out of a workspace and into another one: kept in half precision, averaged as they are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from small_data import FRAMES, HEIGHT, N_FRAMES, WIDTH, write_split

from rvos.errors import InputError
from rvos.formats import open_dataset
from rvos.imports import open_source
from rvos.masks.mask_sequences import MaskSequence, SoftMaps
from rvos.masks.stored.store import Store
from rvos_fusion.commands.cli import main

EXPRESSIONS = ("0", "1", "2")
RECIPE = "stages={one: {mean: {fuse: [p, q], method: average, groups: {by: none}}}}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A split of one video, with the probabilities of two systems at half its size."""
    monkeypatch.chdir(tmp_path)
    write_split(tmp_path, n_videos=1)
    random = np.random.default_rng(0)
    for name in ("p", "q"):
        (tmp_path / name / "video0").mkdir(parents=True)
        for expression in EXPRESSIONS:
            values = random.random((N_FRAMES, HEIGHT // 2, WIDTH // 2)).astype(np.float16)
            np.savez(tmp_path / name / "video0" / f"{expression}.npz", probabilities=values)
    return tmp_path


def run(form: str, p: str, q: str, workspace: str, *words: str) -> tuple[MaskSequence, ...]:
    models = f"models={{p: {{import: {form}, path: {p}}}, q: {{import: {form}, path: {q}}}}}"
    sets = ["--set", models, "--set", RECIPE, "--set", "submission=mean", "--workspace", workspace]
    for word in words:
        sets += ["--set", word]
    assert main(["run", "pipeline.yaml", "--quiet", *sets]) == 0
    return Store(Path(workspace)).read("mean", "video0")


def read_maps(folder: Path, expression: str) -> NDArray[np.float32]:
    with np.load(folder / "video0" / f"{expression}.npz") as arrays:
        found: NDArray[np.float32] = arrays["probabilities"].astype(np.float32)
    return found


def enlarge(frame: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a frame at twice the size: bilinear between the centres of pixels, by another program."""
    picture = Image.fromarray(frame)
    return np.asarray(picture.resize((2 * frame.shape[1], 2 * frame.shape[0]), Image.Resampling.BILINEAR))


def test_an_average_over_imports_is_that_of_the_probabilities_on_disk(folder: Path) -> None:
    found = run("npz", "p", "q", "runs")
    for sequence in found:
        maps = [read_maps(folder / name, sequence.expression) for name in ("p", "q")]
        for index in range(N_FRAMES):
            mean = (enlarge(maps[0][index]) + enlarge(maps[1][index])) / 2
            is_sure = abs(mean - 0.5) > 1e-3
            assert np.array_equal(sequence.mask(index)[is_sure], (mean > 0.5)[is_sure])
    stored = Store(folder / "runs").read("p", "video0")[1]
    assert stored.soft is not None
    assert stored.soft.values.dtype == np.float16
    assert np.array_equal(stored.soft.dequantise(), read_maps(folder / "p", "1"))
    assert not stored.scored


def test_what_is_exported_comes_back_to_the_bit(folder: Path) -> None:
    first = run("npz", "p", "q", "runs")
    for name in ("p", "q"):
        assert main(["export", name, "--workspace", "runs", "--out", f"out/{name}", "--soft"]) == 0
    second = run("npz", "out/p", "out/q", "again")
    for one, other in zip(first, second, strict=True):
        assert one.runs == other.runs
    for one, other in zip(*(Store(folder / w).read("p", "video0") for w in ("runs", "again")), strict=True):
        assert one.runs == other.runs
        assert one.soft is not None
        assert other.soft is not None
        assert np.array_equal(one.soft.values, other.soft.values)
        assert other.key_frame == one.pick_key_frame()


def test_pictures_of_16_bits_hold_the_probabilities_at_frame_size(folder: Path) -> None:
    first = run("npz", "p", "q", "runs")
    for name in ("p", "q"):
        assert main(["export", name, "--workspace", "runs", "--out", f"out/{name}", "--soft", "png16"]) == 0
    picture = np.asarray(Image.open(folder / "out/p/video0/1" / f"{FRAMES[1]}.png"))
    assert (picture.dtype, picture.shape) == (np.uint16, (HEIGHT, WIDTH))
    np.testing.assert_allclose(picture / 65535, enlarge(read_maps(folder / "p", "1")[1]), atol=1e-3)
    second = run("png16", "out/p", "out/q", "again")
    for one, other in zip(first, second, strict=True):
        assert (one.masks() != other.masks()).mean() < 0.01


def test_half_precision_and_bytes_are_two_results(folder: Path) -> None:
    run("npz", "p", "q", "runs")
    run("npz", "p", "q", "runs", "models.p.keep_soft=uint8")
    store = Store(folder / "runs")
    soft = [store.read(name, "video0")[0].soft for name in ("p", "q")]
    assert [maps.values.dtype for maps in soft if maps is not None] == [np.uint8, np.float16]


def test_an_average_without_the_probabilities_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = "models={p: {import: npz, path: p, keep_soft: false}, q: {import: png16, path: q, keep_soft: false}}"
    assert main(["run", "pipeline.yaml", "--set", models, "--set", RECIPE, "--set", "submission=mean"]) == 2
    assert "mean: average needs the probabilities of 'p'; set keep_soft: true on the import" in capsys.readouterr().err


def test_a_node_without_soft_masks_cannot_be_exported_as_such(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("npz", "p", "q", "runs")
    assert main(["export", "mean", "--workspace", "runs", "--out", "out", "--soft"]) == 2
    assert "mean: video0/0: no soft masks are stored; set keep_soft" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"probabilities": np.full((3, 4, 4), 1.5, np.float32)}, "values from 1.5 to 1.5 are no probabilities"),
        ({"probabilities": np.full((3, 4, 4), np.nan, np.float16)}, "values that are not finite"),
        ({"probabilities": np.zeros((2, 4, 4), np.float32)}, r"expected float16 or float32 of shape \(3, h, w\)"),
        ({"probabilities": np.zeros((3, 64, 96), np.float16)}, "maps of 64 x 96 .* expected at most 32 x 48"),
        ({"probabilities": np.zeros((3, 4, 4), object)}, "Object arrays cannot be loaded"),
        ({"masks": np.zeros((3, HEIGHT, WIDTH), bool)}, "neither probabilities nor logits"),
        ({"logits": np.zeros((3, 4, 4), np.float32), "scores": np.zeros(2)}, r"scores of shape \(2,\), expected 3"),
        ({"logits": np.zeros((3, 4, 4), np.float32), "key_frame": np.array(3)}, "key_frame is no index into the 3"),
        ({"logits": np.zeros((3, 4, 4), np.float32), "frames": np.array(["a", "b", "c"])}, "its frames are others"),
        ({"logits": np.zeros((3, 4, 4), np.float32), "masks": np.zeros((3, 4, 4), bool)}, r"shape \(3, H, W\)"),
        ({"logits": np.zeros((3, 4, 4), np.float32), "notes": np.zeros(1)}, "array 'notes'"),
        ({"logits": np.zeros((3, 4, 4), np.float32), "scores": np.zeros(1 << 19)}, "bytes, more than the frames"),
    ],
)
def test_archives_that_do_not_fit_are_told_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arrays: dict[str, NDArray[np.generic]], message: str
) -> None:
    np.savez(folder / "p/video0/1.npz", **arrays)  # type: ignore[arg-type]
    words = ["import", "p", "--kind", "npz", "--root", "data", "--split", "valid", "--format", "ref-youtube-vos"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "p/video0/1.npz" in error
    assert re.search(message, error)


def test_rounding_outside_0_to_1_is_taken_as_0_and_1(folder: Path) -> None:
    values = np.full((3, HEIGHT, WIDTH), -1e-7, np.float32)
    values[:, :4] = 1.0000002
    np.savez(folder / "p/video0/1.npz", probabilities=values)
    data = open_dataset("ref-youtube-vos", folder / "data", "valid")
    masks = open_source("npz", folder / "p", soft="float16").read(data.video("video0"))
    found = next(one for one in masks if one.expression == "1")
    assert found.masks().sum() == 3 * 4 * WIDTH
    assert found.soft is not None
    assert np.unique(found.soft.dequantise()).tolist() == [0, 1]


def test_probabilities_that_are_named_logits_are_noticed(folder: Path) -> None:
    data = open_dataset("ref-youtube-vos", folder / "data", "valid")
    video = data.video("video0")
    for expression in video.expressions:
        values = np.linspace(0, 1, 3 * HEIGHT * WIDTH, dtype=np.float32).reshape(3, HEIGHT, WIDTH)
        np.savez(folder / f"p/video0/{expression.id}.npz", logits=values)
    with pytest.raises(InputError, match=r"p/video0: no value is negative, .*; name them probabilities"):
        open_source("npz", folder / "p").read(video)


def test_soft_maps_hold_bytes_or_half_precision() -> None:
    values = np.array([[[0.0, 0.25, 1.0]]], np.float32)
    half = SoftMaps.keep(values, "float16", low=0, high=1, kind="probability")
    whole = SoftMaps.keep(values, True, low=0, high=1, kind="probability")
    assert half is not None
    assert whole is not None
    assert half.dequantise().tolist() == values.tolist()
    assert whole.values.tolist() == [[[0, 64, 255]]]
    assert SoftMaps.keep(values, False) is None
    assert half.kept_as("float16") is half
    again = half.kept_as("uint8")
    assert again is not None
    assert again.values.tolist() == whole.values.tolist()
