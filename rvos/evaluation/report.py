"""Scores as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rvos.evaluation.figures.samples import take_samples
from rvos.evaluation.results import DatasetScore, ExpressionScore, SampleScore, average_objects, measure_stability
from rvos.files.atomic import write_text


def to_json(result: DatasetScore, *, stability: bool = False) -> dict[str, Any]:
    """Return the figures of a data set, as `rvos evaluate --json` prints them."""
    content: dict[str, Any] = {"format": result.format, **result.figures, result.unit: len(result.scores)}
    content |= result.extra
    if stability and "J" in result.figures:
        content |= measure_stability(result.scores)
    content |= {"official": list(result.official)} if result.official else {}
    return content | {"missing": list(result.missing), "notes": list(result.notes), "strays": list(result.strays)}


def write_reports(folder: Path, result: DatasetScore, *, stability: bool = False) -> list[Path]:
    """Write `scores.json`, `expressions.csv`, `objects.csv` and `frames.csv`; return their paths.

    Samples have `scores.json` and `samples.csv`. Raises StoreError: the folder cannot be written.
    """
    files = {"scores.json": json.dumps(to_json(result, stability=stability), indent=1) + "\n"}
    samples = take_samples(result.scores)
    if samples:
        files["samples.csv"] = _to_csv(_SAMPLE_HEADER, map(_sample_row, samples))
    else:
        objects = average_objects(result.scores).items()
        files["expressions.csv"] = _to_csv(_EXPRESSION_HEADER, map(_expression_row, result.scores))
        files["objects.csv"] = _to_csv(
            ("object", "J", "F", "J&F", "expressions"), ((name, j, f, (j + f) / 2, n) for name, (j, f, n) in objects)
        )
        files["frames.csv"] = _to_csv(("video", "expression", "frame", "J", "F", "J&F"), _frame_rows(result.scores))
    for name, text in files.items():
        write_text(folder / name, text)
    return [folder / name for name in files]


_EXPRESSION_HEADER = ("video", "expression", "objects", "frames", "missing", "J", "F", "J&F")


def _expression_row(score: ExpressionScore) -> tuple[object, ...]:
    objects = "+".join(score.objects)
    means = (score.j_mean, score.f_mean, score.j_and_f)
    return (score.video, score.expression, objects, len(score.frames), len(score.missing), *means)


_SAMPLE_HEADER = ("video", "expression", "objects", "frame", "masks", "IoU", "intersection", "union")


def _sample_row(score: SampleScore) -> tuple[object, ...]:
    names = (score.video, score.expression, "+".join(score.objects), score.frames[0])
    return (*names, len(score.sample.detections), score.iou, score.intersection, score.union)


def _frame_rows(scores: Iterable[ExpressionScore]) -> Iterable[tuple[object, ...]]:
    for score in scores:
        for frame, j, f in zip(score.frames, score.j.tolist(), score.f.tolist(), strict=True):
            yield score.video, score.expression, frame, j, f, (j + f) / 2


def _to_csv(header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
