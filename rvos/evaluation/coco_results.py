"""Predictions for single frames in COCO's form of results: any number of masks with scores for every sample.

`[{"image_id": "<video>/<expression>", "category_id": 1, "segmentation": {"size": [H, W], "counts": text}, "score": s}]`
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rvos.errors import InputError
from rvos.evaluation.average_precision import Detection, list_detections
from rvos.files.json_files import expect_list, expect_object, parse_json, read_json
from rvos.files.trees import open_tree
from rvos.ids import compose_name
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.run_lengths import check_run_length, read_run_size

RESULTS = "results.json"
_LARGEST = 1 << 32

Rows = Sequence[tuple[Detection, tuple[int, int]]]
"""Masks with their sizes (H, W)."""
Results = Mapping[tuple[str, str], Rows]
"""By video and expression."""


def find_results(path: Path) -> bool:
    """Return whether predictions are COCO results: a `.json` file, or a folder or an archive that holds one."""
    if path.suffix.lower() == ".json":
        return True
    return path.exists() and open_tree(path).exists(RESULTS)


def read_results(path: Path) -> Results:
    """Return the detections of a file of results, or of the one in a folder or archive; InputError for another form."""
    if path.suffix.lower() == ".json":
        where, content = str(path), read_json(path, most=_LARGEST)
    else:
        tree = open_tree(path)
        where = f"{tree.name}/{RESULTS}"
        content = parse_json(tree.read(RESULTS, most=_LARGEST), where=where)
    found: dict[tuple[str, str], list[tuple[Detection, tuple[int, int]]]] = {}
    for number, row in enumerate(expect_list(content, where=where)):
        name, detection, size = _read_row(row, where=f"{where}: entry {number}")
        found.setdefault(name, []).append((detection, size))
    return found


def _read_row(row: object, *, where: str) -> tuple[tuple[str, str], Detection, tuple[int, int]]:
    entry = expect_object(row, where=where)
    name, score = entry.get("image_id"), entry.get("score")
    if not isinstance(name, str) or name.count("/") != 1:
        raise InputError(f'{where}: image_id {ascii(name)[:60]}, expected text such as "<video>-00020/0"; correct it')
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not math.isfinite(score):
        raise InputError(f"{where}: score {ascii(score)[:60]} is no number; correct it")
    mask = expect_object(entry.get("segmentation"), where=f"{where}: segmentation")
    size = read_run_size(mask, where=where)
    video, _, expression = compose_name(name).partition("/")
    return (video, expression), Detection(check_run_length(mask, size, where=where), float(score)), size


def list_rows(rows: Iterable[tuple[MaskSequence, int]]) -> list[dict[str, object]]:
    """Return the entries of a file of results. `rows`: mask sequences, each with the place of its annotated frame."""
    return [
        {
            "image_id": f"{one.video}/{one.expression}",
            "category_id": 1,
            "segmentation": {"size": list(one.size), "counts": mask.counts.decode("ascii")},
            "score": mask.score,
        }
        for one, place in rows
        for mask in list_detections(one, place)
    ]


def encode_results(content: Sequence[Mapping[str, object]]) -> bytes:
    """Return the content of a file of results of its entries."""
    return (json.dumps(content, separators=(",", ":")) + "\n").encode()
