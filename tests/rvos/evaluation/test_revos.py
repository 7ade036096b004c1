"""ReVOS: every value of the official scorer, from 0/255, 0/1 and palette masks, complete and damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_folders import write_json, write_png
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.evaluation.figures.kinds import resample_kinds, weigh_kinds
from rvos.evaluation.protocols.revos import COUNTED, SCALES, Covering, RevosEvaluator, RevosScore, take_revos
from rvos.evaluation.results import DatasetScore
from rvos.formats import Dataset, open_dataset, score_dataset
from rvos.formats.reading.truth import RunLengthTruth
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.runs import Runs

CASES = Path(__file__).parent / "cases"
EXPECTED = json.loads((CASES / "revos_expected.json").read_text())
META = json.loads((CASES / "revos_meta_expressions.json").read_text())["videos"]
_NAMES = {"referring": "referring", "reasoning": "reason", "overall": "overall"}


@pytest.fixture(params=[True, False], ids=["with the foreground file", "without"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    return open_dataset("revos", write_truth(tmp_path / "data", foreground=request.param))


def write_truth(root: Path, *, foreground: bool = True) -> Path:
    names = {"meta_expressions": "meta_expressions_valid_", "mask_dict": "mask_dict"}
    names |= {"mask_dict_foreground": "mask_dict_foreground"} if foreground else {}
    for source, name in names.items():
        write_json(root / f"{name}.json", json.loads((CASES / f"revos_{source}.json").read_text()))
    return root


def read_predictions() -> dict[tuple[str, str], NDArray[np.bool_]]:
    found = {}
    for name, packed in np.load(CASES / "revos_pred.npz").items():
        video, expression = name.split("|")
        found[video, expression] = np.unpackbits(packed, axis=-1, count=META[video]["width"]).astype(bool)
    return found


def write_predictions(folder: Path, *, without: Any = ()) -> Path:
    for (video, expression), masks in read_predictions().items():
        for frame, mask in zip(META[video]["frames"], masks, strict=True):
            if not {(video,), (video, expression), (video, expression, frame)} & set(without):
                write_png(folder / video / expression / f"{frame}.png", mask.astype(np.uint8) * 255)
    return folder


def assert_official(found: DatasetScore, key: str, scale: int) -> None:
    """Compare with the file of results that the official scorer writes, whose numbers are means of rounded ones."""
    for name, official in _NAMES.items():
        wanted = EXPECTED[key]["official_results_percent"][official]
        measured = {**found.figures, **found.extra}
        for figure, ours in (("J", "J"), ("F", "F"), ("A", f"A ({scale})"), ("R", f"R ({scale})"), ("JF", "J&F")):
            assert 100 * measured[f"{name} {ours}"] == pytest.approx(wanted[figure], abs=1e-9), (name, ours)
    overall = EXPECTED[key]["official_results_percent"]["overall"]
    assert [100 * value for value in (found.j, found.f, found.j_and_f)] == pytest.approx(
        [overall["J"], overall["F"], overall["JF"]], abs=1e-9
    )


@pytest.mark.parametrize(("key", "scale"), [("png_255", 255), ("png_1", 1)])
def test_all_sentences_and_means_are_the_official_ones(tmp_path: Path, dataset: Dataset, key: str, scale: int) -> None:
    found = score_dataset(dataset, write_predictions(tmp_path / "masks"))
    for score in take_revos(found.scores):
        place = SCALES.index(scale)
        values = [score.j.mean(), score.f.mean(), score.accuracy[place].mean(), score.robustness[place].mean()]
        wanted = EXPECTED[key]["per_sentence"][f"{score.video}|{score.expression}"]
        assert values == pytest.approx(wanted, abs=1e-9), (score.video, score.expression)
    assert len(found.scores) == len(EXPECTED[key]["per_sentence"])
    assert_official(found, key, scale)
    assert found.official == ()


def test_any_grey_value_gives_the_official_accuracy_and_robustness(dataset: Dataset) -> None:
    """A palette whose first colour is dark red is read as grey 38."""
    masks = read_predictions()
    for video in dataset.videos:
        truth = dataset.read_truth(video)
        assert isinstance(truth, RunLengthTruth)
        for expression in video.expressions:
            covering = Covering.of(truth.counts(expression), truth.objects())
            accuracy, robustness = covering.measure(Runs.from_masks(masks[video.id, expression.id]), 38)
            wanted = EXPECTED["png_palette"]["per_sentence"][f"{video.id}|{expression.id}"]
            assert [accuracy.mean(), robustness.mean()] == pytest.approx(wanted[2:], abs=1e-9)


def test_stored_masks_score_as_their_files_also_part_by_part(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_files = score_dataset(dataset, write_predictions(tmp_path / "masks"))
    monkeypatch.setattr("rvos.evaluation.parts.LARGEST_PART", 2 * 48 * 64)
    in_parts = score_dataset(dataset, tmp_path / "masks")
    evaluator = RevosEvaluator(dataset)
    masks = read_predictions()
    for video in dataset.videos:
        own = [
            MaskSequence.from_masks(
                masks[video.id, one.id],
                video=video.id,
                expression=one.id,
                frames=video.frames,
                scores=np.ones(video.n_frames, np.float32),
            )
            for one in video.expressions
        ]
        evaluator.process(video, own)
    assert evaluator.evaluate().figures == from_files.figures == in_parts.figures
    assert evaluator.evaluate().extra == from_files.extra
    condensed = [score.condense().condense() for score in from_files.scores]
    assert evaluator.measure(condensed) == from_files.figures
    values = np.array([[[score.j.mean(), score.f.mean()] for score in from_files.scores]])
    means = evaluator.average(values, dataset.videos)
    np.testing.assert_allclose(means, [[from_files.j, from_files.f]], rtol=0, atol=1e-12)


def test_what_the_official_scorer_makes_of_damage_is_said(tmp_path: Path, dataset: Dataset) -> None:
    dropped = EXPECTED["dropped"]
    gone = [(name,) for name in dropped["missing_video"]]
    gone += [tuple(one) for key in ("missing_expression", "missing_frame") for one in dropped[key]]
    # A mask of another size counts 0 there; here it is an error, so that the sentence is left out instead.
    gone += [tuple(one) for one in dropped["wrong_size"]]
    found = score_dataset(dataset, write_predictions(tmp_path / "masks", without=gone))
    official = [one.as_missing() if one.missing else one for one in take_revos(found.scores)]
    for score in official:
        wanted = EXPECTED["png_255_with_damage"]["per_sentence"][f"{score.video}|{score.expression}"]
        values = [score.j.mean(), score.f.mean(), score.accuracy[0].mean(), score.robustness[0].mean()]
        assert values == pytest.approx(wanted, abs=1e-9)
    overall = EXPECTED["png_255_with_damage"]["official_results_percent"]["overall"]
    printed = ", ".join(f"{name} {overall[key]:.2f}" for name, key in (("J", "J"), ("F", "F"), ("J&F", "JF")))
    (said,) = found.official
    assert printed in said
    assert said.startswith("gives 0 to each of")
    assert found.figures["J&F"] > overall["JF"] / 100  # here one frame is 0, there the sentence
    (video, expression, frame), *_ = dropped["missing_frame"]
    assert f"{video}/{expression}: {frame}" in found.missing


@pytest.mark.parametrize("scale", SCALES)
def test_robustness_falls_with_every_wrong_pixel(scale: int) -> None:
    truth, everything = np.zeros((1, 9, 9), np.uint8), np.zeros((1, 9, 9), bool)
    truth[0, 2:5, 2:5] = 1
    everything[0, 2:8, 2:8] = True
    covering = Covering.of(truth, everything)
    assert covering.measure(Runs.empty(1, (9, 9)), scale)[1] == [1.0]
    assert covering.measure(Runs.from_masks(truth > 0), scale)[1] == [1.0]
    one_more = truth > 0
    one_more[0, 0, 0] = True
    assert covering.measure(Runs.from_masks(one_more), scale)[1] == [pytest.approx(max(0, 1 - scale / 36), abs=1e-6)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type_id": 3}, r"valid_\.json: mevis_3f/0: type_id 3, expected 0 to 2; correct it"),
        ({"type_id": None}, r"mevis_3f/0: type_id None"),
        ({"anno_id": 7}, r"mevis_3f/0: anno_id: 7 instead of a list"),
    ],
)
def test_sentences_that_cannot_be_used_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    root = write_truth(tmp_path)
    path = root / "meta_expressions_valid_.json"
    content = json.loads(path.read_text())
    content["videos"]["mevis_3f"]["expressions"]["0"] |= change
    write_json(path, content)
    with pytest.raises(InputError, match=message):
        open_dataset("revos", root)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a//b", "a/.b", "a/../b", "a/", "a\\b"])
def test_paths_that_lead_out_are_no_ids(tmp_path: Path, name: str) -> None:
    content = {"videos": {name: META["mevis_3f"]}}
    write_json(tmp_path / "meta_expressions_valid_.json", content)
    with pytest.raises(InputError, match=r"meta_expressions_valid_\.json: video id"):
        open_dataset("revos", tmp_path)


@pytest.mark.parametrize("format", ["mevis", "ref-youtube-vos", "ref-davis17"])
def test_another_format_is_refused_by_name(tmp_path: Path, format: str) -> None:
    root = write_truth(tmp_path)
    with pytest.raises(InputError, match=r"looks like revos, not .* \(it has .*\); write format: revos"):
        open_dataset(format, root)


def test_a_foreground_file_of_another_length_is_named(tmp_path: Path) -> None:
    root = write_truth(tmp_path)
    path = root / "mask_dict_foreground.json"
    content = json.loads(path.read_text())
    content["mevis_3f"]["masks_rle"].pop()
    write_json(path, content)
    dataset = open_dataset("revos", root)
    with pytest.raises(InputError, match=r"foreground\.json: mevis_3f: 3 masks for 4 frames; make the file again"):
        dataset.read_truth(dataset.video("mevis_3f"))


def test_every_kind_counts_alike_however_many_sentences_it_has() -> None:
    given = ["referring", "referring", "no target", "referring", "reasoning"]
    weights = weigh_kinds(COUNTED, given)
    assert weights.sum() == pytest.approx(len(given))
    assert weights[given.index("no target")] == 0
    values = np.array([0.2, 0.4, 1.0, 0.6, 0.8])
    assert np.average(values, weights=weights) == pytest.approx((0.4 + 0.8) / 2)
    scores = [score_of(f"v{place}", kind, value) for place, (kind, value) in enumerate(zip(given, values, strict=True))]
    figures = {figure.name: figure for figure in RevosEvaluator.figures}
    assert figures["J&F"].measure(scores) == pytest.approx(0.6)
    assert figures["J&F sentences"].measure(scores) == pytest.approx(0.5)
    assert figures["J&F"].measure([one for one in scores if one.kind == "reasoning"]) == pytest.approx(0.8)
    assert figures["J&F"].measure([one for one in scores if one.kind == "no target"]) is None


def test_gains_are_redrawn_as_the_means_are_taken() -> None:
    kinds = ["referring", "reasoning", "referring"]
    rows = [[score_of(f"v{place}", kind, value) for place, kind in enumerate(kinds)] for value in (0.25, 0.75)]
    draws = resample_kinds(COUNTED, rows)
    known = draws[0] > 0  # a draw may hold no sentence of either kind
    np.testing.assert_allclose(draws[:, known], [[0.25] * known.sum(), [0.75] * known.sum()])
    mixed = [
        [score_of(f"v{place}", kind, value) for place, (kind, value) in enumerate(zip(kinds, (0, 1, 0), strict=True))]
    ]
    assert set(np.round(resample_kinds(COUNTED, mixed)[0], 6)) == {0.0, 0.5, 1.0}


def score_of(video: str, kind: str, value: float) -> RevosScore:
    frame, measured = np.array([value]), np.zeros((len(SCALES), 1))
    return RevosScore(video, "0", ("1",), ("0",), frame, frame, kind=kind, accuracy=measured, robustness=measured)
