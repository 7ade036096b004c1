"""MOSEv2: every value of the official scorer, of frames, runs of absence and return, and means."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data_folders import write_json, write_png

from rvos.errors import InputError
from rvos.evaluation.mosev2 import average_runs, find_absences, find_returns, score_object
from rvos.evaluation.protocols.mosev2 import take_mose
from rvos.formats import Dataset, open_dataset, open_evaluator, score_dataset
from rvos.formats.submissions import check_submission, write_submission
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video

CASES = Path(__file__).parent / "cases"
EXPECTED = json.loads((CASES / "mosev2_expected.json").read_text())
ARRAYS = np.load(CASES / "mosev2.npz")


@pytest.mark.parametrize("name", EXPECTED["per_object"])
def test_every_frame_and_run_is_the_official_one(name: str) -> None:
    video, _, number = name.rpartition("_")
    truth, prediction = (ARRAYS[f"{part}/{video}"][1:-1] == int(number) for part in ("truth", "pred"))
    found, wanted = score_object(truth, prediction), EXPECTED["per_object"][name]
    for key, values in (("J", found.j), ("F", found.f), ("F_dot", found.f_dot)):
        np.testing.assert_allclose(values, wanted[key], rtol=0, atol=1e-9)
    runs = [find_absences(found.shown), find_returns(found.shown)]
    merged = [found.j.mean(), found.f_dot.mean(), found.f.mean()]
    merged += [average_runs(values, own) for own in runs for values in (found.j, found.f_dot)]
    assert merged == [None if one is None else pytest.approx(one, abs=1e-9) for one in wanted["merged"]]


def test_one_stray_pixel_in_an_absent_frame_costs_half_of_j_and_all_of_f() -> None:
    truth, prediction = np.zeros((1, 20, 30), bool), np.zeros((1, 20, 30), bool)
    found = score_object(truth, prediction)
    assert (found.j, found.f, found.f_dot) == (1, 1, 1)
    prediction[0, 5, 5] = True
    found = score_object(truth, prediction)
    assert (found.j, found.f, found.f_dot) == (0.5, 0, 0)


def test_absence_and_return_follow_what_was_before() -> None:
    shown = np.array([False, True, False, False, True, True, False])
    assert find_absences(shown) == [slice(2, 4), slice(6, 7)]
    assert find_returns(shown) == [slice(1, 2), slice(4, 6)]
    assert find_absences(~shown) == find_returns(shown)
    assert find_absences(np.ones(3, bool)) == []


@pytest.fixture(params=[True, False], ids=["objects in a file", "in the first map"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    root = tmp_path / "MOSEv2"
    write_maps(root / "valid/Annotations", "truth")
    if request.param:
        write_json(root / "valid/meta_valid.json", json.loads((CASES / "mosev2_meta.json").read_text()))
    return open_dataset("mosev2", root, "valid")


def write_maps(folder: Path, part: str) -> Path:
    for key in (key for key in ARRAYS if key.startswith(part)):
        for place, values in enumerate(ARRAYS[key]):
            write_png(folder / key.partition("/")[2] / f"{place:05d}.png", values, mode="P")
    return folder


def test_a_set_has_the_official_means(tmp_path: Path, dataset: Dataset) -> None:
    found = score_dataset(dataset, write_maps(tmp_path / "masks", "pred"))
    names = {f"{one.video}_{one.expression}" for one in found.scores}
    assert names <= EXPECTED["per_object"].keys()
    assert found.strays == ()
    if names != EXPECTED["per_object"].keys():  # an object that enters later is in no first map
        return
    official = EXPECTED["official_scores_percent"]
    for key, name in (
        ("J&F_new", "J&Fdot"),
        ("J", "J"),
        ("F_new", "Fdot"),
        ("F", "F"),
        ("J&F", "J&F"),
        ("disappear_J&F_new", "disappearance"),
        ("reappear_J&F_new", "reappearance"),
    ):
        assert 100 * found.figures[name] == pytest.approx(official[key], abs=0.005 + 1e-9)
    condensed = [one.condense() for one in take_mose(found.scores)]
    assert open_evaluator(dataset).measure(condensed) == found.figures


def test_stored_masks_score_as_the_archive_of_them(tmp_path: Path, dataset: Dataset) -> None:
    def read(video: Video) -> list[MaskSequence]:
        maps, scores = ARRAYS[f"pred/{video.id}"], np.ones(video.n_frames, np.float32)
        return [
            MaskSequence.from_masks(
                maps == int(one.id), video=video.id, expression=one.id, frames=video.frames, scores=scores
            )
            for one in video.expressions
        ]

    evaluator = open_evaluator(dataset)
    for video in dataset.videos:
        evaluator.process(video, read(video))
    archive = tmp_path / "masks.zip"
    assert write_submission(archive, dataset, read) == sum(video.n_frames for video in dataset.videos)
    assert list(check_submission(archive, dataset).faults) == []
    assert score_dataset(dataset, archive).figures == evaluator.evaluate().figures


def test_missing_maps_count_nothing_and_a_missing_video_has_no_runs(tmp_path: Path, dataset: Dataset) -> None:
    folder = write_maps(tmp_path / "masks", "pred")
    for path in (folder / "c3").iterdir():
        path.unlink()
    (folder / "b_2/00003.png").unlink()
    found = score_dataset(dataset, folder)
    gone = [one for one in take_mose(found.scores) if one.video == "c3"]
    assert {(one.j_mean, one.f_mean, one.f_dot_mean, one.absent, one.returned) for one in gone} == {
        (0, 0, 0, None, None)
    }
    assert found.official == ("stops at b_2: no map of frame 00003",)
    assert "b_2/1: 00003" in found.missing


def test_a_folder_without_videos_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no videos; give the folder that holds the splits of MOSEv2"):
        open_dataset("mosev2", tmp_path)
