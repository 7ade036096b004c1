"""Data set scores: the official values from files on disk, and what happens to files that are missing or odd."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_folders import index_map, listed, write_json, write_png, write_predictions, write_ref_youtube_vos
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.evaluation.report import to_json, write_reports
from rvos.formats import open_dataset, open_evaluator, score_dataset
from rvos.masks.mask_sequences import MaskSequence
from rvos_fusion.commands.cli import main

CASES = Path(__file__).parent / "cases"
VIDEOS = {"b": listed({"0": "1", "1": "1", "2": "2"}), "a": listed({"0": "2"})}


def write_masks(folder: Path, frames: list[str], masks: NDArray[np.bool_]) -> None:
    for frame, mask in zip(frames, masks, strict=True):
        write_png(folder / f"{frame}.png", mask.astype(np.uint8) * 255)


def test_ref_youtube_vos_equals_the_official_means(tmp_path: Path) -> None:
    folder = CASES
    arrays = np.load(folder / "ref_ytvos.npz")
    content = json.loads((folder / "ref_ytvos.json").read_text())
    write_json(tmp_path / "truth/meta_expressions/valid/meta_expressions.json", content["meta_expressions"])
    for video, entry in content["meta_expressions"]["videos"].items():
        maps = arrays[f"annotation/{video}"]
        for frame, values in zip(entry["frames"], maps, strict=True):
            write_png(tmp_path / "truth/valid/Annotations" / video / f"{frame}.png", values, mode="P")
        for name in entry["expressions"]:
            masks = np.unpackbits(arrays[f"pred/{video}/{name}"], axis=-1, count=maps.shape[2]).astype(bool)
            write_masks(tmp_path / "predictions" / video / name, entry["frames"], masks)
    dataset = open_dataset("ref-youtube-vos", tmp_path / "truth", "valid")
    result = score_dataset(dataset, tmp_path / "predictions", jobs=2)
    expected = content["expected"]
    assert result.j == pytest.approx(expected["J"], abs=1e-9)
    assert result.f == pytest.approx(expected["F"], abs=1e-9)
    assert result.j_and_f == pytest.approx(expected["J&F"], abs=1e-9)
    for score in result.scores:
        one = expected["per_expression"][f"{score.video}/{score.expression}"]
        np.testing.assert_allclose(score.j, one["J"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(score.f, one["F"], rtol=0, atol=1e-9)


def test_mevis_equals_the_official_means(tmp_path: Path) -> None:
    folder = CASES
    arrays = np.load(folder / "mevis_pred.npz")
    meta = json.loads((folder / "mevis_meta_expressions.json").read_text())
    masks = json.loads((folder / "mevis_mask_dict.json").read_text())
    write_json(tmp_path / "truth/valid_u/meta_expressions.json", meta)
    write_json(tmp_path / "truth/valid_u/mask_dict.json", masks)
    for key in arrays:
        video, name = key.split("/")
        entry = meta["videos"][video]
        annotation = masks[str(entry["expressions"][name]["anno_id"][0])]
        width = next(rle["size"][1] for rle in annotation if rle)
        unpacked = np.unpackbits(arrays[key], axis=-1, count=width).astype(bool)
        write_masks(tmp_path / "predictions" / video / name, entry["frames"], unpacked)
    expected = json.loads((folder / "mevis_expected.json").read_text())
    result = score_dataset(open_dataset("mevis", tmp_path / "truth", "valid_u"), tmp_path / "predictions")
    assert (result.j, result.f, result.j_and_f) == pytest.approx(
        (expected["J"], expected["F"], expected["J&F"]), abs=1e-9
    )
    assert len(result.scores) == expected["n"]
    for score in result.scores:
        one = expected["per_expression"][f"{score.video}_{score.expression}"]
        assert (score.j_mean, score.f_mean) == pytest.approx((one["J"], one["F"]), abs=1e-9)
    assert len(result.missing) == 3


def write_davis(root: Path) -> dict[str, Any]:
    folder = CASES
    arrays = np.load(folder / "ref_davis.npz")
    content: dict[str, Any] = json.loads((folder / "ref_davis.json").read_text())
    videos = {}
    for name in content["sequences"]:
        maps = arrays[f"gt/{name}"]
        frames = [f"{index:05d}" for index in range(len(maps))]
        n_objects = int(maps[0][maps[0] < 255].max())
        videos[name] = listed({str(4 * o + a): str(o + 1) for o in range(n_objects) for a in range(4)}, tuple(frames))
        for index, frame in enumerate(frames):
            write_png(root / f"DAVIS/Annotations_unsupervised/480p/{name}/{frame}.png", maps[index], mode="P")
            for number in range(4):
                values = arrays[f"pred/anno_{number}/{name}"][index]
                write_png(root / f"predictions/anno_{number}/{name}/{frame}.png", values, mode="P")
    write_json(root / "meta_expressions/valid/meta_expressions.json", {"videos": videos})
    return content


@pytest.mark.parametrize("layout", ["converted", "distributed", "plain"])
@pytest.mark.parametrize("task", ["unsupervised", "semi-supervised"])
def test_ref_davis_equals_the_official_means(tmp_path: Path, task: Any, layout: str) -> None:
    expected = write_davis(tmp_path)["expected"][task]
    if layout != "converted":
        shutil.rmtree(tmp_path / "meta_expressions")
    if layout == "plain":
        (tmp_path / "DAVIS/Annotations_unsupervised/480p").rename(tmp_path / "truth")
    dataset = open_dataset("ref-davis17", tmp_path / "truth" if layout == "plain" else tmp_path, "valid")
    result = score_dataset(dataset, tmp_path / "predictions", task=task, jobs=1)
    means = expected["mean_of_4"]
    assert (result.j, result.f, result.j_and_f) == pytest.approx(
        (means["J-Mean"], means["F-Mean"], means["J&F-Mean"]), abs=1e-9
    )
    for number in range(4):
        official = expected[f"anno_{number}"]
        for key in ("J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay", "J&F-Mean"):
            assert result.extra[f"anno_{number}/{key}"] == pytest.approx(official[key], abs=1e-9)
        ours = [
            (score.j_mean, score.f_mean) for score in result.scores if score.expression.startswith(f"anno_{number}")
        ]
        # The official list names matched objects in the order of the predictions, ours by the annotated object.
        np.testing.assert_allclose(
            sorted(ours), sorted((one["J"], one["F"]) for one in official["per_object"].values()), rtol=0, atol=1e-9
        )


def test_davis_expressions_are_merged_by_annotation_file(tmp_path: Path) -> None:
    videos = {"dog": listed({str(4 * o + a): str(o + 1) for o in range(2) for a in range(4)})}
    root = write_ref_youtube_vos(tmp_path / "data", videos)
    write_predictions(tmp_path / "predictions", videos)
    result = score_dataset(open_dataset("ref-davis17", root, "valid"), tmp_path / "predictions")
    assert (result.j, result.f, len(result.scores)) == (1, 1, 8)


def test_perfect_masks_score_one(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path / "data", VIDEOS)
    write_predictions(tmp_path / "predictions" / "Annotations", VIDEOS)
    result = score_dataset(open_dataset("ref-youtube-vos", root, "valid"), tmp_path / "predictions")
    assert (result.j, result.f, len(result.scores), result.missing) == (1, 1, 4, ())


def test_an_archive_scores_as_its_folder(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path / "data", VIDEOS)
    folder = write_predictions(tmp_path / "predictions", VIDEOS)
    with zipfile.ZipFile(tmp_path / "predictions.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, Path("Annotations") / path.relative_to(folder))
    dataset = open_dataset("ref-youtube-vos", root, "valid")
    assert score_dataset(dataset, tmp_path / "predictions.zip", jobs=2).j_and_f == 1


def test_missing_masks_count_zero_and_are_listed(tmp_path: Path) -> None:
    """Even where the object is absent, so that leaving masks out never pays."""
    videos = {"v": listed({"0": "1", "1": "9", "2": "2"})}
    root = write_ref_youtube_vos(tmp_path / "data", videos)
    folder = write_predictions(tmp_path / "predictions", videos)
    (folder / "v/0/00005.png").unlink()
    for path in (folder / "v/1").iterdir():
        path.unlink()
    result = score_dataset(open_dataset("ref-youtube-vos", root, "valid"), folder)
    assert result.scores[0].j.tolist() == [1, 0, 1]
    assert result.scores[1].f.tolist() == [0, 0, 0]
    assert result.missing == ("v/0: 00005", "v/1: all 3 frames")
    assert result.j == pytest.approx((2 / 3 + 0 + 1) / 3)


@pytest.mark.parametrize(("value", "n_notes"), [(1, 0), (255, 0), (7, 3)])
def test_any_value_is_foreground_and_odd_ones_are_noted(tmp_path: Path, value: int, n_notes: int) -> None:
    videos = {"v": listed({"0": "1"})}
    root = write_ref_youtube_vos(tmp_path / "data", videos)
    for step, frame in enumerate(videos["v"]["frames"]):
        write_png(tmp_path / "p/v/0" / f"{frame}.png", (index_map(step) == 1).astype(np.uint8) * value)
    result = score_dataset(open_dataset("ref-youtube-vos", root, "valid"), tmp_path / "p")
    assert (result.j, len(result.notes)) == (1, n_notes)


def test_what_is_not_scored_is_listed(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path / "data", VIDEOS)
    folder = write_predictions(tmp_path / "predictions", VIDEOS)
    for name in ("test-video", "a/9"):
        (folder / name).mkdir()
    (folder / "a/0/00099.png").write_bytes(b"")
    result = score_dataset(open_dataset("ref-youtube-vos", root, "valid"), folder)
    assert result.strays == (
        "test-video: not in this split",
        "a/0/00099.png: no listed frame",
        "a/9: no expression of the video",
    )
    assert to_json(result)["strays"] == list(result.strays)


def test_masks_of_another_size_are_named(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path / "data", VIDEOS)
    folder = write_predictions(tmp_path / "predictions", VIDEOS)
    write_png(folder / "a/0/00005.png", np.zeros((10, 10), np.uint8))
    with pytest.raises(InputError, match=r"a/0/00005\.png: 10 x 10 pixels"):
        score_dataset(open_dataset("ref-youtube-vos", root, "valid"), folder)


def test_the_wrong_folder_is_named(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path / "data", VIDEOS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no folder for any of the 2 videos"):
        score_dataset(open_dataset("ref-youtube-vos", root, "valid"), tmp_path / "empty")


def test_sequences_score_as_their_files(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path / "data", VIDEOS)
    dataset = open_dataset("ref-youtube-vos", root, "valid")
    video = dataset.video("b")
    masks = np.stack([index_map(step) == 1 for step in range(3)])
    sequence = MaskSequence.from_masks(
        masks, video="b", expression="1", frames=video.frames, scores=np.ones(3, np.float32)
    )
    scores = open_evaluator(dataset).select(video).open().judge([sequence])
    assert [score.j_mean for score in scores] == [0, 1, 0]
    assert [len(score.missing) for score in scores] == [3, 0, 3]


def write_no_target(root: Path) -> None:
    expressions = {name: {"exp": name, "anno_id": [1] if name in "01" else []} for name in ("0", "1", "2", "3", "4")}
    write_json(root / "valid_u/meta_expressions.json", {"videos": {"v": {"expressions": expressions, "frames": ["0"]}}})
    write_json(root / "valid_u/mask_dict.json", {"1": [{"size": [4, 4], "counts": [3, 5, 8]}]})


def test_mevis_v2_judges_sentences_without_target(tmp_path: Path) -> None:
    write_no_target(tmp_path)
    target = np.zeros(16, np.uint8)
    target[3:8] = 255
    masks = {"0": target, "1": 0 * target, "2": 0 * target, "3": target, "4": 0 * target}
    for name, mask in masks.items():
        write_png(tmp_path / "p/v" / name / "0.png", np.ascontiguousarray(mask.reshape(4, 4).T))
    result = score_dataset(open_dataset("mevis", tmp_path, "valid_u"), tmp_path / "p")
    assert result.figures["N-acc"] == pytest.approx(2 / 3)
    assert result.figures["T-acc"] == 0.5
    assert result.j == pytest.approx(3 / 5)
    assert result.figures["Final"] == pytest.approx((result.j_and_f + 2 / 3 + 0.5) / 3)
    assert result.figures["J&F targets"] == 0.5  # of "0" and "1"


def test_the_annotations_and_not_the_pixels_say_whether_there_is_a_target(tmp_path: Path) -> None:
    write_no_target(tmp_path)
    write_json(tmp_path / "valid_u/mask_dict.json", {"1": [{"size": [4, 4], "counts": [16]}]})
    for name in "01234":
        write_png(tmp_path / "p/v" / name / "0.png", np.zeros((4, 4), np.uint8))
    result = score_dataset(open_dataset("mevis", tmp_path, "valid_u"), tmp_path / "p")
    assert (result.figures["N-acc"], result.figures["T-acc"], result.j) == (1, 0, 1)


def test_reports_hold_every_expression_object_and_frame(tmp_path: Path) -> None:
    root = write_ref_youtube_vos(tmp_path / "data", VIDEOS)
    folder = write_predictions(tmp_path / "predictions", VIDEOS)
    result = score_dataset(open_dataset("ref-youtube-vos", root, "valid"), folder)
    write_reports(tmp_path / "scores", result, stability=True)
    rows = {
        name: list(csv.DictReader((tmp_path / "scores" / f"{name}.csv").open()))
        for name in ("expressions", "objects", "frames")
    }
    assert [row["expression"] for row in rows["expressions"]] == ["0", "1", "2", "0"]
    assert {row["object"]: row["expressions"] for row in rows["objects"]} == {"b/1": "2", "b/2": "1", "a/2": "1"}
    assert len(rows["frames"]) == 12
    assert json.loads((tmp_path / "scores/scores.json").read_text())["variance J&F"] == 0
    assert "variance J" not in to_json(result)


def test_the_command_prints_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_ref_youtube_vos(tmp_path / "data", VIDEOS)
    folder = write_predictions(tmp_path / "predictions", VIDEOS)
    arguments = ["evaluate", str(root), str(folder), "--format", "ref-youtube-vos", "--json"]
    assert main(arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["J"], printed["F"], printed["J&F"], printed["expressions"]) == (1, 1, 1, 4)
    (folder / "a/0/00000.png").unlink()
    assert main(arguments[:-1]) == 0
    assert "a/0: 00000" in capsys.readouterr().err
    assert main([*arguments, "--strict"]) == 2
    assert "missing" in capsys.readouterr().err


def test_sentences_whose_object_no_map_holds_are_named(tmp_path: Path) -> None:
    videos = {"v": listed({"0": "1", "1": "7", "2": "7"})}
    dataset = open_dataset("ref-youtube-vos", write_ref_youtube_vos(tmp_path / "data", videos), "valid")
    result = score_dataset(dataset, write_predictions(tmp_path / "masks", videos))
    assert result.notes == tuple(f"v/{name}: no annotation holds object 7; scored as absent" for name in ("1", "2"))
