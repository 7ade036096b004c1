"""Ref-DAVIS17: table and sweep score in the protocol of the data set, as `evaluate` does for the archive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from data_folders import listed, write_json, write_png

from propagate.refinement import Evidence, RefinementSettings, refine
from rvos.formats import Dataset, open_dataset, open_evaluator
from rvos.language.nouns import Noun
from rvos.masks.runs import Runs
from rvos.videos import Video
from rvos_fusion.commands.cli import main
from rvos_fusion.kinds.artefacts import MASKS, ReadArtefact
from rvos_fusion.kinds.refinement_report import RefinedExpression
from rvos_fusion.planning.plan import make_plan
from rvos_fusion.planning.results import Results
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.scores.refinement_sweeping import sweep_refinement

FRAMES = ("00000", "00001", "00002")
RECIPE = """\
dataset: {format: ref-davis17, root: data, split: valid}
workspace: runs
models:
  a: {import: png, path: a}
  b: {import: png, path: b}
stages:
  stage1:
    both: {fuse: [a, b], threshold: 2, groups: {by: none}}
    any: {fuse: [a, b], threshold: 1, groups: {by: none}}
submission: {node: both}
"""


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Two objects, four annotators each; members whose masks of the two objects overlap."""
    rng = np.random.default_rng(0)
    videos = {}
    for video, n_objects in (("goat", 2), ("dog", 1)):
        videos[video] = listed({str(4 * o + a): str(o + 1) for o in range(n_objects) for a in range(4)}, FRAMES)
        for t, frame in enumerate(FRAMES):
            maps = np.zeros((24, 32), np.uint8)
            maps[2:14, 2 + t : 15 + t] = 1
            maps[10:22, 12 : 28 - t] = n_objects
            write_png(tmp_path / f"data/DAVIS/Annotations_unsupervised/480p/{video}/{frame}.png", maps, mode="P")
            for member in "ab":
                for expression in range(4 * n_objects):
                    mask = np.roll(maps == expression // 4 + 1, rng.integers(-3, 4, 2), (0, 1))
                    write_png(tmp_path / f"{member}/{video}/{expression}/{frame}.png", mask.astype(np.uint8) * 255)
    write_json(tmp_path / "data/meta_expressions/valid/meta_expressions.json", {"videos": videos})
    (tmp_path / "pipeline.yaml").write_text(RECIPE)
    assert main(["run", str(tmp_path / "pipeline.yaml"), "--quiet"]) == 0
    return tmp_path


def read_printed(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    content: dict = json.loads(capsys.readouterr().out)
    return content


def test_table_and_sweep_have_the_scores_of_the_archive(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, archive = str(finished / "pipeline.yaml"), str(finished / "runs/submission.zip")
    rows = {row["node"]: row for row in read_printed(capsys, "table", recipe, "a", "both", "any")["rows"]}
    swept = read_printed(capsys, "sweep", recipe, "both", "--thresholds", "2", "1")["settings"]
    for row, node in zip(swept, ("both", "any"), strict=True):
        assert main(["submit", recipe, "--node", node]) == 0
        scored = read_printed(capsys, "evaluate", str(finished / "data"), archive, "--format", "ref-davis17")
        assert [rows[node]["j"], rows[node]["f"]] == pytest.approx([100 * scored["J"], 100 * scored["F"]], abs=1e-9)
        assert [row["j"], row["f"]] == pytest.approx([100 * scored["J"], 100 * scored["F"]], abs=1e-9)


def test_a_video_of_two_frames_is_named_and_left_out(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without its first and last frame nothing of it is left, and the other video keeps its score."""
    words = ["evaluate", str(finished / "data"), str(finished / "a"), "--format", "ref-davis17"]
    words += ["--task", "semi-supervised"]
    expressions = finished / "data/meta_expressions/valid/meta_expressions.json"
    content = json.loads(expressions.read_text())
    whole = content["videos"].pop("goat")
    expressions.write_text(json.dumps(content))
    alone = read_printed(capsys, *words)
    content["videos"]["goat"] = whole | {"frames": FRAMES[:2]}
    expressions.write_text(json.dumps(content))
    scored = read_printed(capsys, *words)
    assert scored["J&F"] == alone["J&F"]
    assert scored["strays"] == ["goat: 2 frames, none is left without the first and the last; left out"]
    del content["videos"]["dog"]
    expressions.write_text(json.dumps(content))
    assert main(words) == 2
    assert "goat: 2 frames" in capsys.readouterr().err


@dataclass(frozen=True)
class RefineByMember:
    """Refines the masks of `a` by those that `b` has of the same sentence."""

    name: str = "refined"
    rules: RefinementSettings = field(default_factory=RefinementSettings)

    def inputs(self) -> tuple[str, ...]:
        return ("a", "b")

    def gather(self, video: Video, read: ReadArtefact) -> Iterator[RefinedExpression]:
        for expression, coarse, masklet in zip(video.expressions, read("a", MASKS), read("b", MASKS), strict=True):
            runs = [Runs.decode(one.runs, one.size) for one in (coarse, masklet)]
            yield RefinedExpression(expression, Noun("x", "x", "rules"), coarse, Evidence(runs[0], runs[1:]), ("0",))


def test_a_refinement_is_swept_in_the_protocol_of_the_data_set(finished: Path) -> None:
    recipe, node = read_recipe(finished / "pipeline.yaml"), RefineByMember()
    dataset = open_dataset("ref-davis17", finished / "data", "valid")
    results = Results(make_plan(recipe, build_graph(recipe), dataset.videos))
    coarse, *rows = sweep_refinement(results, dataset, dataset.videos, node, windows=(1, 2), taus=(0.3, 0.7))
    assert coarse.j_and_f == pytest.approx(evaluate(results, dataset, node, None))
    for row in rows:
        rules = RefinementSettings(window=row.window or 0, tau=row.tau or 0)
        assert row.j_and_f == pytest.approx(evaluate(results, dataset, node, rules))
    assert len({row.j_and_f for row in (coarse, *rows)}) > 1


def evaluate(results: Results, dataset: Dataset, node: RefineByMember, rules: RefinementSettings | None) -> float:
    """Return J&F in per cent of refined masks, or of the coarse ones without rules."""
    evaluator = open_evaluator(dataset)
    for video in dataset.videos:
        refined = []
        for given in node.gather(video, results.of_video(video.id).read_artefact):
            frames = (None,) * video.n_frames if rules is None else refine(given.evidence, rules).frames
            refined.append(replace(given.coarse, runs=given.evidence.pick(given.coarse.runs, frames)))
        evaluator.process(video, refined)
    return 100 * evaluator.evaluate().j_and_f
