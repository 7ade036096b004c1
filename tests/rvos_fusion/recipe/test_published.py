"""Which node of which recipe is a row of a paper's table, and what `rvos table --rows` prints beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from small_data import write_split

from fusion.groups import Group
from fusion.rules import fuse_video
from rvos.errors import ConfigError
from rvos.masks.mask_sequences import MaskSequence
from rvos_fusion.commands.cli import main
from rvos_fusion.kinds.fuse import FuseNode
from rvos_fusion.kinds.propagate import PropagateNode
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.published import PUBLISHED
from rvos_fusion.recipe.reader import read_recipe

PROJECT = Path(__file__).resolve().parents[3]
RECIPES = {path.stem: path for path in [PROJECT / "pipeline.yaml", *sorted((PROJECT / "recipes").glob("*.yaml"))]}

TABLE_1 = {
    "soc": ("SOC", 67.5),
    "soc_aot": ("SOC + AOT", 69.5),
    "stage1": ("Stage I", 72.4),
    "stage2": ("Stage II", 75.7),
}
PAPER = {**TABLE_1, "stage2_majority": ("Stage II", 75.7)}
REFINEMENT = {"refined": ("W = 15", 53.66)}
ROWS = {
    "pipeline": TABLE_1,
    "paper": PAPER,
    "demo_paper": PAPER,
    "lsvos2023_released": {
        "soc": ("SOC", 67.5),
        "soc_aot": ("SOC + AOT", 69.5),
        "en2": ("Stage I", 72.4),
        "final": ("Stage II", 75.7),
    },
    "demo_a2d": {"soc": ("Video-Swin-T, from scratch", 66.9), "referformer": ("Video-Swin-T, from scratch", 64.1)},
    "demo_jhmdb": {"referformer": ("Video-Swin-T, from scratch", 69.3)},
    "demo_ref_davis": {"referformer": ("Video-Swin-B on Ref-DAVIS17", 61.1)},
    "demo_refinement": {"coarse": ("coarse masks", 48.38), **REFINEMENT},
    "mevis_refinement": {"mutr": ("coarse masks", 48.38), **REFINEMENT},
    "demo_tracklet_ladder": {
        "frames": ("image-level baseline", 40.9),
        "propagated": ("+ propagation", 49.2),
        "grounded": ("+ transformer grounding", 56.4),
        "ensemble": ("+ tracklet-NMS and five models", 61.4),
    },
    "demo_tracklets": {"chosen": ("+ tracklet-NMS and five models", 61.4)},
    "tracklets": {},
    "zero_shot": {},
    "mevis_concepts": {},
    "demo_concepts": {},
    "demo_engines": {},
}
"""By recipe: its nodes that are rows, with what the papers call them and print."""


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_says_which_of_its_nodes_are_rows(name: str) -> None:
    recipe = read_recipe(RECIPES[name])
    build_graph(recipe)
    assert {one.node: (PUBLISHED[one.row].row, PUBLISHED[one.row].number) for one in recipe.rows} == ROWS[name]


@pytest.mark.parametrize("row", PUBLISHED)
def test_every_number_stands_in_the_specification_that_it_is_read_from(row: str) -> None:
    name, _, section = PUBLISHED[row].source.partition(", section ")
    text = (PROJECT / "docs" / "specs" / name).read_text(encoding="utf-8")
    if section:
        text = re.split(rf"^## {section}\. ", text, flags=re.MULTILINE)[1].split("\n## ")[0]
    assert re.search(rf"(?<![\d.]){re.escape(str(PUBLISHED[row].number))}(?![\d])", text)


def test_every_row_of_the_table_is_some_recipe_s() -> None:
    assert {one.row for path in RECIPES.values() for one in read_recipe(path).rows} == set(PUBLISHED)


@pytest.mark.parametrize("name", ["pipeline", "paper", "demo_paper", "lsvos2023_released"])
def test_nodes_of_table_1_are_made_as_the_paper_makes_them(name: str) -> None:
    recipe = read_recipe(RECIPES[name])
    by_row = {one.row.removeprefix("lsvos2023/"): recipe.node(one.node) for one in reversed(recipe.rows)}
    carried = by_row["soc-aot"]
    assert isinstance(carried, PropagateNode)
    assert carried.source == by_row["soc"].name
    assert carried.engine is not None
    assert carried.engine.family == "aot"

    def finds(row: str, network: str, *sources: str) -> bool:
        """Tell whether a row stands on a propagation by a network whose masks come of these members."""
        return any(
            isinstance(node, PropagateNode)
            and network in str(getattr(node.engine, "network", ""))
            and set(sources) <= {one.name for one in recipe.graph.below(node.name)}
            for node in recipe.graph.below(by_row[row].name)
        )

    smr = ("soc", "mutr", "referformer_ft" if name == "lsvos2023_released" else "referformer")
    uninext = "vit_huge" if name == "lsvos2023_released" else "uninext"
    assert finds("stage1", "aot", *smr)
    assert not finds("stage1", "deaot", uninext)
    assert finds("stage2", "aot", *smr)
    assert finds("stage2", "deaot", uninext)


def test_the_paper_on_the_demo_s_networks_is_the_paper_s_graph() -> None:
    paper, demo = (yaml.safe_load(RECIPES[name].read_text(encoding="utf-8")) for name in ("paper", "demo_paper"))
    for key in ("groups", "stages", "submission", "rows"):
        assert paper[key] == demo[key]
    assert paper["models"].keys() == demo["models"].keys()
    for engine in (*paper["engines"].values(), *demo["engines"].values()):
        assert engine.keys() == {"network", "checkpoint"}  # the text has no flips and no scales


def test_the_third_step_of_the_tracklet_ladder_suppresses_nothing_and_asks_one_network() -> None:
    ladder = yaml.safe_load(RECIPES["demo_tracklet_ladder"].read_text(encoding="utf-8"))["stages"]["stage1"]
    grounded, ensemble = ladder["grounded"], ladder["ensemble"]
    tracked, suppressed = ladder[grounded["ground"]], ladder[ensemble["ground"]]
    # No IoU is above 1.
    assert tracked["nms_iou"] == 1
    assert suppressed["nms_iou"] < 1
    assert {key: value for key, value in tracked.items() if key != "nms_iou"} == {
        key: value for key, value in suppressed.items() if key != "nms_iou"
    }
    assert (len(grounded["models"]), len(ensemble["models"])) == (1, 3)


def mask_of(expression: str, *pixels: int) -> MaskSequence:
    """Return one frame of four pixels."""
    mask = np.isin(np.arange(4), pixels)[None, None]
    scores = np.zeros(1, np.float32)
    return MaskSequence.from_masks(mask, video="v", expression=expression, frames=("00000",), scores=scores)


SMR = {name: mask_of(name, 0, 2) for name in ("one", "other", "odd")}
UNINEXT = {"one": mask_of("one", 1, 2, 3), "other": mask_of("other", 1), "odd": mask_of("odd", 1, 2)}


@pytest.mark.parametrize(
    ("node", "pair", "odd"),
    [("stage2", [0, 1, 2], [2]), ("stage2_majority", [1, 2], [1, 2])],
    ids=["SMR's one mask has half of a pair's votes", "SMR's one mask is one of three"],
)
def test_the_vote_of_the_text_keeps_all_that_smr_marks_and_the_majority_does_not(
    node: str, pair: list[int], odd: list[int]
) -> None:
    stage2 = read_recipe(RECIPES["demo_paper"]).node(node)
    assert isinstance(stage2, FuseNode)
    groups = [Group(("one", "other")), Group(("odd",))]
    fused = {one.expression: one.masks()[0, 0].nonzero()[0] for one in fuse_video([SMR, UNINEXT], groups, stage2.rule)}
    assert {name: pixels.tolist() for name, pixels in fused.items()} == {"one": pair, "other": pair, "odd": odd}


def test_rows_are_printed_before_anything_is_computed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["table", str(RECIPES["paper"]), "--workspace", str(tmp_path), "--rows"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^stage2 +75\.7 +LSVOS 2023, first place, Table 1: Stage II$", printed, flags=re.MULTILINE)
    assert "nothing is computed yet; run first: rvos run" in printed
    assert "published: J&F of Ref-YouTube-VOS valid (202 videos, 834 sentences)" in printed


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small recipe, of which `a` and `final` are rows."""
    write_split(tmp_path)
    with (tmp_path / "pipeline.yaml").open("a") as file:
        file.write("rows: {a: lsvos2023/soc, final: lsvos2023/stage2}\n")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "pipeline.yaml", "--quiet"]) == 0
    return tmp_path


