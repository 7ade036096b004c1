"""Figures of single frames equal those of a dense computation in NumPy, and mAP that of COCO's definition."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_folders import write_json, write_png
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sample_folders import make_mask, write_a2d, write_jhmdb

from rvos.errors import InputError
from rvos.evaluation.average_precision import Detection, choose_best, resample_precision
from rvos.evaluation.protocols.samples import SampleEvaluator, SampleJudge
from rvos.evaluation.report import to_json
from rvos.evaluation.results import SampleScore
from rvos.evaluation.truth import SampleTruth
from rvos.formats import open_dataset, score_dataset
from rvos.masks.frame_queries import FrameQueries
from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.videos import Expression, Video
from rvos_fusion.commands.cli import main

Masks = NDArray[np.bool_]
Answer = tuple[Masks, list[tuple[Masks, float]]]
"""Truth of a sample, and masks with scores."""
LIMITS = np.array([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])
RECALLS = np.round(np.linspace(0, 1, 101), 2)
SIZE = (6, 7)


@st.composite
def answers(draw: st.DrawFn) -> list[Answer]:
    """Samples of random masks, empty ones and equal scores among them."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = st.sampled_from([0.1, 0.25, 0.5, 0.5, 0.9])
    found = []
    for _ in range(draw(st.integers(1, 6))):
        truth = random.random(SIZE) < draw(st.sampled_from([0.0, 0.3, 0.6]))
        masks = []
        for _ in range(draw(st.integers(0, 4))):
            noise = random.random(SIZE) < draw(st.sampled_from([0.0, 0.05, 0.2, 0.5]))
            masks.append((truth ^ noise if draw(st.booleans()) else noise, draw(scores)))
        found.append((truth, masks))
    return found


def measure_samples(scores: list[SampleScore]) -> dict[str, float | None]:
    """Return the figures by name."""
    return {figure.name: figure.measure(scores) for figure in SampleEvaluator.figures}


def score(samples: list[Answer]) -> list[SampleScore]:
    """Return what the judge says of each sample."""
    found = []
    for number, (truth, masks) in enumerate(samples):
        video = Video(f"v{number}", ("1",), (Expression("0", "a ball", ("1",)),), (Path("none"),))
        judge = SampleJudge(video, SampleTruth({"1": truth}, 1, 0, "test"), 0)
        detections = [Detection(encode(mask[None])[0], value) for mask, value in masks]
        found += judge.judge_detections({"0": detections})
    return found


def overlap(mask: Masks, truth: Masks) -> tuple[int, int]:
    return int((mask & truth).sum()), int((mask | truth).sum())


def measure_densely(samples: list[Answer]) -> dict[str, float]:
    """Return the figures but mAP, from whole arrays."""
    ious, common, union = [], 0, 0
    for truth, masks in samples:
        best, highest = None, -np.inf
        for mask, value in masks:
            if value >= highest:  # of equal scores the last
                best, highest = mask, value
        i, u = overlap(np.zeros_like(truth) if best is None else best, truth)
        ious.append(0.0 if best is None else (i + 1e-6) / (u + 1e-6))
        common, union = common + i, union + u
    figures = {f"P@{limit}": float(np.mean([iou > limit for iou in ious])) for limit in (0.5, 0.6, 0.7, 0.8, 0.9)}
    return figures | {"overall IoU": common / union if union else 1.0, "mean IoU": float(np.mean(ious))}


def keep_best(masks: list[tuple[Masks, float]]) -> list[tuple[Masks, float]]:
    """Return the last of the best-scored masks, if there is one."""
    return sorted(masks, key=lambda one: one[1])[-1:]


def measure_precision_densely(samples: list[Answer]) -> float:
    """Return COCO's AP by its definition: one truth a picture, the best-scored masks first, 101 recalls."""
    rows = []
    for number, (truth, masks) in enumerate(samples):
        order = sorted(range(len(masks)), key=lambda place: -masks[place][1])
        overlaps = [overlap(masks[place][0], truth) for place in order]
        # COCO knows no smoothing: two empty masks do not meet.
        rows += [(masks[place][1], number, i / u if u else 0.0) for place, (i, u) in zip(order, overlaps, strict=True)]
    rows.sort(key=lambda row: -row[0])
    values = []
    for limit in LIMITS:
        matched: set[int] = set()
        hits = []
        for _, number, iou in rows:
            is_hit = number not in matched and iou >= min(limit, 1 - 1e-10)
            hits.append(is_hit)
            if is_hit:
                matched.add(number)
        right = np.cumsum(hits)
        recall, precision = right / len(samples), right / np.arange(1, len(hits) + 1)
        reached = [precision[recall >= wanted].max(initial=0.0) for wanted in RECALLS]
        values.append(np.mean(reached))
    return float(np.mean(values))


