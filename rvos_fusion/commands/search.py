"""`rvos search RECIPE`: which members, threshold and groups score best on videos that they were not chosen on."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from itertools import count as count_up
from pathlib import Path

from rvos.errors import ConfigError
from rvos.evaluation.resampling import show_limits
from rvos.formats import find_format, open_evaluator
from rvos.settings import count, nearest
from rvos_fusion.commands.shared_options import add_recipe_options, open_recipe, repeat_options
from rvos_fusion.kinds.artefacts import MASKS
from rvos_fusion.kinds.groups.grouping import GroupSettings
from rvos_fusion.planning.plan import select_videos
from rvos_fusion.planning.results import Results, open_all_results
from rvos_fusion.recipe.recipe import Recipe
from rvos_fusion.recipe.written import check_place, write_extended
from rvos_fusion.scores.search.searching import FoundRow, Search, search
from rvos_fusion.tables import PEOPLE, PROGRAMS, Column, Table, print_json, print_tables

_PROPAGATE = "propagate"


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the table; `name`: what was chosen, from the members by name."""

    name: str
    members: tuple[str, ...]
    threshold: str | None
    groups: str | None
    held_out: float | None
    fitted: float
    gain: float | None = None
    low: float | None = None
    high: float | None = None


_COLUMNS = (
    Column("", "name", key="row"),
    Column("held out", "held_out"),
    Column("same videos", "fitted", key="fitted"),
    Column("gain", "gain", "+.2f"),
    Column("low", "low", forms=PROGRAMS),
    Column("high", "high", forms=PROGRAMS),
    Column("95 % interval", lambda row: show_limits(row.low, row.high), forms=PEOPLE),
    Column("threshold", "threshold"),
    Column("groups", "groups"),
    Column("members", "members", folds=True),
)


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "examples:\n  rvos search pipeline.yaml\n"
        "  rvos search pipeline.yaml --nodes soc_aot,mutr_aot,uninext_deaot --out searched.yaml"
    )
    add_recipe_options(parser)
    parser.add_argument(
        "--nodes",
        type=lambda text: [name.strip() for name in text.split(",")],
        default=[],
        metavar="NODE,NODE",
        help="members; default: the models and propagated nodes whose masks are stored",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="recipe to write, beside the other; default: RECIPE_searched.yaml"
    )
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Search, write two recipes, print what was found."""
    recipe = open_recipe(options)
    form, dataset = find_format(recipe.dataset.format), recipe.dataset.open()
    if not open_evaluator(dataset).scores_alone or form.has_samples:
        raise ConfigError(f"{recipe.path}: {form.title} does not score whole sentences one by one; use rvos sweep")
    videos = select_videos(dataset, names=options.videos)
    results = open_all_results(recipe, videos, repeat_options(options))
    out = options.out or recipe.path.with_name(f"{recipe.path.stem}_searched.yaml")
    check_place(recipe, out)
    notes: list[str] = []
    names = _choose_members(recipe, results, options.nodes, notes)
    groups = _choose_groups(recipe, results, notes)
    found = search((results, dataset, videos), names, groups, jobs=options.jobs)
    notes += [f"{copy} has the same masks as {first} and is left out" for copy, first in found.copies.items()]
    # Before anything is written: a full disk must not lose what was found.
    _print(options, found, len(videos), [*notes, *_explain(found)])
    for line in _write(recipe, options, found, out, len(videos)):
        print(line, file=sys.stderr if options.json else sys.stdout)
    return 0


def _choose_members(recipe: Recipe, results: Results, named: Sequence[str], notes: list[str]) -> list[str]:
    """Return the nodes to search; ConfigError for one that the recipe does not have."""
    known = [node.name for node in results.plan.nodes if node.artefact is MASKS]
    for name in named:
        if name not in known:
            raise ConfigError(f"{recipe.path}: no node {name!r}; {nearest(name, known)}")
    if named:
        return list(dict.fromkeys(named))
    offered = [
        node.name for node in recipe.nodes if node.name in known and (node.stage is None or node.keyword == _PROPAGATE)
    ]
    lacking = {name: len(results.find_missing(name)) for name in offered}
    n_videos = len(results.plan.videos)
    notes += [
        f"{name} is left out: stored for {n_videos - n} of {count(n_videos, 'video')}"
        for name, n in lacking.items()
        if n
    ]
    return [name for name in offered if not lacking[name]]


def _choose_groups(recipe: Recipe, results: Results, notes: list[str]) -> GroupSettings | None:
    """Return the recipe's groups; None where it has none, or they cannot be known."""
    if recipe.groups.by == "none":
        return None
    missing = [name for name in recipe.groups.deciding if results.find_missing(name)]
    if missing:
        notes.append(f"groups by {recipe.groups.by} are not tried: {', '.join(missing)} is not stored for all videos")
        return None
    refuted = [one for one in results.plan.order if one.is_refuted and one.members == recipe.groups.members]
    if refuted:
        notes.append("groups by runs are not tried: the order of the file says nothing about sentences of one object")
        return None
    return recipe.groups


