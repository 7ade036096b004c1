"""Plans of a few nodes whose tasks are never computed: what schedules and simulations are tried on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rvos.videos import Expression, Video
from rvos_fusion.kinds.base import Task
from rvos_fusion.planning.plan import Plan
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe

RECIPE = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
groups: {by: none}
models:
  m: {runner: soc, checkpoint: m.pth}
  n: {runner: mutr, checkpoint: n.pth}
engines: {e: {network: r50-aotl, checkpoint: e.pth}}
stages:
  one:
    f: {fuse: [m, n], threshold: 1}
    p: {propagate: f, engine: e}
    q: {propagate: m, engine: e}
    g: {fuse: [p, q], threshold: 1}
"""


def make_plan(folder: Path, lengths: Mapping[str, int], recipe: str = RECIPE) -> Plan:
    """Return the tasks of all nodes of a recipe for videos of these numbers of frames, one expression each."""
    path = folder / "pipeline.yaml"
    path.write_text(recipe)
    read = read_recipe(path)
    nodes = build_graph(read).nodes
    videos = tuple(_make_video(id, length) for id, length in lengths.items())
    tasks = {
        node.name: tuple(
            Task(node, video, tuple((name, name) for name in node.inputs()), node.name, folder) for video in videos
        )
        for node in nodes
    }
    return Plan(read, nodes, videos, tasks, ())


def _make_video(id: str, length: int) -> Video:
    frames = tuple(f"{index:05d}" for index in range(length))
    return Video(id, frames, (Expression("0", "the thing"),), tuple(Path(frame) for frame in frames))
