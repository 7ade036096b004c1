"""Inputs are typed by what they must store: what does not fit is refused with its line before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from rvos.errors import ConfigError
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe

RECIPE = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
groups: {by: GROUPS}
models:
  a: {import: png, path: a}
  b: {import: dump, path: b.pth, keep_soft: KEPT}
  soft: {runner: soc, checkpoint: soc.pth}
detectors: {found: {detector: import, path: boxes}}
engines: {e: {network: r50-aotl, checkpoint: e.pth}}
stages:
  one:
    things: {masklets: found, engine: e}
    masks: {propose: [found]}
    tracks: {track: masks, engine: e}
    p: {propagate: a, engine: e}
    x: NODE
"""


def check(folder: Path, node: str, *, groups: str = "none", kept: str = "true") -> None:
    path = folder / "pipeline.yaml"
    path.write_text(RECIPE.replace("NODE", node).replace("GROUPS", groups).replace("KEPT", kept))
    build_graph(read_recipe(path))


OTHER_SORTS = {
    "fuse": ("{fuse: [a, things], threshold: 1}", "fuse: things stores mask sequences by instance, expected mask seq"),
    "propagate": ("{propagate: tracks, engine: e}", "propagate: tracks stores tracklets, expected mask sequences;"),
    "clean_up": ("{clean_up: masks, islands: 0.1}", "clean_up: masks stores proposals, expected mask sequences;"),
    "correct": ("{correct: masks}", "correct: masks stores proposals, expected mask sequences;"),
    "gate": ("{gate: things, members: [a, b], features: [area], threshold: 1}", "gate: things stores mask seq"),
    "members of a gate": ("{gate: a, members: [b, tracks], features: [area], threshold: 1}", "members: tracks stores"),
    "key": ("{propagate: a, engine: e, key: {of: masks}}", "key.of: masks stores proposals, expected mask sequences;"),
    "own groups": ("{fuse: [a], threshold: 1, groups: {by: runs, members: [a, things]}}", "groups.members: things sto"),
    "refine": ("{refine: tracks, masklets: things}", "refine: tracks stores tracklets, expected mask sequences;"),
    "masklets": ("{refine: a, masklets: b}", "masklets: b stores mask sequences, expected mask sequences by instance"),
    "track": ("{track: things, engine: e}", "track: things stores mask sequences by instance, expected proposals;"),
    "added members": ("{propose: [], add_members: [tracks]}", "add_members: tracks stores tracklets, expected mask"),
    "ground": ("{ground: masks, agreement: [a]}", "ground: masks stores proposals, expected tracklets;"),
    "agreement": ("{ground: tracks, agreement: [masks]}", "agreement: masks stores proposals, expected mask seq"),
    "fallback": ("{ground: tracks, agreement: [a], fallback: masks}", "fallback: masks stores proposals, expected"),
    "ground_frames": ("{ground_frames: tracks, models: [{checkpoint: g}]}", "ground_frames: tracks stores tracklets"),
}


@pytest.mark.parametrize(("node", "message"), OTHER_SORTS.values(), ids=OTHER_SORTS)
def test_a_node_that_stores_something_else_is_refused_with_the_line(node: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check(tmp_path, node)
    assert f"pipeline.yaml:16: x: {message}" in str(caught.value)


def test_groups_of_the_whole_recipe_are_decided_by_masks_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r":16: x: groups\.members: tracks stores tracklets, expected mask sequences"):
        check(tmp_path, "{fuse: [a], threshold: 1}", groups="agreement, members: [a, tracks]")


def test_members_that_decide_no_groups_are_not_read(tmp_path: Path) -> None:
    check(tmp_path, "{fuse: [a], threshold: 1}", groups="none, members: [a, tracks]")


WITHOUT_SOFT = {
    "pictures": ("{propagate: a, engine: e, key: {rule: confidence}}", "'a'; it has none; name a node that has some"),
    "an engine": ("{propagate: p, engine: e, key: {rule: confidence}}", "'p'; set keep_soft: true on the engine"),
    "a dump": ("{propagate: b, engine: e, key: {rule: confidence}}", "'b'; set keep_soft: true on the import"),
    "another node": ("{propagate: soft, engine: e, key: {rule: confidence, of: a}}", "'a'; it has none"),
}


@pytest.mark.parametrize(("node", "message"), WITHOUT_SOFT.values(), ids=WITHOUT_SOFT)
def test_key_frames_by_confidence_need_probabilities_that_somebody_keeps(
    node: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        check(tmp_path, node, kept="false")
    assert f"pipeline.yaml:16: x: key: {{rule: confidence}} needs the probabilities of {message}" in str(caught.value)


@pytest.mark.parametrize(
    "node",
    [
        "{propagate: soft, engine: e, key: {rule: confidence}}",
        "{propagate: b, engine: e, key: {rule: confidence}}",
        "{propagate: a, engine: e, key: {rule: confidence, of: soft}}",
        "{propagate: a, engine: e, key: {rule: steady}}",
        "{propagate: a, engine: e, key: {rule: consensus, references: 3}}",
        "{fuse: [a, b], method: average, threshold: 0.5}",
    ],
)
def test_what_is_kept_or_not_needed_passes(node: str, tmp_path: Path) -> None:
    check(tmp_path, node)


def test_an_average_refuses_probabilities_that_are_there_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r":16: x: average needs the probabilities of 'p'; set keep_soft: true on"):
        check(tmp_path, "{fuse: [a, p], method: average, threshold: 0.5}")
