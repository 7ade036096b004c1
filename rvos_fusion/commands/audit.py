"""`rvos audit RECIPE NODE`: the answers of a node that deserve a second look, with links into the page."""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlencode

from rvos.errors import InputError
from rvos.settings import count, nearest
from rvos_fusion.commands.entrants import open_one
from rvos_fusion.commands.shared_options import add_recipe_options, repeat_options
from rvos_fusion.kinds.groups.grouping import find_groups
from rvos_fusion.scores.auditing import FLAGS, Doubt, audit_video
from rvos_fusion.scores.comparison import Entrant
from rvos_fusion.tables import Column, Table, add_forms, print_tables, read_form


def register(parser: argparse.ArgumentParser) -> None:
    listed = "\n".join(f"  {flag:10} {what}" for flag, what in FLAGS.items())
    parser.epilog = (
        "examples:\n  rvos audit pipeline.yaml final\n  rvos audit pipeline.yaml final --csv > doubts.csv\n"
        "  rvos audit pipeline.yaml final --flags twin direction --page runs/report.html\n"
        f"  rvos audit pipeline.yaml final --sentences 1b8b6b56bf/0 1b8b6b56bf/2\n\nflags:\n{listed}"
    )
    add_recipe_options(parser)
    parser.add_argument("node", metavar="NODE", help="its results must be there")
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument("--sentences", nargs="+", default=[], metavar="VIDEO/EXPRESSION", help="only these sentences")
    parser.add_argument("--flags", nargs="+", choices=tuple(FLAGS), default=list(FLAGS), help="default: all")
    parser.add_argument("--page", type=Path, help="page that links lead into; default: report.html in the workspace")
    add_forms(parser)


def run(options: argparse.Namespace) -> int:
    """Print the list, and how its videos and sentences are named to another command. 0, also where it is not empty."""
    if options.sentences and not options.videos:
        options.videos = list(dict.fromkeys(name.partition("/")[0] for name in options.sentences))
    one = open_one(options)
    (node,) = one.results.choose_nodes([options.node])
    wanted = _read_sentences(one, options.sentences)
    page = options.page or one.results.plan.recipe.workspace / "report.html"
    found = [
        (doubt, f"{page.absolute().as_uri()}#{_address(doubt, node)}")
        for doubt in _audit(one, node)
        if doubt.flag in options.flags and (not wanted or (doubt.video, doubt.expression) in wanted)
    ]
    videos = list(dict.fromkeys(doubt.video for doubt, _ in found))
    sentences = list(dict.fromkeys(f"{doubt.video}/{doubt.expression}" for doubt, _ in found))
    counts = Counter(doubt.flag for doubt, _ in found)
    notes = [", ".join(f"{flag} {counts[flag]}" for flag in FLAGS if counts[flag]) or "nothing to look at"]
    if found:
        notes[0] += f": {count(len(sentences), 'sentence')} of {count(len(videos), 'video')}"
        again = f"{repeat_options(options)}"
        notes += [
            f"make them again: rvos run {again} --force {node} --videos {shlex.join(videos)}",
            f"look again: rvos audit {again} {node} --sentences {shlex.join(sentences)}",
        ]
    table = Table(_COLUMNS, found, notes=tuple(notes), name="doubts")
    print_tables([table], read_form(options), {"node": node, "videos": videos, "sentences": sentences})
    return 0


_COLUMNS = (
    Column("sentence", lambda row: f"{row[0].video}/{row[0].expression}", forms=("text", "markdown")),
    Column("video", lambda row: row[0].video, forms=("json", "csv")),
    Column("expression", lambda row: row[0].expression, forms=("json", "csv")),
    Column("flag", lambda row: row[0].flag),
    Column("frame", lambda row: row[0].frame),
    Column("detail", lambda row: row[0].detail),
    Column("text", lambda row: row[0].text, folds=True),
    Column("link", lambda row: row[1]),
)


def _audit(one: Entrant, node: str) -> list[Doubt]:
    """Return the doubts of all videos."""
    groups = one.results.plan.recipe.groups
    found: list[Doubt] = []
    for video in one.videos:
        results = one.results.of_video(video.id)
        known = None if groups.by == "none" else find_groups(groups, video, results.read)
        found += audit_video(video, results.by_expression(node), known)
    return found


def _read_sentences(one: Entrant, names: Collection[str]) -> set[tuple[str, str]]:
    """Return video and expression of sentences; InputError for one that is not there."""
    known = {
        f"{video.id}/{expression.id}": (video.id, expression.id)
        for video in one.videos
        for expression in video.expressions
    }
    for name in names:
        if name not in known:
            raise InputError(f"--sentences: no sentence {name!r}; {nearest(name, known)}")
    return {known[name] for name in names}


def _address(doubt: Doubt, node: str) -> str:
    """Return what the page's address says of one place, as `report/assets/state.js` reads it."""
    return urlencode(
        {"view": "masks", "video": doubt.video, "expression": doubt.expression, "frame": doubt.frame, "a": node}
    )
