"""`rvos fit RECIPE NODE`: fits a fusion's numbers on labelled videos, and says what they gain on others."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from fusion.fitted_files import FittedFile, write_fitted
from fusion.methods.votes import Votes
from rvos.errors import ConfigError
from rvos.evaluation.resampling import show_limits
from rvos.formats import find_format
from rvos.settings import count, nearest
from rvos_fusion.commands.entrants import open_one
from rvos_fusion.commands.shared_options import add_recipe_options, open_recipe
from rvos_fusion.kinds.base import Node, capability
from rvos_fusion.recipe.recipe import Recipe
from rvos_fusion.scores.fitting import Combination, Gain, fit_numbers, fit_votes
from rvos_fusion.scores.gating import Gate, GatedVideo, GateGain, fit_gate, read_answers
from rvos_fusion.scores.sweeping import find_ballot
from rvos_fusion.tables import Column, Table, print_json, print_tables

_MEAN = [Column("J&F", lambda value: value)]
_WHERE = " in the recipe under 'fitted'"


@runtime_checkable
class Fitted(Protocol):
    """A node whose numbers may be fitted."""

    def fitted_file(self) -> Path | None:
        """Return the file of fitted numbers that the recipe names."""

    def unfitted(self) -> Node:
        """Return the node without what was fitted."""


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "examples:\n  rvos fit recipe.yaml final --out fits/final.json\n"
        "  rvos fit recipe.yaml stage1    # votes: prints weights and threshold for the recipe"
    )
    add_recipe_options(parser)
    parser.add_argument("node", metavar="NODE", help="a fusion whose inputs are finished on labelled videos")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: the fitted file that the recipe names")
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument("--force", action="store_true", help="fit on fewer than 20 videos too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Fit, print the gains, write the file."""
    recipe = _open(options)
    gate, node = capability(recipe.node(options.node), Gate), capability(recipe.node(options.node), Combination)
    form = recipe.dataset.format
    if find_format(form).has_samples:
        raise ConfigError(f"{recipe.path}: {form} annotates single frames, fit on a data set of whole videos")
    one = open_one(options, recipe)
    n_videos = len(one.videos)
    if gate is not None:
        return _fit_gate(options, gate, read_answers(*one.labelled, gate))
    assert node is not None
    if isinstance(node.rule, Votes) and options.out is None:
        rule, gain = fit_votes(*one.labelled, node, force=options.force)
        # As the recipe writes them.
        weights = {name: str(weight) for name, weight in zip(rule.members, rule.exact_weights(), strict=True)}
        _print(options, n_videos, gain, {"weights": weights, "threshold": str(rule.threshold)}, figures=_MEAN)
        return 0
    out = _choose_file(options)
    numbers, gain = fit_numbers(*one.labelled, node, force=options.force)
    scores = {} if numbers.scores is None else dict(zip(node.members, numbers.scores, strict=True))
    deciders = node.order_members() if numbers.pairs is not None else ()
    made = {"node": node.name, "videos": n_videos} | {
        key: None if value is None else round(value, 2) for key, value in asdict(gain).items()
    }
    write_fitted(out, FittedFile(node.members, scores, numbers.pairs, deciders, made=made))
    _print(options, n_videos, gain, {"file": str(out)}, figures=_MEAN)
    return 0


def _fit_gate(options: argparse.Namespace, gate: Gate, videos: Sequence[GatedVideo]) -> int:
    out = _choose_file(options)
    logistic, threshold, gain = fit_gate(videos, force=options.force)
    made = {"node": gate.name, "videos": len(videos), "final": round(gain.held_out.goal, 2)}
    write_fitted(out, FittedFile(gate.members, gate=logistic, features=gate.features, threshold=threshold, made=made))
    columns = [Column("N-acc", "n_accuracy"), Column("T-acc", "t_accuracy"), Column("J&F", "j_and_f")]
    _print(options, len(videos), gain, {"file": str(out)}, figures=[*columns, Column("Final", "final")])
    return 0


def _choose_file(options: argparse.Namespace) -> Path:
    if options.out is None:
        raise ConfigError(f"{options.node}: the recipe names no fitted file; give --out FILE")
    out: Path = options.out
    return out


def _open(options: argparse.Namespace) -> Recipe:
    """Return the recipe with the node as it is before anything is fitted; refuse a node that has nothing to fit."""
    recipe = open_recipe(options)
    known = [node.name for node in recipe.nodes if capability(node, Fitted) is not None]
    if options.node not in known:
        raise ConfigError(f"{recipe.path}: no fusion or gate {options.node!r}; {nearest(options.node, known)}")
    named = recipe.node(options.node)
    fitted = capability(named, Fitted)
    if fitted is not None and find_ballot(named) is None:
        options.out = options.out or fitted.fitted_file()
    return replace(recipe, nodes=tuple(_forget_fit(node, options.node) for node in recipe.nodes))


def _forget_fit(node: Node, named: str) -> Node:
    """Return a node as it is before anything is fitted where it is the named one, or its file is not there."""
    fitted = capability(node, Fitted)
    is_meant = node.name == named or any(not file.path.exists() for file in node.files())
    return fitted.unfitted() if fitted is not None and is_meant else node


def _print(
    options: argparse.Namespace,
    n_videos: int,
    gain: Gain | GateGain,
    found: Mapping[str, Any],
    *,
    figures: Sequence[Column],
) -> None:
    """Print what was gained, and where the numbers are; the gain is that of the last of the figures."""
    if options.json:
        content = {"node": options.node, "videos": n_videos, **asdict(gain), **found}
        print_json({**content, "advice": "take the fit" if gain.is_sure else "keep the recipe"})
        return
    rows = [("without", gain.plain), ("fitted on the same videos", gain.fitted), ("held out", gain.held_out)]
    last = figures[-1]
    before, after = (cast(float, last.cell(value)) for value in (gain.plain, gain.held_out))
    limits = show_limits(gain.low, gain.high)
    interval = "" if limits is None else f", 95 % interval {limits}"
    notes = [f"held-out gain of {last.heading}: {after - before:+.2f}{interval}"]
    if not gain.is_sure:
        notes.append("keep the recipe: on other videos the fit is not sure to be better")
    if "file" in found:
        notes.append(f"{found['file']}: written; " + ("name it" if gain.is_sure else "it would stand") + _WHERE)
    else:
        weights = ", ".join(f"{name}: {weight}" for name, weight in found["weights"].items())
        what = "for the recipe" if gain.is_sure else "fitted"
        notes.append(f"{what}: weights: {{{weights}}}, threshold: {found['threshold']}")
    heading = Column(f"{options.node}, {count(n_videos, 'video')}", itemgetter(0))
    seconds = [(one, lambda row, one=one: one.cell(row[1])) for one in figures]
    columns = (heading, *(replace(one, value=take) for one, take in seconds))
    print_tables([Table(columns, rows, notes=tuple(notes))], "text")
