"""The graph of a recipe: order, stages, cycles, thresholds, files."""

from __future__ import annotations

from pathlib import Path

import pytest

from rvos.errors import ConfigError
from rvos.videos import Expression, Video
from rvos_fusion.executors.schedule import list_steps
from rvos_fusion.planning.plan import make_plan
from rvos_fusion.recipe.graph import build_graph, check_files, choose_stage
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.recipe.recipe import Recipe

HEAD = """\
dataset: {format: ref-youtube-vos, root: data, split: valid}
workspace: runs
groups: {by: GROUPS}
models:
  a: {import: dump, path: a.pth}
  b: {import: dump, path: b.pth}
engines: {e: {network: r50-aotl, checkpoint: e.pth}, d: {network: r50-aotl, checkpoint: d.pth}}
stages:
"""


def make(folder: Path, stages: str, groups: str = "neighbours") -> Recipe:
    path = folder / "pipeline.yaml"
    path.write_text(HEAD.replace("GROUPS", groups) + stages)
    return read_recipe(path)


def names(recipe: Recipe, stage: str | None = None) -> list[str]:
    return [node.name for node in build_graph(recipe, stage=stage).nodes]


TWO_STAGES = """\
  one:
    f: {fuse: [p, a], threshold: 2}
    p: {propagate: a, engine: e}
  two:
    g: {fuse: [f, b], threshold: 2}
"""


def test_nodes_come_after_their_inputs(tmp_path: Path) -> None:
    assert names(make(tmp_path, TWO_STAGES)) == ["a", "b", "p", "f", "g"]


def test_walks_lead_below_above_and_along_the_graph(tmp_path: Path) -> None:
    graph = make(tmp_path, TWO_STAGES).graph
    assert [node.name for node in graph.below("f")] == ["f", "p", "a"]
    assert [node.name for node in graph.above("p")] == ["p", "f", "g"]
    assert [node.name for node in graph.order("f")] == ["a", "p", "f"]


def test_propagations_by_one_engine_wait_for_each_other(tmp_path: Path) -> None:
    stages = (
        "  one:\n    p: {propagate: a, engine: e}\n    q: {propagate: b, engine: d}\n"
        "    f: {fuse: [a, b], threshold: 2}\n    r: {propagate: f, engine: e}\n"
        "    g: {fuse: [p, q, r], threshold: 2}\n  two:\n    s: {propagate: g, engine: e}\n"
    )
    steps = list_steps(build_graph(make(tmp_path, stages)).nodes)
    assert [[node.name for node in step] for step in steps] == [
        ["a"], ["b"], ["f"], ["p", "r"], ["q"], ["g"], ["s"],
    ]  # fmt: skip


def test_a_stage_brings_its_models_and_assumes_earlier_results(tmp_path: Path) -> None:
    graph = build_graph(make(tmp_path, TWO_STAGES), stage="two")
    assert [node.name for node in graph.nodes] == ["b", "g"]
    assert graph.assumed == ("f",)


@pytest.mark.parametrize(("given", "stage"), [("1", "one"), ("two", "two"), (None, None)])
def test_stages_have_numbers_and_names(tmp_path: Path, given: str | None, stage: str | None) -> None:
    assert choose_stage(make(tmp_path, TWO_STAGES), given) == stage


@pytest.mark.parametrize("given", ["0", "3", "three", "-1"])
def test_unknown_stages_list_the_choices(tmp_path: Path, given: str) -> None:
    with pytest.raises(ConfigError, match=r"no stage .*1 \(one\), 2 \(two\)"):
        choose_stage(make(tmp_path, TWO_STAGES), given)