def measure_by_pycocotools(samples: list[Answer]) -> float:
    """Return the AP of pycocotools, called as its own documentation does: from files of annotations and results."""

    def entry(mask: Masks) -> dict[str, object]:
        counts = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        return {"segmentation": counts, "area": int(mask.sum()), "bbox": coco.toBbox(counts).tolist()}

    truth = COCO()
    truth.dataset = {
        "images": [{"id": number, "height": SIZE[0], "width": SIZE[1]} for number in range(1, len(samples) + 1)],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 1, "iscrowd": 0} | entry(mask)
            for number, (mask, _) in enumerate(samples, start=1)
        ],
        "categories": [{"id": 1, "name": "object"}],
    }
    results = [
        {"image_id": number, "category_id": 1, "score": value} | entry(mask)
        for number, (_, masks) in enumerate(samples, start=1)
        for mask, value in masks
    ]
    with redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


@settings(deadline=None, max_examples=60)
@given(answers())
def test_all_figures_equal_a_dense_computation(samples: list[Answer]) -> None:
    found = measure_samples(score(samples))
    best = [(truth, keep_best(masks)) for truth, masks in samples]
    assert found["mAP of one mask"] == pytest.approx(measure_precision_densely(best), abs=1e-12)
    if best == samples:
        assert found["mAP"] is found["AP50"] is None
    else:
        assert found["mAP"] == pytest.approx(measure_precision_densely(samples), abs=1e-12)
    for name, value in measure_densely(samples).items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


@settings(deadline=None, max_examples=25)
@given(answers())
def test_map_is_that_of_pycocotools(samples: list[Answer]) -> None:
    if any(len(masks) > 1 for _, masks in samples):
        assert measure_samples(score(samples))["mAP"] == pytest.approx(measure_by_pycocotools(samples), abs=1e-12)


@settings(deadline=None, max_examples=15)
@given(answers(), st.integers(0, 1000))
def test_a_resampled_map_is_that_of_the_drawn_samples(samples: list[Answer], seed: int) -> None:
    scored = score(samples)
    draws = np.random.default_rng(seed).integers(len(scored), size=(3, len(scored)))
    found = resample_precision([one.sample for one in scored], draws)
    expected = [measure_precision_densely([samples[place] for place in draw]) for draw in draws]
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_sequence_offers_all_queries_of_the_annotated_frame_and_one_mask_in_others() -> None:
    truth, wrong = np.zeros((2, *SIZE), np.bool_)
    truth[:3] = wrong[3:] = True
    video = Video("v", ("1", "2"), (Expression("0", "a ball", ("1",)),), (Path("none"),) * 2)
    judge = SampleJudge(video, SampleTruth({"1": truth}, 2, 1, "test"), 1)
    runs = encode(np.stack([wrong, wrong]))
    queries = FrameQueries(1, (runs[1], encode(truth[None])[0]), np.array([0.9, 0.4], np.float32))
    scores = np.array([0.1, 0.9], np.float32)
    sequence = MaskSequence("v", "0", video.frames, SIZE, runs, scores, queries=queries)
    figures = measure_samples(judge.judge([sequence]))  # type: ignore[arg-type]
    # The right mask is found at rank 2, and the best-scored one alone decides everything else.
    assert figures["mAP"] == pytest.approx(0.5)
    assert figures["mAP of one mask"] == figures["P@0.5"] == 0
    elsewhere = replace(sequence, queries=replace(queries, frame=0))
    assert measure_samples(judge.judge([elsewhere]))["mAP"] is None  # type: ignore[arg-type]


def test_of_equal_scores_the_last_mask_counts() -> None:
    detections = [Detection(b"a", 0.5), Detection(b"b", 0.9), Detection(b"c", 0.9), Detection(b"d", 0.1)]
    assert choose_best(detections) == detections[2]
    assert choose_best([]) is None


def test_two_empty_masks_count_one_and_a_missing_mask_counts_nothing() -> None:
    nothing = np.zeros(SIZE, np.bool_)
    figures = measure_samples(score([(nothing, [(nothing, 0.5)])]))
    assert (figures["P@0.9"], figures["mean IoU"], figures["overall IoU"]) == (1, 1, 1)
    assert measure_samples(score([(nothing, [])]))["mean IoU"] == 0


