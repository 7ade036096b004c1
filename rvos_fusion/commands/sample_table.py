"""`rvos table` for data sets of single annotated frames: mAP, precisions, overall and mean IoU, two gains."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from rvos.errors import ConfigError
from rvos_fusion.commands.entrants import open_one, open_several
from rvos_fusion.commands.table_forms import Form, write_csv, write_markdown
from rvos_fusion.scores.sample_tables import Gain, SampleRow, make_sample_table, score_samples


def print_samples(options: argparse.Namespace, form: Form, others: Sequence[str]) -> None:
    """Print the table of one recipe, or of several.

    Args:
        others: further recipes among the words for nodes.

    Raises:
        ConfigError: options that single frames have no answer to.
    """
    if options.pairs or options.oracle or options.stability:
        raise ConfigError("--pairs, --oracle and --stability: not for single frames; leave them out")
    n_samples, rows = _compare(options, others) if others else _score(options)
    if form == "json":
        json.dump({"samples": n_samples, "rows": [asdict(row) for row in rows]}, sys.stdout, indent=1)
        print()
    elif form == "csv":
        print(write_csv(*_list_numbers(rows)), end="")
    elif form == "markdown":
        print(write_markdown(*_list_cells(rows)), end="")
    else:
        _print_text(rows)


def _score(options: argparse.Namespace) -> tuple[int, list[SampleRow]]:
    one = open_one(options)
    nodes = one.results.choose_nodes(options.nodes)
    inputs = one.results.find_inputs(nodes)
    scores = score_samples(one.results, one.dataset, one.videos, [*nodes, *inputs], jobs=options.jobs)
    return len(scores[0]), make_sample_table(nodes, scores, inputs=inputs)


def _compare(options: argparse.Namespace, others: Sequence[str]) -> tuple[int, list[SampleRow]]:
    rows = open_several(options, others)
    scores = [score_samples(one.results, one.dataset, one.videos, [node], jobs=options.jobs)[0] for one, node in rows]
    return len(scores[0]), make_sample_table([f"{one.name}/{node}" for one, node in rows], scores)


def _name_row(row: SampleRow) -> str:
    return row.node if row.input_of is None else f"+ {row.node}"


def _show(gain: Gain | None) -> str:
    return "" if gain is None else f"{gain.gain:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"


def _list_cells(rows: Sequence[SampleRow]) -> tuple[list[str], list[list[str | float | None]]]:
    """Return headings and cells, gains as text."""
    headings = ["node", *(name for name, _ in rows[0].list_figures()), "mean IoU gain, 95 %", "mAP gain, 95 %"]
    return headings, [
        [_name_row(row), *(value for _, value in row.list_figures()), _show(row.mean_gain), _show(row.map_gain)]
        for row in rows
    ]


def _list_numbers(rows: Sequence[SampleRow]) -> tuple[list[str], list[list[str | float | None]]]:
    """Return headings and cells, every number in a cell of its own."""
    parts = ("gain", "low", "high")
    headings = ["node", *(name for name, _ in rows[0].list_figures())]
    headings += [f"{figure} {part}" for figure in ("mean IoU", "mAP") for part in parts] + ["input_of"]
    cells: list[list[str | float | None]] = []
    for row in rows:
        gains = [getattr(gain, part) if gain else None for gain in (row.mean_gain, row.map_gain) for part in parts]
        cells.append([row.node, *(value for _, value in row.list_figures()), *gains, row.input_of])
    return headings, cells


def _print_text(rows: Sequence[SampleRow]) -> None:
    width = max([len(_name_row(row)) for row in rows] + [4])
    heads = "".join(f"{name:>8}" for name, _ in rows[0].list_figures())
    print(f"{'node':{width}}{heads}  mean IoU gain, 95 %    mAP gain, 95 %")
    for row in rows:
        figures = "".join(f"{value:>8.2f}" for _, value in row.list_figures())
        print(f"{_name_row(row):{width}}{figures}  {_show(row.mean_gain):21}  {_show(row.map_gain)}".rstrip())
    last = next((row.input_of for row in rows if row.input_of is not None), None)
    if last is not None:
        print(f"+ further inputs of {last}; their gain is what {last} gains over them")