BROKEN = {
    "unknown member": ("  one:\n    f: {fuse: [a, bb], threshold: 2}\n", r":10: f: no node 'bb'; did you mean 'b'"),
    "own result": ("  one:\n    f: {fuse: [a, f], threshold: 2}\n", r":10: cycle f -> f"),
    "cycle": (
        "  one:\n    f: {fuse: [a, p], threshold: 2}\n    p: {propagate: g, engine: e}\n"
        "    g: {fuse: [f], threshold: 1}\n",
        r"cycle f -> p -> g -> f",
    ),
    "later stage": (
        "  one:\n    f: {fuse: [a, g], threshold: 2}\n  two:\n    g: {fuse: [b], threshold: 1}\n",
        r":10: f of one reads 'g' of two",
    ),
    "member twice": ("  one:\n    f: {fuse: [a, a], threshold: 2}\n", "named twice"),
    "out of reach": ("  one:\n    f: {fuse: [a, b], threshold: 5}\n", r":10: f: .*has 4 votes but needs 5"),
    "rest out of reach": (
        "  one:\n    f: {fuse: [a, b], threshold: 4, singles: {threshold: 3}}\n",
        r":10: f: a group of one expression, by the rule for singles, has 2 votes but needs 3",
    ),
    "weights out of reach": (
        "  one:\n    f: {fuse: [a, b], threshold: 4, weights: {a: 0.5}}\n",
        r"has 3 votes but needs 4",
    ),
    "submission": ("  one:\n    f: {fuse: [a, b], threshold: 2}\nsubmission: {node: ff}\n", "no node 'ff'"),
}


@pytest.mark.parametrize(("stages", "message"), BROKEN.values(), ids=list(BROKEN))
def test_impossible_graphs_are_refused_with_the_line(tmp_path: Path, stages: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_graph(make(tmp_path, stages))


def test_a_threshold_is_checked_against_the_groups_of_the_data(tmp_path: Path) -> None:
    recipe = make(tmp_path, "  one:\n    f: {fuse: [a, b], threshold: 3}\n")
    make_plan_of(recipe, {"u": 2})
    with pytest.raises(ConfigError, match=r":10: f: .*as in video v, has 2 votes but needs 3; .*rule for singles"):
        make_plan_of(recipe, {"u": 2, "v": 3})


def make_plan_of(recipe: Recipe, n_expressions: dict[str, int]) -> None:
    videos = [
        Video(name, ("0",), tuple(Expression(str(index), "it") for index in range(count)), (Path("0.jpg"),))
        for name, count in n_expressions.items()
    ]
    make_plan(recipe, build_graph(recipe), videos)


def test_the_same_engine_twice_in_a_chain_is_a_warning(tmp_path: Path) -> None:
    stages = "  one:\n    p: {propagate: a, engine: e}\n    f: {fuse: [p, b], threshold: 2}\n  two:\n"
    same = build_graph(make(tmp_path, stages + "    q: {propagate: f, engine: e}\n"))
    other = build_graph(make(tmp_path, stages + "    q: {propagate: f, engine: d}\n"))
    assert len(same.warnings) == 1
    assert "q propagates with 'e', as p did" in same.warnings[0]
    assert other.warnings == ()


def test_a_checkpoint_under_two_names_in_a_chain_is_a_warning(tmp_path: Path) -> None:
    stages = "  one:\n    p: {propagate: a, engine: e}\n    q: {propagate: p, engine: d}\n"
    recipe = make(tmp_path, stages)
    recipe.path.write_text(recipe.path.read_text().replace("checkpoint: d.pth", "checkpoint: e.pth, flip: true"))
    (warning,) = build_graph(read_recipe(recipe.path)).warnings
    assert "q propagates with 'd', as p did before it by the name 'e' and with the same checkpoint" in warning


def test_missing_files_are_named_with_node_and_line(tmp_path: Path) -> None:
    recipe = make(tmp_path, "  one:\n    p: {propagate: a, engine: e}\n")
    with pytest.raises(ConfigError) as caught:
        check_files(build_graph(recipe).nodes, recipe)
    message = str(caught.value)
    assert "2 problems" in message
    assert "pipeline.yaml:5: a: " in message
    assert "a.pth: nothing to import there" in message
    assert "pipeline.yaml:10: p: " in message
    assert "e.pth: no such checkpoint" in message


def test_a_folder_of_propagated_masks_replaces_the_engine(tmp_path: Path) -> None:
    (tmp_path / "done").mkdir()
    (tmp_path / "a.pth").touch()
    recipe = make(tmp_path, "  one:\n    p: {propagate: a, engine: e, folder: done}\n")
    check_files(build_graph(recipe).nodes, recipe)
