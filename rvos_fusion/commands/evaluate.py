"""`rvos evaluate GROUND_TRUTH PREDICTIONS`: J, F and J&F, or mAP and IoU, in the convention of a benchmark."""

from __future__ import annotations

import argparse
import sys
from operator import itemgetter
from pathlib import Path

from rvos.errors import ConfigError, InputError, make_printable
from rvos.evaluation.report import to_json, write_reports
from rvos.evaluation.results import DatasetScore
from rvos.formats import FORMATS, explain_assumed, open_dataset, score_dataset
from rvos.settings import count
from rvos_fusion.tables import Column, Table, add_forms, print_json, print_tables, read_form
from rvos_fusion.weights.provenance import read_dataset_entry

_SHOWN = 10

_EPILOG = """\
GROUND_TRUTH is a data set folder (or, for Ref-YouTube-VOS, an archive) with annotations and an expression file that
names their objects. PREDICTIONS is a folder or a zip archive of <video>/<expression>/<frame>.png, for ref-davis17 also
of anno_0 ... anno_3, for mosev2 of <video>/<frame>.png, for a2d-sentences and jhmdb-sentences also of COCO results
(results.json). Missing masks count 0 and are listed.

examples:
  rvos evaluate demo/data runs/demo/submission.zip --out runs/demo/scores   # format and split of its manifest
  rvos evaluate demo/data theirs --format ref-youtube-vos"""


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument("ground_truth", type=Path, metavar="GROUND_TRUTH")
    parser.add_argument("predictions", type=Path, metavar="PREDICTIONS")
    parser.add_argument("--format", choices=tuple(FORMATS), help="default, as for --split: of the archive's manifest")
    parser.add_argument("--split", help="otherwise: valid; valid_u for MeViS, test for ReasonVOS, A2D, JHMDB")
    parser.add_argument(
        "--task",
        help="protocol, where the format has several: of ref-davis17 unsupervised (the default, as papers report) "
        "or semi-supervised",
    )
    parser.add_argument("--stability", action="store_true", help="add the variance of J and of J&F over frames")
    parser.add_argument("--strict", action="store_true", help="fail when a prediction is missing")
    parser.add_argument("--out", type=Path, help="folder for scores.json and CSV files by expression, object, frame")
    parser.add_argument("--jobs", type=int, default=1, help="worker processes; -1 for all cores")
    add_forms(parser)


def run(options: argparse.Namespace) -> int:
    """Score the predictions and print the figures."""
    named = read_dataset_entry(options.predictions) if options.format is None else None
    if options.format is None and named is None:
        raise ConfigError(f"{options.predictions}: no manifest beside it names a format; give --format")
    format, _, split = named or (options.format, None, None)
    dataset = open_dataset(format, options.ground_truth, options.split or split)
    if assumed := explain_assumed(dataset):
        print(f"note: {assumed}", file=sys.stderr)
    result = score_dataset(dataset, options.predictions, task=options.task, jobs=options.jobs)
    if options.strict and result.missing:
        raise InputError(
            f"{options.predictions}: {count(len(result.missing), 'prediction is', 'predictions are')} missing, first "
            f"{result.missing[0]}; make them or leave --strict out"
        )
    if options.out:
        write_reports(options.out, result, stability=options.stability)
    shown, content = read_form(options), to_json(result, stability=options.stability)
    if shown == "json":
        print_json(content)
        return 0
    _print_remarks(result)
    # Per cent, as in the other tables.
    cells = {
        name: 100 * value if isinstance(value, float) and "variance" not in name else value
        for name, value in content.items()
        if isinstance(value, str | int | float)
    }
    if shown == "text":
        print_tables([Table(_FIGURES, list(cells.items())[1:], has_headings=False)], shown)
    else:
        print_tables([Table(tuple(Column(name, itemgetter(name)) for name in cells), [cells])], shown)
    return 0


_FIGURES = (Column("figure", itemgetter(0)), Column("value", lambda row: _show(*row)))


def _show(name: str, value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6f}" if "variance" in name else f"{value:.3f}"


def _print_remarks(result: DatasetScore) -> None:
    """Print what was found beside the figures to standard error."""
    kinds = (
        ("missing, counted as 0", result.missing),
        ("the official scorer", result.official),
        ("odd values", result.notes),
        ("not scored", result.strays),
    )
    for title, lines in kinds:
        if lines:
            print(f"{title}: {len(lines)}", file=sys.stderr)
            for line in lines[:_SHOWN]:
                print(f"  {make_printable(line)}", file=sys.stderr)
            if len(lines) > _SHOWN:
                print(f"  and {len(lines) - _SHOWN} more; --json lists all", file=sys.stderr)
