"""`rvos table` for data sets of single annotated frames: mAP, precisions, overall and mean IoU, two gains."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from rvos.errors import ConfigError
from rvos_fusion.commands.entrants import open_one, open_several
from rvos_fusion.scores.sample_tables import Gain, SampleRow, make_sample_table, score_samples
from rvos_fusion.tables import PEOPLE, PROGRAMS, Column, Form, Table, print_tables


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
    print_tables([_tabulate(rows)], form, {"samples": n_samples})


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


def _tabulate(rows: Sequence[SampleRow]) -> Table:
    last = next((row.input_of for row in rows if row.input_of is not None), None)
    notes = () if last is None else (f"+ further inputs of {last}; their gain is what {last} gains over them",)
    columns = [Column("node", "node", forms=PROGRAMS), Column("node", _name_row, forms=PEOPLE)]
    columns += [
        Column(name, partial(_take, place), forms=("csv", *PEOPLE))
        for place, (name, _) in enumerate(rows[0].list_figures())
    ]
    keys = ("map", "map50", "precisions", "overall", "mean", "mean_gain", "map_gain")
    columns += [Column(key, key, forms=("json",)) for key in keys]
    for name, key in (("mean IoU", "mean_gain"), ("mAP", "map_gain")):
        columns += _list_gain(name, key)
    return Table((*columns, Column("input_of", "input_of", forms=PROGRAMS)), rows, notes=notes)


def _list_gain(name: str, key: str) -> list[Column]:
    """Return the columns of a gain: three numbers for programs, one text for people."""

    def show(row: SampleRow) -> str | None:
        found: Gain | None = getattr(row, key)
        return None if found is None else f"{found.gain:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"

    numbers = [
        Column(f"{name} {part}", partial(_take_part, key, part), forms=("csv",)) for part in ("gain", "low", "high")
    ]
    return [*numbers, Column(f"{name} gain, 95 %", show, forms=PEOPLE)]


def _take(place: int, row: SampleRow) -> float:
    return row.list_figures()[place][1]


def _take_part(key: str, part: str, row: SampleRow) -> float | None:
    return getattr(getattr(row, key), part, None)


def _name_row(row: SampleRow) -> str:
    return row.node if row.input_of is None else f"+ {row.node}"