def _write(recipe: Recipe, options: argparse.Namespace, found: Search, out: Path, n_videos: int) -> Iterator[str]:
    """Write the recipes of what is advised and of the best pair; yield a line for each."""
    words = [word for name in [",".join(options.nodes)] if name for word in ("--nodes", name)]
    made = f"Made by rvos search {repeat_options(options)} {shlex.join(words)}".rstrip()
    taken = {node.name for node in recipe.nodes}
    rows = {out: found.fusion, out.with_name(f"{out.stem}_pair{out.suffix}"): found.pair}
    for path, row in rows.items():
        comment = f"{made} on {count(n_videos, 'video')}.\nJ&F {_tell(row)}."
        # What is not sure to be better is there to be tried, and not what is handed in.
        submitted = found.best_input if row is found.fusion and not row.is_sure else row
        node, nodes = _find_free("searched", taken), {}
        if not row.candidate.is_input:
            nodes[node] = _make_entry(recipe, found, row)
        submission = found.names_of(submitted)[0] if submitted.candidate.is_input else node
        stage = _find_free("search", recipe.stages)
        write_extended(recipe, path, submission, comment=comment, stage=stage, nodes=nodes)
        yield f"{path}: written; it submits {submission}" + (
            f" and has {node}" if submission not in nodes and nodes else ""
        )


def _make_entry(recipe: Recipe, found: Search, row: FoundRow) -> dict[str, object]:
    """Return a fusion as a recipe has it."""
    threshold = row.candidate.write_threshold(found.group_size or 1)
    entry: dict[str, object] = {"fuse": found.names_of(row), "threshold": threshold}
    if not row.candidate.is_grouped and recipe.groups.by != "none":
        entry["groups"] = {"by": "none"}
    return entry


def _find_free(word: str, taken: Sequence[str] | set[str]) -> str:
    names = chain([word], (f"{word}_{number}" for number in count_up(2)))
    return next(name for name in names if name not in taken)


def _tell(row: FoundRow) -> str:
    limits = show_limits(row.low, row.high)
    gain = f"held-out gain over the best input {row.gain:+.2f} {limits}" if not row.candidate.is_input else "one input"
    return f"{row.held_out:.2f} on videos that it was not chosen on, {row.fitted:.2f} on these; {gain}"


def _explain(found: Search) -> Iterator[str]:
    """Yield how alike the members are, and what to take."""
    pairs = [(q, a, b) for (a, b), q in found.pairs().items() if q is not None]
    if pairs:
        least = min(pairs)
        mean = sum(q for q, _, _ in pairs) / len(pairs)
        yield (
            f"Q of members that are right (J from 0.5) and wrong together: mean {mean:.2f}, least {least[0]:.2f} of "
            f"{least[1]} and {least[2]}; 1: always together, 0: independently"
        )
    yield "chosen by J of every vote of every subset; figures are J&F"
    best = found.names_of(found.best_input)[0]
    if found.advised is found.fusion:
        yield f"take the fusion: on other videos it is better than {best} alone"
        return
    limits = show_limits(found.fusion.low, found.fusion.high)
    why = "the best that was found is an input" if found.fusion.candidate.is_input else f"held-out gain {limits}"
    yield f"no fusion is sure to beat {best} on other videos ({why}): take {best} as it is"


def _print(options: argparse.Namespace, found: Search, n_videos: int, notes: Sequence[str]) -> None:
    named = {"best input": found.best_input, "fusion": found.fusion, "best pair": found.pair}
    rows = [
        _Row(
            name,
            found.names_of(row),
            None if row.candidate.is_input else row.candidate.write_threshold(found.group_size or 1),
            None if row.candidate.is_input else "as in the recipe" if row.candidate.is_grouped else "none",
            row.held_out,
            row.fitted,
            *(() if row is found.best_input else (row.gain, row.low, row.high)),
        )
        for name, row in named.items()
    ]
    rows.append(_Row("oracle: best member of each sentence", found.names, None, None, None, found.oracle))
    table = Table(_COLUMNS, rows, title=f"J&F, {count(n_videos, 'video')}", notes=tuple(notes))
    if not options.json:
        print_tables([table], "text")
        return
    likeness = [{"members": names, "q": q} for names, q in found.pairs().items()]
    print_json(
        {
            "videos": n_videos,
            "members": dict(zip(found.names, found.inputs, strict=True)),
            "copies": dict(found.copies),
            "rows": table.as_json(),
            "likeness": likeness,
            "advised": found.names_of(found.advised),
            "notes": list(notes),
        }
    )