def test_a_precision_counts_strictly_above_its_limit() -> None:
    truth, half = np.zeros((2, 50), np.bool_), np.zeros((2, 50), np.bool_)
    truth[0], half[0, :25] = True, True
    # The smoothing lifts 25 / 50 a little above one half.
    assert measure_samples(score([(truth, [(half, 1.0)])]))["P@0.5"] == 1
    half[0, 24] = False
    assert measure_samples(score([(truth, [(half, 1.0)])]))["P@0.5"] == 0


def write_masks(folder: Path) -> Path:
    """Write the right masks of the annotated frames, but one, as images."""
    write_png(folder / "clip-00001/0/00001.png", make_mask(0, 1).astype(np.uint8) * 255)
    write_png(folder / "clip-00004/0/00004.png", make_mask(0, 4).astype(np.uint8) * 255)
    return folder


def test_masks_as_images_need_only_the_annotated_frames(tmp_path: Path) -> None:
    dataset = open_dataset("a2d-sentences", write_a2d(tmp_path / "data"), "test")
    result = score_dataset(dataset, write_masks(tmp_path / "masks"))
    assert result.missing == ("clip-00001/1: all 1 frame",)
    assert to_json(result)["samples"] == 3
    assert result.figures["mean IoU"] == pytest.approx(2 / 3)
    assert result.figures["overall IoU"] == pytest.approx(200 / (200 + 12 * 14))


def test_results_in_the_form_of_coco_may_hold_several_masks(tmp_path: Path) -> None:
    def entry(name: str, mask: Masks, value: float) -> dict[str, object]:
        counts = {"size": list(mask.shape), "counts": encode(mask[None])[0].decode()}
        return {"image_id": name, "category_id": 1, "segmentation": counts, "score": value}

    rows = [
        entry("clip-00002/0", make_mask(1, 2), 0.8),
        entry("clip-00002/0", make_mask(0, 2), 0.3),
        entry("clip-00007/0", make_mask(0, 7), 0.6),
        entry("elsewhere/0", make_mask(0, 7), 0.6),
    ]
    dataset = open_dataset("jhmdb-sentences", write_jhmdb(tmp_path / "data"), "test")
    result = score_dataset(dataset, write_json(tmp_path / "mine.json", rows))
    assert result.figures["P@0.5"] == 0.5
    # Found at the ranks 2 and 3 of three masks: precision 1/2 up to recall 1/2, then 2/3, so 2/3 everywhere.
    assert result.figures["mAP"] == pytest.approx(2 / 3)
    assert result.strays == ("elsewhere/0: no sample of this split",)
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.writestr("results.json", json.dumps(rows))
    assert score_dataset(dataset, tmp_path / "mine.zip").figures == result.figures


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_id": 3}, "entry 0: image_id 3, expected text"),
        ({"score": "high"}, "entry 0: score 'high' is no number"),
        ({"segmentation": {"size": [32], "counts": ""}}, "without a size"),
        ({"segmentation": {"size": [32, 48], "counts": "0"}}, "entry 0"),
        ({"segmentation": {"size": [2, 3], "counts": [6]}}, "clip-00002/0"),
    ],
)
def test_broken_results_are_one_line(tmp_path: Path, change: dict[str, object], words: str) -> None:
    mask = {"size": [32, 48], "counts": encode(make_mask(0, 2)[None])[0].decode()}
    row = {"image_id": "clip-00002/0", "category_id": 1, "segmentation": mask, "score": 0.5}
    dataset = open_dataset("jhmdb-sentences", write_jhmdb(tmp_path / "data"), "test")
    with pytest.raises(InputError, match=words) as error:
        score_dataset(dataset, write_json(tmp_path / "mine.json", [row | change]))
    assert "mine.json" in str(error.value)


def test_evaluate_prints_the_published_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, masks = write_a2d(tmp_path / "data"), write_masks(tmp_path / "masks")
    words = ["evaluate", str(data), str(masks), "--format", "a2d-sentences", "--json", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed)[1:10] == [
        "mAP of one mask",
        "AP50 of one mask",
        *(f"P@0.{limit}" for limit in range(5, 10)),
        "overall IoU",
        "mean IoU",
    ]
    assert (tmp_path / "out/samples.csv").read_text().splitlines()[3] == "clip-00004,0,3,00004,1,1.0,100,100"