def test_the_published_number_stands_beside_the_measured_one(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table", "pipeline.yaml", "--rows", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["node"] for row in rows if row["input_of"] is None] == ["a", "final"]
    assert {row["node"]: (row["published"] or {}).get("number") for row in rows} == {
        "a": 67.5,
        "final": 75.7,
        "ab": None,
        "c": None,
    }
    assert all(0 < row["j_and_f"] <= 100 for row in rows)


def test_numbers_of_other_data_are_said_to_be_no_comparison(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "pipeline.yaml", "--rows"]) == 0
    assert "3 videos, 9 sentences of" in (printed := capsys.readouterr().out)
    assert "which is other data: not to be compared" in printed


@pytest.mark.parametrize(
    ("format_", "split", "videos", "sentences", "alike"),
    [
        ("ref-youtube-vos", "valid", 202, 834, True),
        ("ref-youtube-vos", "test", 202, 834, False),
        ("ref-youtube-vos", "valid", 202, 833, False),
        ("ref-youtube-vos", "valid", 10, 834, False),
        ("mevis", "valid", 202, 834, False),
    ],
)
def test_only_data_of_the_same_split_and_size_pass_for_the_paper_s(
    format_: str, split: str, videos: int, sentences: int, alike: bool
) -> None:
    assert PUBLISHED["lsvos2023/soc"].data.is_like(format_, split, videos, sentences) is alike


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "{a: lsvos2023/sock}",
            r"pipeline\.yaml:14: rows\.a 'lsvos2023/sock' is unknown; did you mean 'lsvos2023/soc'",
        ),
        ("{ax: lsvos2023/soc}", r"pipeline\.yaml:14: rows: no node 'ax'; "),
    ],
)
def test_unknown_rows_and_nodes_are_named_with_their_line(tmp_path: Path, rows: str, message: str) -> None:
    write_split(tmp_path)
    with (tmp_path / "pipeline.yaml").open("a") as file:
        file.write(f"rows: {rows}\n")
    with pytest.raises(ConfigError, match=message):
        build_graph(read_recipe(tmp_path / "pipeline.yaml"))


def test_a_recipe_without_rows_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_split(tmp_path)
    assert main(["table", str(tmp_path / "pipeline.yaml"), "--rows"]) == 2
    error = capsys.readouterr().err
    assert "add rows: {NODE: ROW}" in error
    assert error.count("\n") == 1
