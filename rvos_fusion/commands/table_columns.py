"""The tables of `rvos table`: figures with gains, differing failures, best choices, steadiness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvos.evaluation.figures.base import Figure
from rvos.evaluation.resampling import show_limits
from rvos_fusion.recipe.published import PublishedRow
from rvos_fusion.scores.oracle import OracleRow
from rvos_fusion.scores.slices import Slice, explain_slices
from rvos_fusion.scores.steadiness import TRUTH, Duration, Steadiness
from rvos_fusion.scores.tables import TableRow
from rvos_fusion.tables import FORMS, PEOPLE, PROGRAMS, Column, Form, Table

_PAIRS = "expressions that only one of the two gets right (J&F from 50 on), %"
_STEADINESS = "consistency: IoU of the masks of neighbouring frames; in brackets the number of videos of such a length"
_STEADY = (("variance J", "variance_j"), ("variance J&F", "variance_j_and_f"), ("consistency", "consistency"))


def tabulate_scores(
    figures: Sequence[Figure],
    rows: Sequence[TableRow],
    steadiness: Sequence[Steadiness] = (),
    *,
    notes: Sequence[str] = (),
    published: Mapping[str, PublishedRow] | None = None,
) -> Table:
    """Return the figures of the rows that a data set has, with their gains; `notes` say what is lacking.

    CSV shows the steadiness of the same nodes in the same table; `published` is what papers print, by node, None where
    that was not asked for.
    """
    last = next((row.input_of for row in rows if row.input_of is not None), None)
    added = [] if last is None else [f"+ further inputs of {last}; their gain is what {last} gains over them"]
    notes = [*notes, *added]
    notes += [one.note for one in figures if one.note and any(one.name in row.figures for row in rows)]
    columns = [Column("node", "node", forms=PROGRAMS)]
    columns.append(Column("node", lambda row: row.node if row.input_of is None else f"+ {row.node}", forms=PEOPLE))
    if any(row.missing for row in rows):
        columns.append(Column("lacks videos", lambda row: row.missing or None, forms=PEOPLE))
    columns += list_score_columns(figures, rows)
    columns += [Column(name, name, forms=PROGRAMS) for name in ("input_of", "missing")]
    if any(row.settings for row in rows):
        columns.append(Column("settings", "settings", forms=("json",)))
    columns += [] if published is None else _list_published(published)
    known = {row.node: row for row in steadiness}
    steady = [(name, lambda row, key=key: getattr(known.get(row.node), key, None)) for name, key in _STEADY if known]
    columns += [Column(heading, take, forms=("csv",)) for heading, take in steady]
    return Table(tuple(columns), rows, notes=tuple(notes))


def list_score_columns(figures: Sequence[Figure], rows: Sequence[TableRow]) -> list[Column]:
    """Return the columns of the figures that the rows have, and of their gains."""
    columns = [
        column
        for key, group in groupby(figures, lambda figure: figure.key)
        for column in _list_figures(key, list(group), rows)
    ]
    gaining = [figure for figure in figures if figure.resample is not None]
    shown = [figure for figure in gaining if any(figure.name in row.gains for row in rows)]
    is_alone = len(shown or gaining) == 1
    columns += [Column("gain", "gain", "+.2f", FORMS if is_alone else PROGRAMS)]
    columns += [Column(name, name, forms=PROGRAMS) for name in ("low", "high")]
    if is_alone:
        columns.append(Column("95 % interval", lambda row: show_interval(row.main_gain), forms=PEOPLE))
    for figure in gaining if len(gaining) > 1 else ():
        columns += _list_gain(figure, people=() if is_alone or figure not in shown else PEOPLE)
    return columns


def _list_figures(key: str, figures: Sequence[Figure], rows: Sequence[TableRow]) -> list[Column]:
    """Return the columns of the figures of one key, which make a list in JSON where they are several."""
    columns = []
    for figure in figures:
        forms = FORMS if any(figure.name in row.figures for row in rows) else PROGRAMS
        if len(figures) > 1:
            forms = tuple(form for form in forms if form != "json")
        columns.append(Column(figure.heading, partial(_take_figure, figure.name), forms=forms, key=key))
    if len(figures) > 1:
        names = [figure.name for figure in figures]
        columns.append(Column(key, lambda row: [row.figures.get(name) for name in names], forms=("json",)))
    return columns


def _list_gain(figure: Figure, *, people: tuple[Form, ...]) -> list[Column]:
    """Return the columns of a gain of several, for these readers and for programs."""

    def show(row: TableRow) -> str | None:
        gain = row.gains.get(figure.name)
        return None if gain is None else f"{gain.gain:+.2f} {show_interval(gain) or ''}".rstrip()

    parts = [
        (part, lambda row, part=part: getattr(row.gains.get(figure.name), part, None))
        for part in ("gain", "low", "high")
    ]
    return [
        *(Column(f"{figure.name} {part}", take, forms=("csv",)) for part, take in parts),
        Column(f"{figure.name} gain, 95 %", show, forms=people),
        Column(f"{figure.key}_gain", lambda row: row.gains.get(figure.name), forms=("json",)),
    ]


def _list_published(published: Mapping[str, PublishedRow]) -> list[Column]:
    """Return the number that a paper prints for a row, and the place where it does."""

    def take(name: str, row: TableRow) -> object:
        return getattr(published.get(row.node), name, None)

    by_form: tuple[Form, ...] = ("text", "markdown", "csv")
    return [
        Column("published", partial(take, "number"), "", forms=by_form),
        Column("row of", partial(take, "label"), forms=by_form),
        Column("published", lambda row: published.get(row.node), forms=("json",)),
    ]


def _take_figure(name: str, row: TableRow) -> float | None:
    return row.figures.get(name)


def show_interval(row: Any) -> str | None:
    """Return the interval of a gain, or of a row that has one."""
    return None if row is None else show_limits(row.low, row.high)


def tabulate_pairs(nodes: Sequence[str], pairs: NDArray[np.float64]) -> Table:
    """Return how differently the nodes fail."""
    columns = [Column(node, itemgetter(place + 1), ".1f") for place, node in enumerate(nodes)]
    rows = [(node, *(100 * pair).tolist()) for node, pair in zip(nodes, pairs, strict=True)]
    return Table((Column("", itemgetter(0)), *columns), rows, title=_PAIRS, name="pairs")


def tabulate_oracles(node: str, rows: Sequence[OracleRow]) -> Table:
    """Return the best choices beside what was chosen."""
    note = f"above: what was there and {node} did not choose; what lacks to 100 was not there"
    return Table(_ORACLE, rows, notes=(note,), name="oracle")


_ORACLE = (
    Column("best choice by ground truth", lambda row: f"{row.name}, {row.node}", forms=PEOPLE),
    *(Column(name, name, forms=PROGRAMS) for name in ("name", "node")),
    Column("J", "j"),
    Column("F", "f"),
    Column("J&F", "j_and_f"),
    Column("above", "gap", "+.2f"),
    *(Column(name, name, forms=PROGRAMS) for name in ("low", "high")),
    Column("95 % interval", show_interval, forms=PEOPLE),
)


def tabulate_slices(by: str, nodes: Sequence[str], slices: Sequence[Slice], form: Form) -> Table:
    """Return J&F of every slice, a column a node; programs get a row for every slice and node, with J and F."""
    note = explain_slices(by, slices)
    if form in PEOPLE:
        columns = [Column(node, partial(_take_slice, place)) for place, node in enumerate(nodes)]
        return Table((Column(by, "name"), Column("sentences", "n_sentences"), *columns), slices, notes=(note,))
    names = ("slice", "sentences", "node", "j", "f", "j_and_f")
    rows = [
        (one.name, one.n_sentences, node, j, f, both)
        for one in slices
        for node, (j, f), both in zip(nodes, one.values, one.j_and_f, strict=True)
    ]
    return Table(tuple(Column(name, itemgetter(place)) for place, name in enumerate(names)), rows, name="slices")


def _take_slice(place: int, row: Slice) -> float:
    return row.j_and_f[place]


def tabulate_steadiness(rows: Sequence[Steadiness]) -> Table:
    """Return variances in hundredths, consistency, then J&F and consistency by duration."""
    columns = [Column("over the frames", "node", forms=PEOPLE), Column("node", "node", forms=PROGRAMS)]
    columns += [Column(heading, key, forms=PROGRAMS) for heading, key in _STEADY]
    columns += [
        Column("var J x 100", lambda row: _of_node(row, 100 * row.variance_j), forms=PEOPLE),
        Column("var J&F x 100", lambda row: _of_node(row, 100 * row.variance_j_and_f), forms=PEOPLE),
        Column("consistency", "consistency", forms=PEOPLE),
        Column("durations", lambda row: [asdict(part) for part in row.durations], forms=("json",)),
    ]
    for place, part in enumerate(rows[0].durations):
        columns += _list_duration(place, part)
    return Table(tuple(columns), rows, notes=(_STEADINESS,), name="stability")


def _list_duration(place: int, part: Duration) -> list[Column]:
    frames = str(part.shortest) if part.shortest == part.longest else f"{part.shortest}-{part.longest}"
    heading = f"J&F, {frames} frames ({part.n_videos})"
    return [
        Column(heading, lambda row: _of_node(row, row.durations[place].j_and_f), forms=PEOPLE),
        Column(f"consistency, {frames}", lambda row: row.durations[place].consistency, forms=PEOPLE),
    ]


def _of_node(row: Steadiness, value: float) -> float | None:
    """Return a value; None of the ground truth, which is not scored."""
    return None if row.node == TRUTH else value
